/** A user with services: a real systemd of their own, the units that the flake renders, the bundles behind them. */
import { execFile } from 'node:child_process';
import { accessSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { STAND_IN_PROXY } from '../support/bundle.ts';
import { startUserSystemd, type UserSystemd, whyNoSystemd } from '../support/systemd.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const BUNDLES = process.env.BUNDLES_DIR ?? here('../../ts/dist');
const FILES = here('../../nix/switch/files.nix');

/** Why these tests cannot run here; undefined if they can. Said once, by the file that asks. */
export function whyNot(): string | undefined {
  const missing = missingNix() ?? whyNoSystemd();
  if (missing !== undefined) console.warn(`\nSKIPPED: tests of real services: ${missing}\n`);
  return missing;
}

/** Why nothing can be rendered here; undefined if it can. */
export function missingNix(): string | undefined {
  const inPath = (process.env.PATH ?? '').split(delimiter);
  if (!inPath.some((directory) => isThere(join(directory, 'nix-instantiate')))) {
    return 'nix-instantiate is not in PATH (Debian: apt-get install nix-bin)';
  }
  return undefined;
}

export interface User {
  readonly systemd: UserSystemd;
  readonly authDir: string;
  readonly ccsDir: string;
  readonly unitDir: string;
  readonly stateDir: string;
  /** Renders the services with these settings over the defaults. */
  render(settings?: Readonly<Record<string, unknown>>): Promise<string>;
  /** `cliproxyapi-sync services ...` */
  services(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>;
  /** A shell script as a program of that name, in a directory of its own for PATH. */
  program(name: string, script: string): Promise<string>;
  /** How often a program was run by its service or by hand: hydrate, backup, start, cliproxyapi-sync. */
  runs(program: string): Promise<number>;
  /** What its programs have said. */
  output(): Promise<string>;
  stop(): Promise<void>;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param variables The env file: the store. */
export async function makeUser(variables: Readonly<Record<string, string>>): Promise<User> {
  const systemd = await startUserSystemd();
  const { home, env } = systemd;
  const directory = await mkdtemp(join(tmpdir(), 'services-'));
  const bin = join(directory, 'bin');
  const log = join(home, 'programs.log');
  await mkdir(bin);
  await mkdir(join(home, 'dotfiles'));
  await mkdir(join(home, '.cli-proxy-api'));
  await writeFile(
    join(home, 'dotfiles/.env'),
    Object.entries(variables)
      .map(([name, value]) => `${name}='${value}'\n`)
      .join(''),
    { mode: 0o600 },
  );
  await writeFile(join(home, '.cli-proxy-api/config.template.yaml'), 'port: 8317\n');
  // As the Nix package wraps them; and their output is kept, which goes to the journal otherwise. That of hydrate goes
  // to who switches.
  const wrap = (program: string, file: string) => {
    const kept = program === 'hydrate' ? '' : `>> '${log}' 2>&1`;
    const text = `#!/bin/sh
echo "run ${program} $*" >> '${log}'
exec '${process.execPath}' -- '${file}' "$@" ${kept}
`;
    return writeFile(join(bin, program), text, { mode: 0o755 });
  };
  for (const program of ['hydrate', 'backup', 'start', 'cliproxyapi-sync'])
    await wrap(program, join(BUNDLES, `${program}.mjs`));
  await wrap('proxy', STAND_IN_PROXY);
  const proxy = join(bin, 'proxy');

  return {
    systemd,
    authDir: join(home, '.cli-proxy-api/objectstore/auths'),
    ccsDir: join(home, '.ccs/cliproxy/auth'),
    unitDir: join(home, '.config/systemd/user'),
    stateDir: join(home, '.local/state/cliproxyapi-sync'),
    render: (settings = {}) =>
      render(directory, { bin, proxy, path: [dirname(process.execPath), '/usr/bin', '/bin'], ...settings }),
    services: (args, extra = {}) =>
      ended(process.execPath, ['--', join(BUNDLES, 'cliproxyapi-sync.mjs'), 'services', ...args], {
        ...env,
        ...extra,
      }),
    async program(name, script) {
      const place = await mkdtemp(join(directory, 'program-'));
      await writeFile(join(place, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      return place;
    },
    runs: async (program) =>
      (await readFile(log, 'utf8').catch(() => ''))
        .split('\n')
        .filter((line) => line.startsWith(`run ${program} `)).length,
    output: () => readFile(log, 'utf8').catch(() => ''),
    async stop() {
      await systemd.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What `nix build .#switch.services` gives, made by evaluation alone. */
async function render(directory: string, settings: Readonly<Record<string, unknown>>): Promise<string> {
  const target = await mkdtemp(join(directory, 'rendered-'));
  for (const [name, text] of Object.entries(await renderedFiles('systemd', settings))) {
    await mkdir(dirname(join(target, name)), { recursive: true });
    await writeFile(join(target, name), text);
  }
  return target;
}

export async function renderedFiles(
  manager: 'systemd' | 'launchd',
  settings: Readonly<Record<string, unknown>>,
): Promise<Record<string, string>> {
  const expression = `{ manager, settings }: import ${FILES} { inherit manager; settings = builtins.fromJSON settings; }`;
  const args = ['--eval', '--strict', '--json', '-E', expression];
  const values = ['--argstr', 'manager', manager, '--argstr', 'settings', JSON.stringify(settings)];
  // Evaluation needs no store; where there is none that this user may write, it is not in the way.
  const env = { ...process.env, NIX_REMOTE: process.env.NIX_REMOTE ?? 'dummy://' };
  const { stdout } = await promisify(execFile)('nix-instantiate', [...args, ...values], { env });
  return JSON.parse(stdout) as Record<string, string>;
}

/** A login as the proxy writes it; each call another version. */
export function credential(email: string, at = Date.now()): string {
  const token = () => Buffer.from(`${Math.random()}${at}`).toString('base64url');
  return JSON.stringify({
    access_token: token(),
    account_id: '1',
    email,
    expired: new Date(at + 8 * 3600_000).toISOString(),
    id_token: '',
    last_refresh: new Date(at).toISOString(),
    refresh_token: token(),
    type: 'claude',
  });
}

/** Waits until `probe` gives something other than undefined and false. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  timeoutMs = 20_000,
  everyMs = 50,
): Promise<T> {
  for (const end = Date.now() + timeoutMs; ; await sleep(everyMs)) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function ended(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(program, args, { env, encoding: 'utf8' }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 128 : 0, stdout, stderr });
    });
  });
}

export function isThere(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

/** What a directory holds, names sorted; nothing if it is missing. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}
