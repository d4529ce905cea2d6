import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { holdingsOf, holdingsOfFiles } from '../migrate/holdings.ts';
import { type MigrationSource, migrate } from '../migrate/migrate.ts';
import { readEnvFile } from '../settings/env-file.ts';
import { pathsFrom } from '../settings/paths.ts';
import { loadSettings, type Settings } from '../settings/settings.ts';
import { STORE_VARIABLES, type StoreSettings, storeOfKind } from '../settings/store-settings.ts';
import { lookup } from '../settings/variables.ts';
import { openStore } from '../stores/open.ts';
import type { Store } from '../stores/store.ts';
import { exclusively } from '../sync/exclusively.ts';
import { StateError } from '../sync/state.ts';
import { migrationJson, printMigration } from '../terminal/migration.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withHelp } from './command-help.ts';
import { EXIT, type RunOptions, STORE_KINDS, STORE_NAMES, type StoreName, UsageError } from './options.ts';

export interface MigrateOptions extends RunOptions {
  readonly from: StoreName;
  readonly to: StoreName;
  readonly fromEnv?: string;
  readonly toEnv?: string;
  readonly fromDir?: string;
  readonly merge?: boolean;
}

/** The command line of `migrate`. */
export function defineMigrate(
  act: (options: RunOptions, action: (terminal: Terminal) => Promise<number>) => Promise<void>,
): Command {
  const kind = (flags: string, what: string) =>
    new Option(flags, what).choices(STORE_NAMES).makeOptionMandatory();
  const command = new Command('migrate')
    .description(
      'Copies credentials, history, deletions and the config from one store to another, and reads them back.',
    )
    .addOption(kind('--from <kind>', 'where they are'))
    .addOption(kind('--to <kind>', 'where they are to be'))
    .option('--from-env <file>', "the source's variables, from this file alone")
    .option('--to-env <file>', "the target's variables, from this file alone")
    .option(
      '--from-dir <directory>',
      'with --from local: a directory of login files, or one with auths/ in it',
    )
    .option('--merge', 'go on though the target has credentials of its own')
    .option(
      '--env-file <path>',
      'read variables from this file instead of CLIPROXY_ENV_FILE or ~/dotfiles/.env',
    )
    .option('--json', 'print one JSON document on stdout')
    .option('--dry-run', 'change nothing, print what would be copied')
    .addOption(new Option('--verbose', 'say more').conflicts('quiet'))
    .option('--quiet', 'say only what is wrong')
    .action((options: MigrateOptions) => act(options, (terminal) => migrateCommand(options, terminal)));
  return withHelp(command, {
    notes: `Local is the directory store (LOCALSTORE_PATH); without one, the login files of this machine.
The source is left as it is. Run again, it only adds what is missing.`,
    examples: [
      ['cliproxyapi-sync migrate --from local --to postgres'],
      ['cliproxyapi-sync migrate --from local --from-dir ~/.cli-proxy-api --to s3'],
      ['cliproxyapi-sync migrate --from s3 --to git --dry-run'],
      ['cliproxyapi-sync migrate --from s3 --from-env old.env --to s3 --to-env new.env'],
    ],
  });
}

