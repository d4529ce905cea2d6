/** Users whose proxy runs natively, and the store between them, as any other program sees and changes it. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test as base } from 'vitest';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { settingsFrom } from '../../ts/src/settings/settings.ts';
import { openStore } from '../../ts/src/stores/open.ts';
import type { Store } from '../../ts/src/stores/store.ts';
import {
  type BundleName,
  type Home,
  type HomeOptions,
  makeHome,
  type Running,
  type RunOptions,
  startBundle,
  startProgram,
} from './bundle.ts';
import { git, makeRepository, repositoryFromOutside } from './git.ts';
import { forgetfulMemory } from './memory.ts';
import { bucketFromOutside } from './outside.ts';
import { postgres, postgresServer, schemaFromOutside } from './postgres-outside.ts';
import { s3Server, server } from './s3.ts';

export type NativeKind = 's3' | 'postgres' | 'git';

/** The stores whose server is installed. */
export const NATIVE_KINDS: readonly NativeKind[] = [
  ...(s3Server ? (['s3'] as const) : []),
  ...(postgresServer ? (['postgres'] as const) : []),
  'git',
];

/** The stand-in for a native proxy. */
export const NATIVE_PROXY = fileURLToPath(new URL('./native-proxy/native-proxy.mjs', import.meta.url));

/** The proxy's own part of a store, written without any condition. */
export interface NativeStore {
  /** The store's variables. */
  readonly variables: Readonly<Record<string, string>>;
  /** The same for a server that nobody can reach. */
  readonly unreachable: Readonly<Record<string, string>>;
  /** Credentials, and whatever else is among them, by name. */
  read(): Promise<Record<string, unknown>>;
  /** Undefined removes. */
  write(name: string, content: unknown): Promise<void>;
  config(): Promise<string | undefined>;
  writeConfig(text: string): Promise<void>;
  /** What changes whenever the proxy's part is written. */
  fingerprint(): Promise<string>;
  remove(): Promise<void>;
}

export interface NativeWorld {
  readonly root: string;
  readonly kind: NativeKind;
  readonly store: NativeStore;
  /** A home in native mode; `authDir` is the mirror. */
  home(name?: string, options?: Partial<HomeOptions>): Promise<NativeHome>;
  /** Something that is ended with the test. */
  start(home: Home, program: BundleName, args?: readonly string[], options?: RunOptions): Running;
  /** The stand-in, or another program, by itself, with nothing of ours around it. */
  startAlone(home: NativeHome, options?: RunOptions & AloneOptions): Running;
  /** A program's line to a native stand-in, and its answer. */
  tell(home: NativeHome, command: string): Promise<void>;
  /** The versions of a credential that the store's history has, and those kept on these hosts. */
  kept(name: string, homes?: readonly Home[]): Promise<unknown[]>;
  tombstones(): Promise<string[]>;
  configHistory(): Promise<string[]>;
}

export interface AloneOptions {
  readonly program?: string;
  readonly args?: readonly string[];
}

export interface NativeHome extends Home {
  readonly socket: string;
}

interface Fixtures {
  readonly kind: NativeKind;
  readonly native: NativeWorld;
}

/** A test that gets a world of its own; `test.override({ kind })` says with which store. */
export const test = base.extend<Fixtures>({
  kind: 'git',
  async native({ kind }, use) {
    const root = await realpath(await mkdtemp(join(tmpdir(), 'native-')));
    const ends: (() => Promise<unknown>)[] = [];
    const store = await { s3: s3Store, postgres: postgresStore, git: gitRepository }[kind](root);
    await use(nativeWorld(root, kind, store, ends)).finally(async () => {
      for (const end of ends.reverse()) await end();
      await store.remove();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    });
  },
});

