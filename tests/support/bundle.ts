import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The programs as users get them: single files in `ts/dist`, run as processes of their own. */
export type BundleName = 'hydrate' | 'backup' | 'start' | 'wrapper' | 'cliproxyapi-sync';

/** A user's home on one host, with everything that our programs look for below it. */
export interface Home {
  /** What history calls this host. */
  readonly name: string;
  /** HOME. */
  readonly path: string;
  readonly proxyHome: string;
  readonly authDir: string;
  /** It is there only if `makeHome` was asked for it: without the directory CCS is off. */
  readonly ccsDir: string;
  readonly stateDir: string;
  /** Where the store's variables are, and CLIPROXY_BIN. */
  readonly envFile: string;
  /** All of the environment that programs of this user get. */
  readonly env: Readonly<Record<string, string>>;
}

/** Undefined means what a user has who set nothing: the directory store below the state directory. */
export type HomeStore =
  | {
      readonly kind: 's3';
      readonly endpoint: string;
      readonly bucket: string;
      readonly accessKey: string;
      readonly secretKey: string;
    }
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'variables'; readonly variables: Readonly<Record<string, string>> }
  | { readonly kind: 'postgres'; readonly dsn: string; readonly schema: string }
  | { readonly kind: 'git'; readonly url: string; readonly token?: string }
  | undefined;

export interface HomeOptions {
  readonly store: HomeStore;
  /** CLIPROXY_BIN. Default: the stand-in. */
  readonly proxy?: string;
  /** Whether this user has CCS. */
  readonly ccs?: boolean;
  /** config.template.yaml. */
  readonly template?: string;
}

export interface RunOptions {
  /** Default: the Node that runs this. */
  readonly node?: string;
  /** Over the home's own; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** A run that takes longer is killed, and is an error. Default a minute. */
  readonly timeoutMs?: number;
  /** What it reads on standard input, then the end of it. Default nothing. */
  readonly input?: string;
}

export interface Ended {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** What it has written so far, both streams in the order of their arrival. */
  output(): string;
  /** Rejects if it could not be run, or ran out of time. */
  readonly ended: Promise<Ended>;
}

/** The stand-in for CLIProxyAPI. */
export const STAND_IN_PROXY = fileURLToPath(new URL('./stand-in-proxy.mjs', import.meta.url));

/** Where the bundles are: `BUNDLES_DIR`, to try others than those that `make bundles` made. */
const BUNDLES_DIR = process.env.BUNDLES_DIR ?? fileURLToPath(new URL('../../ts/dist', import.meta.url));

export function bundlePath(name: BundleName): string {
  return join(BUNDLES_DIR, `${name}.mjs`);
}

/** Makes `root/name` a user's home: an env file, a config template, an empty auth dir. */
export async function makeHome(root: string, name: string, options: HomeOptions): Promise<Home> {
  const path = join(root, name);
  const proxyHome = join(path, '.cli-proxy-api');
  const home: Home = {
    name,
    path,
    proxyHome,
    authDir: join(proxyHome, 'objectstore/auths'),
    ccsDir: join(path, '.ccs/cliproxy/auth'),
    stateDir: join(path, '.local/state/cliproxyapi-sync'),
    envFile: join(path, 'dotfiles/.env'),
    // Nothing of the caller's: a variable of a developer's own store must not reach a test.
    env: {
      HOME: path,
      PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
      XDG_STATE_HOME: join(path, '.local/state'),
      XDG_CONFIG_HOME: join(path, '.config'),
      // All that programs keep there is what V8 made of their code, which takes longer than most runs.
      XDG_CACHE_HOME: process.env.TESTS_CACHE_HOME ?? ownCache(path),
      LANG: 'C.UTF-8',
      CLIPROXY_HOST_NAME: name,
    },
  };
  const directories = [home.authDir, dirname(home.envFile), ...(options.ccs ? [home.ccsDir] : [])];
  for (const directory of directories) await mkdir(directory, { recursive: true, mode: 0o700 });
  const variables = { ...storeVariables(options.store), CLIPROXY_BIN: options.proxy ?? STAND_IN_PROXY };
  const lines = Object.entries(variables).map(([variable, value]) => `${variable}='${value}'\n`);
  await writeFile(home.envFile, lines.join(''), { mode: 0o600 });
  await writeFile(join(proxyHome, 'config.template.yaml'), options.template ?? 'port: 8317\n');
  return home;
}

/** XDG_CACHE_HOME of a home whose programs compile for themselves, as on a machine of its own. */
export function ownCache(home: string): string {
  return join(home, '.cache');
}

/** Runs one of our programs to its end. */
export function runBundle(
  name: BundleName,
  args: readonly string[],
  home: Home,
  options: RunOptions = {},
): Promise<Ended> {
  return startBundle(name, args, home, options).ended;
}

/** Starts one of our programs. */
export function startBundle(
  name: BundleName,
  args: readonly string[],
  home: Home,
  options: RunOptions = {},
): Running {
  return startProgram(options.node ?? process.execPath, [bundlePath(name), ...args], home, options);
}

/** Starts any program as the user of a home. */
export function startProgram(
  program: string,
  args: readonly string[],
  home: Home,
  { env = {}, cwd = home.path, timeoutMs = 60_000, input = '' }: RunOptions = {},
): Running {
  const merged = Object.entries({ ...home.env, ...env }).filter(([, value]) => value !== undefined);
  const child = spawn(program, args, { cwd, env: Object.fromEntries(merged), stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  let both = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    both += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    both += text;
  });
  // It may end without reading.
  child.stdin.on('error', () => undefined).end(input);
  const ended = new Promise<Ended>((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (late) reject(new Error(`${program} ${args.join(' ')} took longer than ${timeoutMs} ms\n${both}`));
      else resolve({ code, signal, stdout, stderr });
    });
  });
  return {
    pid: child.pid ?? 0,
    kill: (signal) => void child.kill(signal),
    output: () => both,
    ended,
  };
}

function storeVariables(store: HomeStore): Record<string, string> {
  switch (store?.kind) {
    case 's3':
      return {
        OBJECTSTORE_ENDPOINT: store.endpoint,
        OBJECTSTORE_BUCKET: store.bucket,
        OBJECTSTORE_ACCESS_KEY: store.accessKey,
        OBJECTSTORE_SECRET_KEY: store.secretKey,
      };
    case 'directory':
      return { LOCALSTORE_PATH: store.path };
    case 'variables':
      return store.variables;
    case 'postgres':
      return { PGSTORE_DSN: store.dsn, PGSTORE_SCHEMA: store.schema };
    case 'git':
      return {
        GITSTORE_GIT_URL: store.url,
        ...(store.token !== undefined && { GITSTORE_GIT_TOKEN: store.token }),
      };
    case undefined:
      return {};
  }
}
