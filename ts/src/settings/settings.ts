import { hostname } from 'node:os';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import type { HistoryKeep } from '../sync/rules/expendable.ts';
import { type EnvFile, readEnvFile } from './env-file.ts';
import { historyKeepFrom } from './history-keep.ts';
import { isWithin, type Paths, pathsFrom } from './paths.ts';
import { SettingsError } from './settings-error.ts';
import { chooseStore, STORE_VARIABLES, type StoreChoice, type StoreSettings } from './store-settings.ts';
import { type Environment, lookup, lookupWithEmpty } from './variables.ts';

/** Everything that variables decide, checked. All paths are absolute; whether they exist was not looked at. */
export interface Settings extends StoreChoice {
  /** `CLIPROXY_HOME`, default `~/.cli-proxy-api`: the proxy's config, and the auth dir below. */
  readonly proxyHome: string;
  /** Where the proxy reads and writes credentials. */
  readonly authDir: string;
  /** The auth dirs of other store modes and stores, which may have been used before. */
  readonly otherAuthDirs: readonly string[];
  /** `CLIPROXY_CCS_DIR`, default `~/.ccs/cliproxy/auth`; undefined if it is set to nothing: CCS is off. */
  readonly ccsDir: string | undefined;
  /** `cliproxyapi-sync` in `XDG_STATE_HOME` (default `~/.local/state`): base, lock, local history. */
  readonly stateDir: string;
  /** `CLIPROXY_BIN`: an absolute path, or a name to look up in PATH. Default `cliproxyapi`. */
  readonly proxyProgram: string;
  /** `CLIPROXY_CONFIG_TEMPLATE`: instead of `config.template.yaml` in the proxy's home. Absolute. */
  readonly configTemplate: string | undefined;
  /** `CLIPROXY_CONFIG_DEFAULT`: the template where there is no other, no config and none in the store. Absolute. */
  readonly configDefault: string | undefined;
  /** `CLIPROXY_STORE_MODE`: who talks to the store, only we (`managed`) or the proxy too (`native`). */
  readonly storeMode: StoreMode;
  /** `CLIPROXY_LOCK_WAIT` in seconds, default 30: how long a run waits for another one. Here in milliseconds. */
  readonly lockWaitMs: number;
  /** `CLIPROXY_HISTORY_KEEP`, default `20,90d`: how much history a run leaves. Undefined: all of it. */
  readonly historyKeep: HistoryKeep | undefined;
  /** `CLIPROXY_HOST_NAME`, default this machine's name: what history calls this host. */
  readonly hostName: string;
  /** The env files that were read, the first named first. */
  readonly envFiles: readonly string[];
  /** Where the values came from; for the proxy's environment and its config template. Holds secrets. */
  readonly environment: Environment;
  /** What a person should be told, one sentence each, without any secret. */
  readonly warnings: readonly string[];
}

export type StoreMode = 'managed' | 'native';

export interface SettingsSource {
  /** The process's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--env-file`: instead of `CLIPROXY_ENV_FILE` and the default one. Relative to the working directory. */
  readonly envFile?: string;
  /** `--store`: the one to use, whatever else is configured. */
  readonly store?: StoreSettings['kind'];
  /** Instead of HOME. */
  readonly home?: string;
}

/**
 * Reads the env files and checks all settings.
 *
 * @throws SettingsError (exit 78) naming the variable or file.
 */
export async function loadSettings({ env, envFile, store, home }: SettingsSource): Promise<Settings> {
  const paths = pathsFrom([{ values: env }], home);
  const files: EnvFile[] = [];
  for (const { path, source, mayBeMissing, option } of envFilesToRead(env, paths, envFile)) {
    const file = await readEnvFile(path, source, mayBeMissing, option);
    if (file !== undefined) files.push(file);
  }
  return settingsFrom({ env, files, ...(store && { store }), ...(home !== undefined && { home }) });
}

