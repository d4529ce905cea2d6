import { type ChildProcess, spawn } from 'node:child_process';
import { lstat } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { printable } from '../credential/name.ts';
import { ensureDirectory, errorCode } from '../files/atomic-write.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { isSurelyExecutable } from './executable.ts';

export interface ProxyCommand {
  /** Absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** Absolute; without a `.env`: see `workingDirectory`. */
  readonly cwd: string;
  /** All of the environment, as `proxyEnvironment` gives it. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Turns this process into the proxy, so that a service manager has the proxy itself under its hand. Where Node
 * cannot (before 22.15), runs it as a child instead and gives back its exit code.
 *
 * Nothing of this process survives: give back locks and finish writing before.
 *
 * @throws SettingsError if the program cannot be run.
 */
export async function becomeProxy(command: ProxyCommand, onChild?: OnChild): Promise<number> {
  const execve: unknown = Reflect.get(process, 'execve');
  // Where the kernel refuses the program, Node's execve aborts with a core dump: then a child it is, whose
  // failure is an error like any other.
  if (typeof execve === 'function' && (await isSurelyExecutable(command.program))) {
    process.chdir(command.cwd);
    execve.call(process, command.program, [command.program, ...command.args], { ...command.env });
  }
  return exitCode(await runProxy(command, onChild));
}

/** Told the process id of the proxy, where it is not this process's own. */
export type OnChild = (pid: number) => void;

/** How a child ended: one of the two is set. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Runs the proxy as a child with this process's terminal and waits for its end. Signals that this process gets
 * meanwhile go to the child, and do not end this process.
 *
 * @throws SettingsError if the program cannot be run.
 */
export async function runProxy({ program, args, cwd, env }: ProxyCommand, onChild?: OnChild): Promise<Ended> {
  let child: ChildProcess | undefined;
  const pass = (signal: NodeJS.Signals): void => {
    // A terminal sends these to every process in its foreground, the child included; a second one would read as
    // impatience. (`isatty`, since `process.stdin` would make the shared pipe non-blocking.)
    if (isatty(0) && (signal === 'SIGINT' || signal === 'SIGQUIT')) return;
    child?.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, pass);
  try {
    return await new Promise<Ended>((resolve, reject) => {
      child = spawn(program, args, { cwd, env, stdio: 'inherit' });
      child.once('error', reject);
      if (child.pid !== undefined) onChild?.(child.pid);
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
  } catch (error) {
    throw cannotRun(program, error);
  } finally {
    for (const signal of SIGNALS) process.off(signal, pass);
  }
}

/** The exit code to pass on; for an end by signal 128 and its number, as shells have it. */
export function exitCode({ code, signal }: Ended): number {
  if (signal !== null) return 128 + constants.signals[signal];
  return code ?? 1;
}

/**
 * The directory in which the proxy runs: ours, private, and without a `.env`, which the proxy would load
 * (cmd/server/main.go) and which could switch on a store.
 *
 * @throws SettingsError if it has one.
 */
export async function workingDirectory(stateDir: string): Promise<string> {
  const path = join(stateDir, 'run');
  await ensureDirectory(path);
  try {
    await lstat(join(path, '.env'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return path;
    throw error;
  }
  throw new SettingsError(
    `${printable(join(path, '.env'))} would be loaded by the proxy`,
    'Move it away; variables belong into the env file that CLIPROXY_ENV_FILE names.',
  );
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

function cannotRun(program: string, error: unknown): SettingsError {
  const code = errorCode(error);
  const reason = (code && RUN_PROBLEMS.get(code)) ?? code ?? 'unknown error';
  return new SettingsError(
    `the proxy's program ${printable(program)} cannot be run: ${reason}`,
    'Set CLIPROXY_BIN to the path of a proxy that runs on this machine.',
    { cause: error },
  );
}

const RUN_PROBLEMS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'it, or the interpreter that its first line names, does not exist'],
  ['EACCES', 'it may not be executed by this user'],
  ['ENOEXEC', 'it is no program for this system'],
  ['E2BIG', 'its arguments and environment are too long'],
]);
