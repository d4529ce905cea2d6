import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceManager, ServiceState } from '../services/manager.ts';
import type { RunCommand } from '../services/run-command.ts';
import { ServicesError } from '../services/services-error.ts';
import type { Machine } from '../services/switch.ts';
import { systemd } from '../services/systemd.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext } from './context.ts';

/** From a change to the start of what is to follow. Milliseconds. */
const FIRES_WITHIN_MS = 15_000;

const isMac = process.platform === 'darwin';

/** The services, and whether a change in a directory really starts what it should. */
export function serviceChecks({ machine, settings }: DoctorContext): readonly Check[] {
  let asked: Promise<Found | undefined> | undefined;
  const find = () => {
    asked ??= findServices(machine);
    return asked;
  };
  return [
    {
      id: 'services',
      title: 'services',
      async look() {
        const found = await find();
        return found
          ? verdict(found)
          : {
              status: 'skipped',
              message: 'none is installed here: `nix run .#switch`, or `cliproxyapi-sync watch`',
            };
      },
    },
    {
      id: 'watcher',
      title: 'watcher',
      async look() {
        const found = await find();
        if (!found || !settings || !found.states.some(({ name }) => name.includes('backup')))
          return { status: 'skipped', message: 'no service waits for changes here' };
        const watched = [settings.authDir, ...(settings.ccsDir === undefined ? [] : [settings.ccsDir])];
        const directories = await writable(watched);
        if (directories.length === 0)
          return { status: 'skipped', message: 'this user may not write the watched directories' };
        for (const directory of directories) {
          const finding = await fires(found, directory);
          if (finding.status !== 'ok') return finding;
        }
        return { status: 'ok', message: `a change in ${directories.join(' or ')} starts a backup` };
      },
    },
  ];
}

interface Found {
  readonly manager: ServiceManager;
  readonly states: readonly ServiceState[];
  /** How to type what the manager is told. */
  readonly systemctl: string;
  readonly journalctl: string;
}

/** This user's services, or else the system's. */
export async function findServices(machine: Machine | undefined): Promise<Found | undefined> {
  if (!machine) return undefined;
  const own = await statesOf(machine.manager);
  if (own.length > 0)
    return {
      manager: machine.manager,
      states: own,
      systemctl: 'systemctl --user',
      journalctl: 'journalctl --user',
    };
  if (isMac) return undefined;
  const run: RunCommand = (command, options) =>
    machine.run(
      command.filter((word) => word !== '--user'),
      options,
    );
  const manager = systemd({ configHome: '/etc', user: 'root', run });
  const states = await statesOf(manager);
  return states.length > 0
    ? { manager, states, systemctl: 'sudo systemctl', journalctl: 'journalctl' }
    : undefined;
}

function verdict({ states, systemctl, journalctl }: Found): Finding {
  const failed = states.filter((state) => state.failed);
  const stopped = states.filter((state) => state.stopped);
  const names = (of: readonly ServiceState[]) => of.map(({ name }) => name).join(' ');
  if (failed.length > 0) {
    return {
      status: 'failed',
      message: failed.map(({ name, state, detail }) => `${name} ${state}, ${detail}`).join('; '),
      remedy: isMac ? 'ls -t ~/Library/Logs/cliproxyapi*' : `${journalctl} -e -u ${failed[0]?.name}`,
    };
  }
  if (stopped.length > 0) {
    return {
      status: 'failed',
      message: `${names(stopped)} should run and does not`,
      remedy: isMac
        ? `launchctl kickstart -k gui/$(id -u)/${stopped[0]?.name}`
        : `${systemctl} enable --now ${names(stopped)}`,
    };
  }
  return { status: 'ok', message: `${names(states)}: as they should be` };
}

async function statesOf(manager: ServiceManager): Promise<readonly ServiceState[]> {
  try {
    await manager.reach();
    const states = await manager.states(manager.known);
    return states.filter(({ state }) => state !== 'not-found' && state !== 'not loaded');
  } catch (error) {
    if (error instanceof ServicesError) return [];
    throw error;
  }
}

/** Touches a file that no one takes for a login, and waits for the service. */
async function fires({ manager, systemctl }: Found, directory: string): Promise<Finding> {
  const restart = isMac
    ? 'launchctl kickstart -k gui/$(id -u)/cliproxyapi-sync.cliproxyapi-backup'
    : `${systemctl} restart cliproxyapi-backup.path`;
  const until = Date.now() + FIRES_WITHIN_MS;
  let before = await manager.firing();
  if (before === undefined)
    return {
      status: 'failed',
      message: 'nothing waits for changes: its service is stopped',
      remedy: restart,
    };
  // A name that our own runs take away, should this one be killed.
  const probe = join(directory, `.cliproxyapi-sync-${randomBytes(8).toString('hex')}.tmp`);
  try {
    for (let count = 0; Date.now() < until; count++) {
      // While what it started still runs, it does not look: so more than once.
      if (count % 20 === 0) {
        before = await manager.firing();
        await (await open(probe, 'w', 0o600)).close();
      }
      await sleep(100);
      if ((await manager.firing()) !== before) return { status: 'ok', message: directory };
    }
  } finally {
    await unlink(probe).catch(() => undefined);
  }
  const message = `a change in ${directory} did not start a backup within ${FIRES_WITHIN_MS / 1000} s`;
  return { status: 'failed', message, remedy: restart };
}

async function writable(directories: readonly string[]): Promise<string[]> {
  const answers = directories.map((directory) =>
    access(directory, constants.W_OK | constants.X_OK).then(
      () => [directory],
      () => [],
    ),
  );
  return (await Promise.all(answers)).flat();
}
