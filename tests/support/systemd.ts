import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { isExecutable } from './programs.ts';

/** A real systemd user manager for tests, with directories of its own: it knows nothing of this machine's user. */
export interface UserSystemd {
  /** HOME. */
  readonly home: string;
  /** All of the environment that the manager, and with it its services, have; for programs that talk to it, too. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs `systemctl --user`. An exit code other than 0 is a result. */
  systemctl(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  /** One property of a unit, as `systemctl show` has it. */
  property(unit: string, name: string): Promise<string>;
  /** Ends it with everything in it, and removes its directories. May be called twice. */
  stop(): Promise<void>;
}

/** Milliseconds. */
const START_MS = 20_000;
const STOP_MS = 20_000;
const PROGRAM = '/lib/systemd/systemd';

/**
 * Why no user manager can be run here; undefined if one can.
 *
 * systemctl asks for /run/systemd/system, which is there where systemd is process 1. It is made where it can be.
 */
export function whyNoSystemd(): string | undefined {
  if (process.platform !== 'linux') return 'this is not Linux';
  if (!isExecutable(PROGRAM)) return `${PROGRAM} is not installed (Debian: apt-get install systemd)`;
  const path = (process.env.PATH ?? '').split(delimiter);
  if (!path.some((directory) => isExecutable(join(directory, 'systemctl'))))
    return 'systemctl is not in PATH';
  try {
    mkdirSync('/run/systemd/system', { recursive: true });
  } catch {
    return '/run/systemd/system is not there and cannot be made: run this as root once, or under systemd';
  }
  try {
    for (const cgroup of makeCgroups('probe')) rmdirSync(cgroup);
  } catch (error) {
    return `no control group of its own can be made (${String(error)}): run this as root, or by systemd-run --user --scope`;
  }
  return undefined;
}

export async function startUserSystemd(
  extraEnv: Readonly<Record<string, string>> = {},
): Promise<UserSystemd> {
  const directory = await mkdtemp(join(tmpdir(), 'systemd-'));
  const home = join(directory, 'home');
  const env: Record<string, string> = {
    HOME: home,
    PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    LANG: 'C.UTF-8',
    XDG_RUNTIME_DIR: join(directory, 'run'),
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_STATE_HOME: join(home, '.local/state'),
    ...extraEnv,
  };
  const runtimeDir = join(directory, 'run');
  await mkdir(home);
  await mkdir(runtimeDir, { mode: 0o700 });
  await maskTheirs(runtimeDir);
  const cgroups = makeCgroups(basename(directory));
  const log = await open(join(directory, 'log'), 'w');
  const child = spawn('sh', ['-c', KEEPER, directory, PROGRAM, '--user'], {
    cwd: home,
    stdio: ['pipe', log.fd, log.fd],
    env: { ...env, CGROUPS: cgroups.join(' '), SYSTEMD_LOG_TARGET: 'console' },
    // A session of its own: what a terminal sends to the tests is not for it.
    detached: true,
  });
  await log.close();

  const systemctl = (...args: readonly string[]) =>
    output('systemctl', ['--user', '--no-pager', ...args], env);
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= end(child, directory, cgroups);
    return stopping;
  };
  for (const until = Date.now() + START_MS; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const { stdout } = await systemctl('is-system-running');
    if (['running', 'degraded'].includes(stdout.trim())) break;
    if (child.exitCode !== null || Date.now() > until) {
      const said = await readFile(join(directory, 'log'), 'utf8').catch(() => '');
      await stop();
      throw new Error(`systemd --user did not start:\n${said}`);
    }
  }
  return {
    home,
    env,
    systemctl,
    property: async (unit, name) =>
      (await systemctl('show', '--value', `--property=${name}`, unit)).stdout.trim(),
    stop,
  };
}

/**
 * Runs the manager until standard input closes, which it also does when whoever started it is killed. Asked to end,
 * the manager ends its services first. `$0` is the directory, `$@` the command.
 */
const KEEPER = `
exec 3<&0
for cgroup in $CGROUPS; do echo $$ > "$cgroup/cgroup.procs"; done
unset CGROUPS
"$@" </dev/null 3<&- & pid=$!
(
  read -r _ <&3
  systemctl --user exit
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do kill -0 "$pid" && sleep 0.5; done
  kill -9 "$pid"
  rm -rf "$0"
) 2>/dev/null &
wait "$pid"
`;

/**
 * Control groups of its own, below that of this process. Two managers in one would give their services the same
 * groups, and end each other's with them.
 *
 * @returns One directory for each hierarchy that systemd uses: the unified one, and where there is one, its old own.
 */
function makeCgroups(name: string): string[] {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const own = readFileSync('/proc/self/cgroup', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(':'));
  return own.flatMap(([, controller = '', ...path]) => {
    const mount = mounts.find(([, , type, options = '']) =>
      controller === '' ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes(controller),
    )?.[1];
    if (mount === undefined || (controller !== '' && controller !== 'name=systemd')) return [];
    const cgroup = join(mount, path.join(':'), `cliproxyapi-sync-${name}-${process.pid}`);
    mkdirSync(cgroup);
    return [cgroup];
  });
}

/** Innermost first: none can be removed that has others in it. */
function removeCgroup(cgroup: string): void {
  for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(cgroup, entry.name));
  }
  rmdirSync(cgroup);
}

/** Whatever is still in a control group. */
function killAll(cgroup: string): void {
  for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
    if (entry.isDirectory()) killAll(join(cgroup, entry.name));
  }
  for (const pid of readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').map(Number)) {
    if (pid > 0) process.kill(pid, 'SIGKILL');
  }
}

/** Sockets of dbus, gpg-agent and others, which packages enable for every user: not started here. */
async function maskTheirs(runtimeDir: string): Promise<void> {
  const masks = join(runtimeDir, 'systemd/user');
  await mkdir(masks, { recursive: true });
  for (const directory of ['/usr/lib/systemd/user', '/etc/systemd/user']) {
    const wants = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.wants'));
    for (const name of wants) {
      for (const unit of await readdir(join(directory, name)).catch(() => [])) {
        await symlink('/dev/null', join(masks, unit)).catch(() => undefined);
      }
    }
  }
}

async function end(child: ChildProcess, directory: string, cgroups: readonly string[]): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode === null && child.signalCode === null) {
    child.stdin?.end();
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
  }
  for (const cgroup of cgroups) {
    for (let tries = 0; tries < 50; tries++) {
      try {
        killAll(cgroup);
        removeCgroup(cgroup);
        break;
      } catch {
        // Something in it is just going.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

function output(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, stdout, stderr }));
  });
}