/** The env files that count, the first named first. */
export function envFilesToRead(
  env: SettingsSource['env'],
  paths: Paths,
  argument: string | undefined,
): {
  readonly path: string;
  readonly source: string;
  readonly mayBeMissing: boolean;
  readonly option?: string;
}[] {
  if (argument !== undefined) {
    const source = '--env-file';
    if (argument.trim() === '')
      throw new SettingsError(`${source} names no file`, `Give ${source} the path of a file.`);
    const path = argument.startsWith('~/') ? paths.absolute(argument, source) : resolve(argument);
    return [{ path, source, mayBeMissing: false }];
  }
  const source = 'CLIPROXY_ENV_FILE';
  // The Nix modules set both variables.
  const option = lookup([{ values: env }], 'CLIPROXY_ENV_FILE_OPTION') ?? source;
  const named = lookup([{ values: env }], source);
  if (named !== undefined) {
    return named
      .split(delimiter)
      .map((path) => path.trim())
      .filter((path) => path !== '')
      .map((path) => ({ path: paths.absolute(path, source), source, mayBeMissing: false, option }));
  }
  // Without a HOME there is no default file; whatever else needs one says so.
  if (paths.homeDir === undefined) return [];
  return [{ path: join(paths.homeDir, 'dotfiles/.env'), source, mayBeMissing: true, option }];
}

/** The settings that this environment and these env files (the first named first) give. Pure. */
export function settingsFrom({
  env,
  files = [],
  store,
  home,
  host = hostname(),
}: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly files?: readonly EnvFile[];
  readonly store?: StoreSettings['kind'];
  readonly home?: string;
  readonly host?: string;
}): Settings {
  const environment: Environment = [{ values: env }, ...[...files].reverse()];
  const paths = pathsFrom(environment, home);
  const proxyHome = paths.variable('CLIPROXY_HOME') ?? join(paths.home('CLIPROXY_HOME'), '.cli-proxy-api');
  const ccsDir = ccsDirFrom(environment, paths);
  const stateDir = stateDirFrom(environment, paths);
  const choice = chooseStore(environment, paths, stateDir, store);
  const storeMode = storeModeFrom(environment, choice);
  const authDirIn = (folder: string) => join(proxyHome, folder, 'auths');
  const authDir = authDirIn(LOCAL_FOLDERS[storeMode === 'native' ? choice.store.kind : 'directory']);
  const settings: Settings = {
    ...choice,
    proxyHome,
    authDir,
    otherAuthDirs: [...new Set(Object.values(LOCAL_FOLDERS).map(authDirIn))].filter(
      (path) => path !== authDir,
    ),
    ccsDir,
    stateDir,
    proxyProgram: proxyProgramFrom(environment, paths),
    configTemplate: paths.variable('CLIPROXY_CONFIG_TEMPLATE'),
    configDefault: paths.variable('CLIPROXY_CONFIG_DEFAULT'),
    storeMode,
    lockWaitMs: lockWaitFrom(environment),
    historyKeep: historyKeepFrom(lookup(environment, 'CLIPROXY_HISTORY_KEEP')),
    hostName: lookup(environment, 'CLIPROXY_HOST_NAME') ?? host,
    envFiles: files.map(({ path }) => path),
    environment,
    warnings: [
      ...files.flatMap(({ warnings }) => warnings),
      ...localPathWarnings(environment, choice, proxyHome),
    ],
  };
  refuseOverlaps(settings);
  return settings;
}

/**
 * The folder below its local path in which the proxy keeps a native store's copy (cmd/server/main.go), and for
 * `directory` the one of managed mode.
 */
const LOCAL_FOLDERS = {
  postgres: 'pgstore',
  s3: 'objectstore',
  git: 'gitstore',
  directory: 'objectstore',
} as const;

function ccsDirFrom(environment: Environment, paths: Paths): string | undefined {
  const value = lookupWithEmpty(environment, 'CLIPROXY_CCS_DIR');
  if (value === '') return undefined;
  if (value !== undefined) return paths.absolute(value, 'CLIPROXY_CCS_DIR');
  return join(paths.home('CLIPROXY_CCS_DIR'), '.ccs/cliproxy/auth');
}

