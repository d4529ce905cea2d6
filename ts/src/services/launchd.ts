import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceManager, ServiceState, StartFailure } from './manager.ts';
import type { CommandResult, RunCommand } from './run-command.ts';
import { ServicesError } from './services-error.ts';

/** launchd's domain of a logged-in user (`gui/UID`), by launchctl(1). */
export function launchd({
  home,
  uid,
  run,
  waitMs = 30_000,
}: {
  readonly home: string;
  readonly uid: number;
  readonly run: RunCommand;
  /** How long an agent may take to end. Default: as long as `ExitTimeOut` gives it. */
  readonly waitMs?: number;
}): ServiceManager {
  const directory = join(home, 'Library/LaunchAgents');
  const domain = `gui/${uid}`;
  const launchctl = (...args: readonly string[]) => run(['launchctl', ...args]);
  const target = (fileName: string) => `${domain}/${labelOf(fileName)}`;

  /** What it says of a service; undefined if it does not have it. */
  const print = async (fileName: string): Promise<string | undefined> => {
    const result = await launchctl('print', target(fileName));
    return result.kind === 'ended' && result.code === 0 ? result.stdout : undefined;
  };

  /** It says yes before the service has ended: until then the same label cannot be loaded again. */
  const bootOut = async (fileName: string): Promise<string | undefined> => {
    if ((await print(fileName)) === undefined) return undefined;
    const result = await launchctl('bootout', target(fileName));
    for (const until = Date.now() + waitMs; Date.now() < until; await sleep(100)) {
      if ((await print(fileName)) === undefined) return undefined;
    }
    return `launchctl bootout ${target(fileName)} ${failure(result)}, and it is still there`;
  };

  return {
    directory,
    mayBeOurs: (name) => /^cliproxyapi-sync\..*\.plist$/.test(name),
    isStarted: () => true,

    async reach() {
      const result = await launchctl('print', domain);
      if (result.kind === 'missing') {
        throw new ServicesError('launchctl is not in PATH', 'Agents are for macOS: run this there.');
      }
      if (result.kind === 'ended' && result.code === 0) return;
      throw new ServicesError(
        `launchd has no session of this user: launchctl print ${domain} ${failure(result)}`,
        'Log in on the screen of this Mac once, as this user and not by sudo; after that it also works over ssh.',
      );
    },

    async elsewhere(names) {
      const found = new Map<string, string>();
      for (const name of names) {
        const path = /^\s*path = (.+)$/m.exec((await print(name)) ?? '')?.[1];
        if (path !== undefined && path !== join(directory, name)) found.set(name, path);
      }
      return found;
    },

    async retire(names) {
      for (const name of names) {
        const problem = await bootOut(name);
        if (problem !== undefined) throw new ServicesError(problem, 'Run it again.');
      }
    },

    // It reads a file when the agent is loaded, and loads all of `directory` at login.
    reload: async () => undefined,

    async enable(names) {
      // One that was disabled by hand could not be loaded.
      for (const name of names) await launchctl('enable', target(name));
    },

    async start(names) {
      const failures: StartFailure[] = [];
      for (const name of names) {
        const problem = (await bootOut(name)) ?? (await bootstrap(name));
        if (problem !== undefined) failures.push({ name, why: problem });
      }
      return failures;
    },

    // It tries for ever.
    givenUp: async () => [],

    async states(names) {
      return Promise.all(names.map(async (name) => stateOf(name, await print(name))));
    },

    known: ['cliproxyapi-sync', 'org.nix-community.home', 'org.nixos'].flatMap((prefix) =>
      ['cliproxyapi', 'cliproxyapi-backup', 'cliproxyapi-sync'].map((name) => `${prefix}.${name}.plist`),
    ),

    async firing() {
      const text = await print('cliproxyapi-sync.cliproxyapi-backup.plist');
      return text === undefined ? undefined : /^\s*runs = (\d+)$/m.exec(text)?.[1];
    },

    advice: async () => undefined,
  };

  async function bootstrap(fileName: string): Promise<string | undefined> {
    const path = join(directory, fileName);
    let result = await launchctl('bootstrap', domain, path);
    // A service that has just gone is at times still in its way: 5 is EIO, 37 EALREADY.
    for (let tries = 0; tries < 5 && result.kind === 'ended' && [5, 37].includes(result.code); tries++) {
      await sleep(Math.min(500, waitMs));
      result = await launchctl('bootstrap', domain, path);
    }
    return result.kind === 'ended' && result.code === 0
      ? undefined
      : `launchctl bootstrap ${domain} ${path} ${failure(result)}`;
  }
}

function labelOf(fileName: string): string {
  return fileName.replace(/\.plist$/, '');
}

function stateOf(fileName: string, text: string | undefined): ServiceState {
  const name = labelOf(fileName);
  if (text === undefined) return { name, state: 'not loaded', detail: '', failed: false, stopped: true };
  const value = (key: string) => new RegExp(`^\\s*${key} = (.+)$`, 'm').exec(text)?.[1]?.trim();
  const state = value('state') ?? 'loaded';
  const exitCode = value('last exit code');
  const ended = exitCode !== undefined && !exitCode.startsWith('(');
  return {
    name,
    state,
    detail: ended && state !== 'running' ? `last exit code ${exitCode}` : '',
    failed: ended && state !== 'running' && !/^0\b/.test(exitCode),
    stopped: false,
  };
}

function failure(result: CommandResult): string {
  if (result.kind === 'missing') return 'could not be run';
  const text = (result.stderr.trim() || result.stdout.trim()).replaceAll('\n', '; ');
  if (result.kind === 'late') return 'took too long';
  return result.code === 0 ? 'said yes' : `ended with ${result.code}${text === '' ? '' : `: ${text}`}`;
}
