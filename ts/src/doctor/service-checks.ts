import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceManager, ServiceState } from '../services/manager.ts';
import { ServicesError } from '../services/services-error.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext } from './context.ts';

/** From a change to the start of what is to follow. Milliseconds. */
const FIRES_WITHIN_MS = 15_000;

const isMac = process.platform === 'darwin';

/** The services of this user, and whether a change in a directory really starts what it should. */
export function serviceChecks({ machine, settings }: DoctorContext): readonly Check[] {
  const found = (): Promise<readonly ServiceState[]> => statesOf(machine?.manager);
  return [
    {
      id: 'services',
      title: 'services',
      async look() {
        const states = await found();
        if (states.length === 0)
          return {
            status: 'skipped',
            message: 'none of this user is installed here: `nix run .#switch`, or `watch`',
          };
        const failed = states.filter((state) => state.failed);
        const stopped = states.filter((state) => state.stopped);
        const names = (of: readonly ServiceState[]) => of.map(({ name }) => name).join(' ');
        if (failed.length > 0) {
          return {
            status: 'failed',
            message: failed.map(({ name, state, detail }) => `${name} ${state}, ${detail}`).join('; '),
            remedy: isMac
              ? 'ls -t ~/Library/Logs/cliproxyapi*'
              : `journalctl --user -e -u ${failed[0]?.name}`,
          };
        }
        if (stopped.length > 0) {
          return {
            status: 'failed',
            message: `${names(stopped)} should run and does not`,
            remedy: isMac
              ? `launchctl kickstart -k gui/$(id -u)/${stopped[0]?.name}`
              : `systemctl --user start ${names(stopped)}`,
          };
        }
        return { status: 'ok', message: `${names(states)}: as they should be` };
      },
    },
    {
      id: 'watcher',
      title: 'watcher',
      async look() {
        const states = await found();
        const manager = machine?.manager;
        if (!manager || !settings || !states.some(({ name }) => name.includes('backup')))
          return { status: 'skipped', message: 'no service waits for changes here' };
        const { authDir, ccsDir } = settings;
        for (const directory of [authDir, ...(ccsDir === undefined ? [] : [ccsDir])]) {
          if (!(await mayWrite(directory))) continue;
          const finding = await fires(manager, directory);
          if (finding.status !== 'ok') return finding;
        }
        return { status: 'ok', message: 'a change in the directories starts a backup' };
      },
    },
  ];
}

async function statesOf(manager: ServiceManager | undefined): Promise<readonly ServiceState[]> {
  try {
    await manager?.reach();
    const states = (await manager?.states(manager.known)) ?? [];
    return states.filter(({ state }) => state !== 'not-found' && state !== 'not loaded');
  } catch (error) {
    if (error instanceof ServicesError) return [];
    throw error;
  }
}

/** Touches a file that no one takes for a login, and waits for the service. */
async function fires(manager: ServiceManager, directory: string): Promise<Finding> {
  const restart = isMac
    ? 'launchctl kickstart -k gui/$(id -u)/cliproxyapi-sync.cliproxyapi-backup'
    : 'systemctl --user restart cliproxyapi-backup.path';
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

async function mayWrite(directory: string): Promise<boolean> {
  return access(directory, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}