function nativeWorld(
  root: string,
  kind: NativeKind,
  store: NativeStore,
  ends: (() => Promise<unknown>)[],
): NativeWorld {
  const ended = (running: Running) => {
    ends.push(async () => {
      running.kill('SIGTERM');
      await running.ended.catch(() => undefined);
    });
    return running;
  };
  const folder = { s3: 'objectstore', postgres: 'pgstore', git: 'gitstore' }[kind];
  const ours = async <T>(look: (ours: Store) => Promise<T>): Promise<T> => {
    const settings = settingsFrom({ env: { HOME: root, ...store.variables } });
    const opened = await openStore(settings.store, () => forgetfulMemory, join(root, 'looking'));
    try {
      await opened.list();
      return await look(opened);
    } finally {
      await opened.close();
    }
  };
  return {
    root,
    kind,
    store,
    async home(name = 'laptop', options = {}) {
      const home = await makeHome(root, name, { store: undefined, proxy: NATIVE_PROXY, ...options });
      const variables = { ...store.variables, CLIPROXY_STORE_MODE: 'native', CLIPROXY_LOCK_WAIT: '5' };
      const lines = Object.entries(variables).map(([variable, value]) => `${variable}='${value}'\n`);
      await writeFile(home.envFile, lines.join(''), { flag: 'a' });
      const socket = join(root, `${name}.sock`);
      const authDir = join(home.proxyHome, folder, 'auths');
      return { ...home, authDir, socket, env: { ...home.env, NATIVE_SOCKET: socket } };
    },
    start: (home, program, args = [], options = {}) => ended(startBundle(program, args, home, options)),
    startAlone(home, { env = {}, program = NATIVE_PROXY, args = [], ...options } = {}) {
      const local = Object.fromEntries(
        ['PGSTORE', 'OBJECTSTORE', 'GITSTORE'].map((name) => [`${name}_LOCAL_PATH`, home.proxyHome]),
      );
      const environment = { ...store.variables, ...local, ...env };
      return ended(startProgram(program, args, home, { ...options, env: environment }));
    },
    tell: ({ socket }, command) =>
      new Promise((resolve, reject) => {
        let answer = '';
        const connection = connect(socket, () => connection.write(`${command}\n`));
        connection.setEncoding('utf8').on('data', (text: string) => {
          answer += text;
        });
        connection.once('error', reject);
        connection.once('close', () =>
          answer === 'ok\n' ? resolve() : reject(new Error(`${command}: ${answer}`)),
        );
      }),
    kept: (name, homes = []) =>
      ours(async (opened) => {
        const found: unknown[] = [];
        const records = await opened.history([name as CredentialName]);
        await opened.read(
          records.map((record) => ({ area: 'history', name: record.name, id: record.id })),
          (_, answer) => {
            if (answer.kind === 'object') found.push(JSON.parse(Buffer.from(answer.bytes).toString()));
          },
        );
        for (const { stateDir } of homes) {
          const directory = join(stateDir, 'history', name);
          for (const file of existsSync(directory) ? readdirSync(directory) : [])
            found.push(JSON.parse(await readFile(join(directory, file), 'utf8')));
        }
        return found;
      }),
    tombstones: () => ours(async (opened) => [...(await opened.list()).tombstones.keys()].sort()),
    configHistory: () =>
      ours(async (opened) =>
        (await opened.configHistory()).map(({ bytes }) => Buffer.from(bytes).toString()).sort(),
      ),
  };
}

/** A line for the stand-in: what the proxy saves after a refresh. */
export function save(name: string, content: unknown): string {
  return `save ${name} ${JSON.stringify(content)}`;
}

/** Looks until something is so. */
export async function until(
  what: string,
  isSo: () => Promise<boolean> | boolean,
  ms = 15_000,
): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(50);
  }
}

