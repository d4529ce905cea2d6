/** Several hosts as folders, with one directory store between them: the real `run` on real files. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { directoryStore } from '../../ts/src/stores/directory.ts';
import { type Store, StoreError } from '../../ts/src/stores/store.ts';
import type { Choices } from '../../ts/src/sync/look.ts';
import type { LocalPlace } from '../../ts/src/sync/model.ts';
import type { HistoryKeep } from '../../ts/src/sync/rules/expendable.ts';
import { type RunReport, type RunRequest, run } from '../../ts/src/sync/run.ts';

export type Content = Readonly<Record<string, unknown>>;

/** A login whose token was refreshed in this hour: a higher hour is fresher. All are of the same size. */
export function login(hour: number, extra: Content = {}): Content {
  const two = String(hour).padStart(2, '0');
  return {
    type: 'claude',
    email: 'user@example.com',
    access_token: `access-${two}`,
    refresh_token: `refresh-${two}`,
    last_refresh: new Date(Date.UTC(2024, 4, 1, hour)).toISOString(),
    ...extra,
  };
}

export interface RunOptions {
  readonly command?: 'sync' | 'hydrate';
  readonly dryRun?: boolean;
  readonly allowDelete?: readonly string[];
  readonly lockWaitMs?: number;
  readonly choices?: Choices;
  readonly historyKeep?: HistoryKeep;
  /** Puts something between the run and the store. */
  readonly through?: (store: Store) => Store;
}

export interface Host {
  readonly name: string;
  readonly directories: Readonly<Record<LocalPlace, string>>;
  readonly stateDir: string;
  readonly storePath: string;
  run(options?: RunOptions): Promise<RunReport>;
  /** Runs, and throws unless the run says that all is done. */
  sync(options?: RunOptions): Promise<RunReport>;
  put(place: LocalPlace, name: string, content: Content | string | Uint8Array): void;
  remove(place: LocalPlace, name: string): void;
  /** The content of a credential; undefined if it is not there. */
  read(place: LocalPlace, name: string): Content | undefined;
  names(place: LocalPlace): string[];
  /** Makes a file look as if it was last written so many seconds ago. */
  age(place: LocalPlace, name: string, seconds: number): void;
  /** The state's files as they are now, to be put back as they were: the host crashed before it wrote them. */
  saveState(): () => void;
}

export interface World {
  readonly root: string;
  readonly storePath: string;
  host(name: string, options?: { readonly ccs?: boolean }): Host;
  /** What the store holds under a key below it, as JSON; undefined if it is not there. */
  stored(key: string): Content | undefined;
  store: {
    put(area: 'auths' | 'backup/auths', name: string, content: Content | string): void;
    remove(area: 'auths' | 'backup/auths', name: string): void;
    names(area: 'auths' | 'backup/auths' | 'sync/tombstones'): string[];
    /** Contents of all kept versions of a credential. */
    history(name: string): Content[];
  };
}

export function world(): World {
  const root = mkdtempSync(join(tmpdir(), 'cliproxyapi-sync-scenario-'));
  onTestFinished(() => {
    for (const path of files(root)) if (lstatSync(path).isDirectory()) chmodSync(path, 0o700);
    rmSync(root, { recursive: true, force: true });
  });
  const storePath = join(root, 'store');
  const pathIn = (area: string, name: string) => join(storePath, area, name);
  return {
    root,
    storePath,
    host: (name, { ccs = true } = {}) => makeHost(root, storePath, name, ccs),
    stored: (key) => readJson(join(storePath, key)),
    store: {
      put: (area, name, content) => write(pathIn(area, name), content),
      remove: (area, name) => rmSync(pathIn(area, name)),
      names: (area) => jsonNames(join(storePath, area)),
      history: (name) => {
        const directory = join(storePath, 'sync/history', name);
        if (!existsSync(directory)) return [];
        return readdirSync(directory)
          .filter((file) => /^[0-9a-f]{64}\.json$/.test(file))
          .map((file) => readJson(join(directory, file)) as Content);
      },
    },
  };
}

