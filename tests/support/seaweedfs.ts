import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isExecutable, once } from './programs.ts';

/** A real S3 server, for tests, the demo and the bench. */
export interface SeaweedFs {
  /** `http://127.0.0.1:PORT`. */
  readonly endpoint: string;
  /** May do everything. */
  readonly admin: AccessKeys;
  /** May list and read. */
  readonly reader: AccessKeys;
  readonly pid: number;
  /** Ends it and removes its files. May be called twice. */
  stop(): Promise<void>;
}

export interface AccessKeys {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Milliseconds until it must answer. */
const START_MS = 60_000;
const STOP_MS = 10_000;

/** Where SeaweedFS's program is: `WEED`, the repository's `.venv`, or the path; undefined if it is not installed. */
export function findWeed(): string | undefined {
  const here = fileURLToPath(new URL('../../.venv/bin/weed', import.meta.url));
  const onPath = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'weed'));
  return [process.env.WEED ?? '', here, ...onPath].find((path) => path !== '' && isExecutable(path));
}

/**
 * Starts one server on free ports with all its files in a temporary directory of its own. A port may be taken by
 * another program between the look and its use: then it is tried again on others.
 */
export async function startSeaweedFs(weed: string): Promise<SeaweedFs> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(weed);
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function startOnce(weed: string): Promise<SeaweedFs> {
  const directory = await mkdtemp(join(tmpdir(), 'seaweedfs-'));
  const admin = { accessKey: 'admin-key', secretKey: 'admin-secret' };
  const reader = { accessKey: 'reader-key', secretKey: 'reader-secret' };
  const config = join(directory, 's3.json');
  await writeFile(
    config,
    JSON.stringify({
      identities: [
        identity('admin', admin, ['Admin', 'Read', 'Write', 'List', 'Tagging']),
        identity('reader', reader, ['Read', 'List']),
      ],
    }),
  );
  await mkdir(join(directory, 'data'));
  const log = await open(join(directory, 'log'), 'w');
  const [master = 0, volume = 0, filer = 0, s3 = 0] = await freePorts(4);
  // It makes these itself, wherever TMPDIR is, and leaves them there.
  const sockets = Object.entries({ master, volume, filer, s3 }).map(
    ([part, port]) => `/tmp/seaweedfs-${part}-grpc-${port + 10_000}.sock`,
  );
  const child = spawn(
    'sh',
    [
      '-c',
      KEEPER,
      directory,
      weed,
      // Else it writes log files of its own beside, where nobody removes them.
      '-logtostderr',
      'server',
      `-dir=${join(directory, 'data')}`,
      '-ip=127.0.0.1',
      '-ip.bind=127.0.0.1',
      `-master.port=${master}`,
      '-master.volumeSizeLimitMB=64',
      `-volume.port=${volume}`,
      // Each bucket takes volumes of its own.
      '-volume.max=10000',
      '-volume.minFreeSpace=1',
      '-filer',
      `-filer.port=${filer}`,
      `-filer.localSocket=${join(directory, 'filer.sock')}`,
      '-s3',
      `-s3.port=${s3}`,
      // Further services on fixed ports: only one server on a machine would have them.
      '-s3.port.iceberg=0',
      '-s3.port.lance=0',
      `-s3.config=${config}`,
      `-s3.localSocket=${join(directory, 's3.sock')}`,
    ],
    {
      cwd: directory,
      stdio: ['pipe', log.fd, log.fd],
      env: {
        ...process.env,
        HOME: directory,
        SOCKETS: sockets.join(' '),
        WEED_MASTER_VOLUME_GROWTH_COPY_1: '1',
      },
    },
  );
  await log.close();
  const pid = child.pid ?? 0;
  const stop = once(() => end(child, [directory, ...sockets]));
  const endpoint = `http://127.0.0.1:${s3}`;
  try {
    await answers(endpoint, child);
  } catch (error) {
    const text = await readFile(join(directory, 'log'), 'utf8').catch(() => '');
    await stop();
    throw new Error(`SeaweedFS did not start: ${String(error)}\n${text.slice(-4000)}`);
  }
  return { endpoint, admin, reader, pid, stop };
}

/**
 * Runs the server until standard input closes, which it also does when whoever started it is killed: nothing is
 * left behind then either. `$0` is the directory, `$@` the command.
 */
const KEEPER = `
exec 3<&0
# A signal for all of the run, as Ctrl-C, must not end this before the server.
trap '' HUP INT TERM
"$@" </dev/null 3<&- & pid=$!
(
  read -r _ <&3
  # Asked kindly it takes longer than this, and there is nothing to save.
  kill -9 "$pid"
  rm -rf "$0" $SOCKETS
) 2>/dev/null &
wait "$pid"
`;

function identity(name: string, keys: AccessKeys, actions: readonly string[]) {
  return { name, credentials: [keys], actions };
}

async function answers(endpoint: string, child: ChildProcess): Promise<void> {
  const until = Date.now() + START_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    // Unsigned, so it is refused: but only once the gateway stands on a filer that answers.
    const status = await fetch(`${endpoint}/`, { signal: AbortSignal.timeout(2_000) }).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 403 || status === 200) return;
    if (Date.now() > until) throw new Error(`no answer within ${START_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function end(child: ChildProcess, rubbish: readonly string[]): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode === null && child.signalCode === null) {
    child.stdin?.end();
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
  }
  await Promise.all(rubbish.map((path) => rm(path, { recursive: true, force: true })));
}

/**
 * Ports that are free, and whose twins for gRPC, 10,000 higher, are too; all below 32768, from where Linux gives
 * ports to outgoing connections, the server's own among them.
 */
async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = 11_000 + Math.floor(Math.random() * 11_000);
    if (!found.includes(port) && (await isFree(port)) && (await isFree(port + 10_000))) found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
