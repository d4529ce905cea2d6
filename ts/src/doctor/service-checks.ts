import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FoundServices, findServices, typed } from '../services/found.ts';
import type { ServiceState } from '../services/manager.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext } from './context.ts';

/** From a change to the start of what is to follow. Milliseconds. */
const FIRES_WITHIN_MS = 15_000;

/** The services, and whether a change in a directory really starts what it should. */
export function serviceChecks({ machine, settings }: DoctorContext): readonly Check[] {
  let asked: Promise<FoundServices | undefined> | undefined;
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

function verdict(found: FoundServices): Finding {
  const { states } = found;
  const type = typed(found);
  const failed = states.filter((state) => state.failed);
  const stopped = states.filter((state) => state.stopped);
  const names = (of: readonly ServiceState[]) => of.map(({ name }) => name).join(' ');
  if (failed.length > 0) {
    return {
      status: 'failed',
      message: failed.map(({ name, state, detail }) => `${name} ${state}, ${detail}`).join('; '),
      remedy: type.log(failed[0]?.name ?? ''),
    };
  }
  if (stopped.length > 0) {
    return {
      status: 'failed',
      message: `${names(stopped)} should run and does not`,
      remedy: type.start(stopped.map(({ name }) => name)),
    };
  }
  return { status: 'ok', message: `${names(states)}: as they should be` };
}

/** Touches a file that no one takes for a login, and waits for the service. */
async function fires(found: FoundServices, directory: string): Promise<Finding> {
  const { manager, kind } = found;
  const watcher = kind === 'launchd' ? 'cliproxyapi-sync.cliproxyapi-backup' : 'cliproxyapi-backup.path';
  const restart = typed(found).restart(watcher);
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
