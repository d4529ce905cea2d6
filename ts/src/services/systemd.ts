import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceManager, ServiceState, StartFailure } from './manager.ts';
import type { CommandResult, RunCommand } from './run-command.ts';
import { ServicesError } from './services-error.ts';

/** systemd's user manager, by `systemctl --user`. */
export function systemd({
  configHome,
  user,
  run,
}: {
  /** `XDG_CONFIG_HOME`. */
  readonly configHome: string;
  readonly user: string;
  readonly run: RunCommand;
}): ServiceManager {
  const directory = join(configHome, 'systemd/user');
  const systemctl = (...args: readonly string[]) => run(['systemctl', '--user', '--no-pager', ...args]);

  /** Runs it; an exit code that is not among `fine` is an error. */
  const must = async (args: readonly string[], fine: readonly number[] = [0]): Promise<string> => {
    const result = await systemctl(...args);
    if (result.kind === 'ended' && fine.includes(result.code)) return result.stdout;
    throw new ServicesError(
      `systemctl --user ${args.join(' ')} ${failure(result)}`,
      'What was done before stays. Run it again once the cause is gone.',
    );
  };

  const show = async (names: readonly string[], properties: readonly string[]) =>
    names.length === 0 ? [] : parseShow(await must(['show', `--property=${properties.join(',')}`, ...names]));

  return {
    directory,
    mayBeOurs: (name) => /^cliproxyapi.*\.(service|path|timer)$/.test(name),
    isStarted: (_, text) => /^\[Install\]$/m.test(text),

    async reach() {
      const result = await systemctl('is-system-running');
      if (result.kind === 'missing') {
        throw new ServicesError(
          'systemctl is not in PATH: this machine does not run systemd, or hides it',
          'Without systemd, run the programs by what starts programs here: `start` for the proxy, `cliproxyapi-sync sync` every few minutes.',
        );
      }
      if (result.kind === 'ended' && RUNNING.has(result.stdout.trim())) return;
      throw new ServicesError(
        `systemd's user manager does not answer: systemctl --user is-system-running ${failure(result)}`,
        `Log in as ${user} (not by su or sudo). For a user who never logs in: \`loginctl enable-linger ${user}\`, then set XDG_RUNTIME_DIR=/run/user/$(id -u).`,
      );
    },

    async elsewhere(names) {
      const found = new Map<string, string>();
      for (const { Id = '', FragmentPath = '' } of await show(names, ['Id', 'FragmentPath'])) {
        if (FragmentPath !== '' && FragmentPath !== join(directory, Id)) found.set(Id, FragmentPath);
      }
      return found;
    },

    async retire(names) {
      // What starts others goes first, so that it starts none of them again.
      const triggers = names.filter((name) => !name.endsWith('.service'));
      const services = names.filter((name) => name.endsWith('.service'));
      for (const units of [triggers, services]) {
        if (units.length > 0) await must(['stop', ...units], [0, NOT_LOADED]);
      }
      const files = await Promise.all(
        names.map(async (name) => ((await isThere(join(directory, name))) ? [name] : [])),
      );
      if (files.flat().length > 0) await must(['disable', '--quiet', ...files.flat()]);
      // Otherwise a failed one is listed for ever.
      await systemctl('reset-failed', ...names);
    },

    async reload() {
      await must(['daemon-reload']);
    },

    async enable(names) {
      // Takes links away that an older version of the unit asked for.
      if (names.length > 0) await must(['reenable', '--quiet', ...names]);
    },

    async start(names) {
      const failures: StartFailure[] = [];
      // One that has failed too often would be refused.
      if (names.length > 0) await systemctl('reset-failed', ...names);
      for (const name of names) {
        const result = await systemctl('restart', name);
        if (result.kind === 'ended' && result.code === 0) continue;
        failures.push({ name, why: `systemctl --user restart ${failure(result)}` });
      }
      return failures;
    },

    async givenUp(names) {
      const units = await show(names, ['Id', 'ActiveState']);
      return units.flatMap(({ Id = '', ActiveState }) => (ActiveState === 'failed' ? [Id] : []));
    },

    async states(names) {
      return (await show(names, STATE_PROPERTIES)).map(stateOf);
    },

    known: [
      'cliproxyapi.service',
      'cliproxyapi-backup.path',
      'cliproxyapi-backup.service',
      'cliproxyapi-sync.timer',
      'cliproxyapi-sync.service',
    ],

    async firing() {
      const [path] = await show(['cliproxyapi-backup.path'], ['ActiveState', 'Triggers']);
      if (path?.ActiveState !== 'active' || !path.Triggers) return undefined;
      const [triggered] = await show([path.Triggers], ['InactiveExitTimestampMonotonic']);
      return triggered?.InactiveExitTimestampMonotonic;
    },

    async advice() {
      if (user === 'root' || (await isThere(join('/var/lib/systemd/linger', user)))) return undefined;
      return `the services start when you log in and end when you log out; for a machine that runs by itself: loginctl enable-linger ${user}`;
    },
  };
}

/** systemctl(1), is-system-running: what takes orders. */
const RUNNING: ReadonlySet<string> = new Set([
  'initializing',
  'starting',
  'running',
  'degraded',
  'maintenance',
]);
/** systemctl(1), exit status: the unit is not loaded. */
const NOT_LOADED = 5;

const STATE_PROPERTIES = [
  'Id',
  'LoadState',
  'ActiveState',
  'SubState',
  'Result',
  'ExecMainStatus',
  'ActiveEnterTimestamp',
  'ExecMainExitTimestamp',
  'NextElapseUSecRealtime',
  'NextElapseUSecMonotonic',
  'WantedBy',
  'UnitFileState',
];

function stateOf(unit: Readonly<Record<string, string>>): ServiceState {
  const { Id = '', LoadState, ActiveState = '', SubState = '', Result = '', WantedBy = '' } = unit;
  const failed = ActiveState === 'failed' || (Result !== 'success' && Result !== '');
  const details = [
    ActiveState === 'active' && unit.ActiveEnterTimestamp ? `since ${unit.ActiveEnterTimestamp}` : '',
    failed ? `last run: ${Result}, exit code ${unit.ExecMainStatus ?? '?'}` : '',
    ActiveState === 'inactive' && unit.ExecMainExitTimestamp
      ? `last run ended ${unit.ExecMainExitTimestamp}`
      : '',
    unit.NextElapseUSecRealtime ? `next ${unit.NextElapseUSecRealtime}` : '',
  ];
  return {
    name: Id,
    state: LoadState === 'loaded' ? `${ActiveState} (${SubState})` : (LoadState ?? 'unknown'),
    detail: details.filter((detail) => detail !== '').join(', '),
    failed,
    stopped: (WantedBy !== '' || unit.UnitFileState === 'disabled') && ActiveState === 'inactive',
  };
}

/** Blocks of `NAME=value` lines, one block a unit. */
function parseShow(text: string): Record<string, string>[] {
  return text
    .split(/\n\n+/)
    .filter((block) => block.trim() !== '')
    .map((block) =>
      Object.fromEntries(
        block
          .trim()
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      ),
    );
}

function failure(result: CommandResult): string {
  if (result.kind === 'missing') return 'could not be run';
  const text = (result.stderr.trim() || result.stdout.trim()).replaceAll('\n', '; ');
  if (result.kind === 'late') return `took too long${text === '' ? '' : `: ${text}`}`;
  return `ended with ${result.code}${text === '' ? '' : `: ${text}`}`;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