/** Waits for a program to say something. */
export async function says(running: Running, words: RegExp): Promise<string> {
  let isOver = false;
  running.ended.then(
    () => {
      isOver = true;
    },
    () => {
      isOver = true;
    },
  );
  await until(`${words}`, () => words.test(running.output()) || isOver).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${running.output()}`);
  });
  const [found] = words.exec(running.output()) ?? [];
  if (found === undefined) throw new Error(`it ended without ${words}\n${running.output()}`);
  return found;
}

async function s3Store(): Promise<NativeStore> {
  const { endpoint, admin } = server();
  const bucket = `native-${randomBytes(6).toString('hex')}`;
  const outside = bucketFromOutside({ kind: 's3', endpoint, bucket, ...admin });
  await outside.make();
  const variables = {
    OBJECTSTORE_ENDPOINT: endpoint,
    OBJECTSTORE_BUCKET: bucket,
    OBJECTSTORE_ACCESS_KEY: admin.accessKey,
    OBJECTSTORE_SECRET_KEY: admin.secretKey,
  };
  return {
    variables,
    unreachable: { ...variables, OBJECTSTORE_ENDPOINT: 'http://127.0.0.1:9' },
    async read() {
      const keys = (await outside.keys('auths/')).filter((key) => !key.endsWith('/'));
      const pairs = keys.map(async (key) => [key.slice(6), parsed(String(await outside.read(key)))] as const);
      return Object.fromEntries(await Promise.all(pairs));
    },
    write: (name, content) =>
      content === undefined
        ? outside.remove(`auths/${name}`)
        : outside.write(`auths/${name}`, Buffer.from(JSON.stringify(content))),
    config: async () => (await outside.read('config/config.yaml'))?.toString(),
    writeConfig: (text) => outside.write('config/config.yaml', Buffer.from(text)),
    fingerprint: () => outside.fingerprint(),
    remove: async () => outside.close(),
  };
}

async function postgresStore(): Promise<NativeStore> {
  const { uri, port } = postgres();
  const schema = `native_${randomBytes(6).toString('hex')}`;
  const outside = schemaFromOutside(schema);
  const dsn = `${uri}?sslmode=disable`;
  // As the proxy makes them, here for tests that write before anyone else.
  await outside.query(`CREATE SCHEMA ${schema}`);
  for (const [name, type] of Object.entries({ config_store: 'TEXT', auth_store: 'JSONB' }))
    await outside.query(
      `CREATE TABLE ${name} (id TEXT PRIMARY KEY, content ${type} NOT NULL,
       created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW())`,
    );
  return {
    variables: { PGSTORE_DSN: dsn, PGSTORE_SCHEMA: schema },
    unreachable: { PGSTORE_DSN: dsn.replace(`:${port}/`, ':9/'), PGSTORE_SCHEMA: schema },
    async read() {
      const rows = await outside.query<{ id: string; content: unknown }>(
        'SELECT id, content FROM auth_store',
      );
      return Object.fromEntries(rows.map(({ id, content }) => [id, content]));
    },
    async write(name, content) {
      if (content === undefined) await outside.query('DELETE FROM auth_store WHERE id = $1', [name]);
      else await outside.upsert('auth_store', name, JSON.stringify(content));
    },
    config: async () =>
      (await outside.query<{ content: string }>("SELECT content FROM config_store WHERE id = 'config'"))[0]
        ?.content,
    writeConfig: (text) => outside.upsert('config_store', 'config', text),
    fingerprint: () => outside.fingerprint(),
    remove: () => outside.remove(),
  };
}

async function gitRepository(root: string): Promise<NativeStore> {
  const path = join(root, 'remote.git');
  await makeRepository(path, 'main');
  const outside = repositoryFromOutside(path);
  // Not empty: that is the only way for it to have a default branch.
  outside.write('main', { 'auths/.gitkeep': Buffer.alloc(0), 'config/.gitkeep': Buffer.alloc(0) });
  return {
    variables: { GITSTORE_GIT_URL: `file://${path}` },
    unreachable: { GITSTORE_GIT_URL: 'http://127.0.0.1:9/logins.git' },
    async read() {
      const files = outside.files('main').filter((file) => /^auths\/(?!.*\.gitkeep)/.test(file));
      return Object.fromEntries(
        files.map((file) => [file.slice(6), parsed(String(outside.read('main', file)))]),
      );
    },
    async write(name, content) {
      const bytes = content === undefined ? undefined : Buffer.from(JSON.stringify(content));
      outside.write('main', { [`auths/${name}`]: bytes });
    },
    config: async () => outside.read('main', 'config/config.yaml')?.toString(),
    async writeConfig(text) {
      outside.write('main', { 'config/config.yaml': Buffer.from(text) });
    },
    fingerprint: async () => git(path, ['for-each-ref', 'refs/heads/main']).toString(),
    remove: async () => undefined,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Files of a directory, as a program writes them. */
export async function putFiles(directory: string, files: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true, mode: 0o700 });
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    await writeFile(join(directory, name), text, { mode: 0o600 });
  }
}