function makeHost(root: string, storePath: string, name: string, ccs: boolean): Host {
  const home = join(root, name);
  const directories = { auth: join(home, 'auths'), ccs: join(home, 'ccs/auth') };
  const stateDir = join(home, 'state');
  mkdirSync(directories.auth, { recursive: true });
  if (ccs) mkdirSync(directories.ccs, { recursive: true });
  const request = (options: RunOptions): RunRequest => ({
    permissions: { store: options.command !== 'hydrate' },
    authDir: directories.auth,
    ccsDir: ccs ? directories.ccs : undefined,
    stateDir,
    hostName: name,
    lockWaitMs: options.lockWaitMs ?? 10_000,
    dryRun: options.dryRun ?? false,
    allowDelete: new Set((options.allowDelete ?? []) as CredentialName[]),
    ...(options.choices && { choices: options.choices }),
    ...(options.historyKeep && { historyKeep: options.historyKeep }),
    openStore: async (state) => {
      const store = directoryStore({ path: storePath }, state.memory('dir'));
      return options.through ? options.through(store) : store;
    },
  });
  const host: Host = {
    name,
    directories,
    stateDir,
    storePath,
    run: (options = {}) => run(request(options)),
    async sync(options = {}) {
      const report = await host.run(options);
      if (report.exitCode !== 0) {
        const { exitCode, problems, held, guard, stopped, storeError, results } = report;
        const failures = results.flatMap((result) => result.failures);
        throw new Error(
          JSON.stringify({
            exitCode,
            problems,
            held,
            guard,
            stopped,
            storeError: storeError?.message,
            failures,
          }),
        );
      }
      return report;
    },
    put: (place, file, content) => write(join(directories[place], file), content),
    remove: (place, file) => rmSync(join(directories[place], file)),
    read: (place, file) => readJson(join(directories[place], file)),
    names: (place) => jsonNames(directories[place]),
    age(place, file, seconds) {
      const then = Date.now() / 1000 - seconds;
      utimesSync(join(directories[place], file), then, then);
    },
    saveState() {
      const saved = files(stateDir)
        .filter((path) => lstatSync(path).isFile())
        .map((path) => [path, readFileSync(path)] as const);
      return () => {
        rmSync(stateDir, { recursive: true, force: true });
        for (const [path, bytes] of saved) write(path, bytes);
      };
    },
  };
  return host;
}

/** A store that is out of reach. */
export function unreachable(store: Store): Store {
  const fail = async () => {
    throw new StoreError('unreachable', 'nobody answers.', 'Try again.');
  };
  return { ...store, list: fail, read: fail, prepare: fail, commit: fail, history: fail };
}

/** All paths below a directory, itself included, in order. */
export function files(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const below = (path: string): string[] =>
    readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
      const here = join(path, entry.name);
      return entry.isDirectory() ? [here, ...below(here)] : [here];
    });
  return [directory, ...below(directory)].sort();
}

/** Everything that can be seen of a tree: names, kinds, contents, and when and as what each file was written. */
export function fingerprint(directory: string): string[] {
  return files(directory).map((path) => {
    const status = lstatSync(path);
    const stamp = `${path} ${status.mode} ${status.ino} ${status.mtimeMs}`;
    if (status.isFile()) return `${stamp} ${readFileSync(path).toString('base64')}`;
    return status.isSymbolicLink() ? `${stamp} ${readlinkSync(path)}` : stamp;
  });
}

export function write(path: string, content: Content | string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(
    path,
    typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
  );
}

function readJson(path: string): Content | undefined {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8').replace(/^\ufeff/, '')) : undefined;
}

function jsonNames(directory: string): string[] {
  return files(directory)
    .filter((path) => path.endsWith('.json') && lstatSync(path).isFile())
    .map((path) => path.slice(directory.length + 1));
}

/** A program that dies at a step of the store's `commit`: before it, after some parts of each change, or after it. */
export function killedAt(
  keeps: 'nothing' | 'history' | 'tombstone' | 'current' | 'all',
): (store: Store) => Store {
  return (store) => ({
    ...store,
    async commit(changes) {
      if (keeps === 'history') await store.commit(changes.map(({ name, keep }) => ({ name, keep })));
      if (keeps === 'tombstone')
        await store.commit(changes.map(({ current: _, backup: __, ...rest }) => rest));
      if (keeps === 'current') await store.commit(changes.map(({ backup: _, ...rest }) => rest));
      if (keeps === 'all') await store.commit(changes);
      throw new Error('killed');
    },
  });
}