/** The directory of our state, whatever else is set. */
export function stateDirFrom(environment: Environment, paths: Paths): string {
  const value = lookup(environment, 'XDG_STATE_HOME');
  // "All paths set in these environment variables must be absolute. If an implementation encounters a relative
  // path [...] it should consider the path invalid and ignore it" (XDG Base Directory Specification 0.8).
  const parent =
    value !== undefined && (isAbsolute(value) || value.startsWith('~/'))
      ? paths.absolute(value, 'XDG_STATE_HOME')
      : join(paths.home('XDG_STATE_HOME'), '.local/state');
  return join(parent, 'cliproxyapi-sync');
}

function storeModeFrom(environment: Environment, { store }: StoreChoice): StoreMode {
  const value = lookup(environment, 'CLIPROXY_STORE_MODE') ?? 'managed';
  if (value !== 'managed' && value !== 'native') {
    throw new SettingsError(
      'CLIPROXY_STORE_MODE is neither managed nor native',
      'Set it to one of the two, or remove it.',
    );
  }
  if (value === 'native' && store.kind === 'directory') {
    throw new SettingsError(
      'CLIPROXY_STORE_MODE is native, and no store that the proxy itself has is configured',
      'Configure PostgreSQL, S3 or Git, or remove CLIPROXY_STORE_MODE.',
    );
  }
  return value;
}

function proxyProgramFrom(environment: Environment, paths: Paths): string {
  const value = lookup(environment, 'CLIPROXY_BIN') ?? 'cliproxyapi';
  return value.includes('/') || value === '~' ? paths.absolute(value, 'CLIPROXY_BIN') : value;
}

function lockWaitFrom(environment: Environment): number {
  const value = lookup(environment, 'CLIPROXY_LOCK_WAIT') ?? '30';
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(seconds <= MAX_LOCK_WAIT_S)) {
    throw new SettingsError(
      `CLIPROXY_LOCK_WAIT is not a number of seconds from 0 to ${MAX_LOCK_WAIT_S}`,
      'Set it to such a number, or remove it.',
    );
  }
  return seconds * 1000;
}

const MAX_LOCK_WAIT_S = 3600;

/** A proxy that ran by itself may have credentials where these variables point. */
function localPathWarnings(environment: Environment, { store }: StoreChoice, proxyHome: string): string[] {
  return STORE_VARIABLES[store.kind]
    .filter((name) => name.endsWith('_LOCAL_PATH'))
    .filter((name) => ![undefined, proxyHome].includes(lookup(environment, name)?.replace(/\/+$/, '')))
    .map((name) => `${name} has no effect: CLIPROXY_HOME says where the proxy's files are`);
}

/** Places that lie in one another would be synced with themselves, or trigger the watch on every run. */
function refuseOverlaps({ authDir, ccsDir, stateDir, store, proxyHome }: Settings): void {
  const auth = { path: authDir, name: `the auth dir (CLIPROXY_HOME is ${proxyHome})` };
  const ccs = ccsDir === undefined ? [] : [{ path: ccsDir, name: 'CLIPROXY_CCS_DIR' }];
  // Only these: a store whose folder also holds other things is a person's own choice.
  const folders = store.kind === 'directory' ? ['auths', 'backup/auths', 'sync'] : [];
  const root = store.kind === 'directory' ? store.path : '';
  const stores = folders.map((folder) => ({ path: join(root, folder), name: 'LOCALSTORE_PATH' }));
  const state = { path: stateDir, name: 'the state directory (XDG_STATE_HOME)' };
  const refuse = (one: { name: string }, other: { name: string }) => {
    throw new SettingsError(
      `${one.name} and ${other.name} lie in one another`,
      'Set one of them to a directory of its own.',
    );
  };
  for (const [index, watched] of [auth, ...ccs].entries()) {
    for (const other of [...(index === 0 ? ccs : []), ...stores]) {
      if (isWithin(other.path, watched.path) || isWithin(watched.path, other.path)) refuse(watched, other);
    }
    if (isWithin(state.path, watched.path)) refuse(watched, state);
  }
}