/** `migrate`: copies everything from one store to another, and reads it back. */
export async function migrateCommand(options: MigrateOptions, terminal: Terminal): Promise<number> {
  if (options.fromDir !== undefined && options.from !== 'local')
    throw new UsageError('--from-dir is for --from local');
  const { envFile } = options;
  // Which store this host uses has no say here: its warnings about that would only confuse.
  const settings = await loadSettings({ env: process.env, ...(envFile !== undefined && { envFile }) });
  const from = await sideSettings(options.from, options.fromEnv, '--from-env', settings, terminal);
  const to = await sideSettings(options.to, options.toEnv, '--to-env', settings, terminal);
  const dryRun = options.dryRun === true;
  const { stateDir, lockWaitMs, hostName } = settings;
  const exitCode = await exclusively({ stateDir, lockWaitMs, dryRun }, async (state, lock) => {
    const opened: Store[] = [];
    const open = async (store: StoreSettings) => {
      const handle = await openStore(store, state.memory, stateDir);
      opened.push(handle);
      return handle;
    };
    try {
      const source = await sourceOf(from, options.fromDir, settings, open);
      const target = await open(to);
      if (source.location === target.location)
        throw new UsageError(`source and target are the same: ${target.location}`);
      const report = await migrate({
        source,
        target,
        merge: options.merge === true,
        dryRun,
        hostName,
        state,
        checkpoint() {
          if (lock && !lock.isHeld()) throw takenOver();
        },
        onEvent(event) {
          if (event.kind === 'phase') terminal.verbose(event.text);
          else terminal.progress(event.text, event.done, event.total);
        },
      });
      const told = { source: source.location, target: target.location, dryRun };
      if (options.json) terminal.json(migrationJson(report, told));
      printMigration(report, { ...told, json: options.json === true }, terminal);
      if (report.exitCode === EXIT.done && !dryRun) terminal.info(nextStep(from.kind, to.kind));
      return report.exitCode;
    } finally {
      await Promise.all(opened.map((store) => store.close().catch(() => undefined)));
    }
  });
  if (exitCode !== undefined) return exitCode;
  terminal.error(`another run on this host holds ${stateDir}/lock`, 'Try again when it has ended.');
  return EXIT.tryAgain;
}

function takenOver(): StateError {
  return new StateError(
    'unusable',
    'this process stood still for so long that another run on this host took over',
    'Run the same command again: it goes on from there.',
  );
}

/**
 * The settings of one side. With an env file of its own they come from that alone: half of a store from the file
 * and half from the environment would be a third one.
 */
async function sideSettings(
  name: StoreName,
  envFile: string | undefined,
  option: string,
  settings: Settings,
  terminal: Terminal,
): Promise<StoreSettings> {
  if (envFile === undefined) {
    const paths = pathsFrom(settings.environment);
    return storeOfKind(STORE_KINDS[name], settings.environment, paths, settings.stateDir);
  }
  const file = await readEnvFile(resolve(envFile), option, false);
  for (const warning of file?.warnings ?? []) terminal.warn(warning);
  const environment = [{ values: file?.values ?? {} }];
  const home = lookup(settings.environment, 'HOME');
  return storeOfKind(STORE_KINDS[name], environment, pathsFrom(environment, home), settings.stateDir);
}

async function sourceOf(
  from: StoreSettings,
  directory: string | undefined,
  settings: Settings,
  open: (store: StoreSettings) => Promise<Store>,
): Promise<MigrationSource> {
  if (from.kind !== 'directory') return storeSource(await open(from));
  if (directory !== undefined) {
    const path = resolve(directory);
    if (await isDirectory(join(path, 'auths'))) return storeSource(await open({ kind: 'directory', path }));
    if (!(await isDirectory(path))) throw new UsageError(`--from-dir: ${path} is no directory`);
    return fileSource(path, join(path, 'config.yaml'));
  }
  if (await isDirectory(from.path)) return storeSource(await open(from));
  return fileSource(settings.authDir, join(settings.proxyHome, 'config.yaml'));
}

function storeSource(store: Store): MigrationSource {
  return { location: store.location, look: () => holdingsOf(store), read: store.read };
}

function fileSource(directory: string, configPath: string): MigrationSource {
  return {
    location: `the login files in ${directory}`,
    look: () => holdingsOfFiles(directory, configPath),
    // They have no history, and nothing else is read again.
    read: async () => undefined,
  };
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function nextStep(from: StoreSettings['kind'], to: StoreSettings['kind']): string {
  const [set] = STORE_VARIABLES[to];
  const [remove] = STORE_VARIABLES[from];
  const old =
    from === 'directory' || from === to ? '' : `, without those of the old one (${remove} and the like)`;
  return `Next: give every host the variables of the new store (${set} and the like)${old}, and run cliproxyapi-sync sync there. The old store was left as it is.`;
}
