import { spawn } from 'node:child_process';
import { errorCode } from '../files/atomic-write.ts';

export type CommandResult =
  | { readonly kind: 'ended'; readonly code: number; readonly stdout: string; readonly stderr: string }
  /** It is not in PATH, or cannot be run. */
  | { readonly kind: 'missing' }
  /** It was ended because it took longer. */
  | { readonly kind: 'late'; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end. An exit code other than 0 is a result like any other; a signal's counts as 128. */
export type RunCommand = (
  command: readonly string[],
  options?: { readonly env?: Readonly<Record<string, string | undefined>>; readonly timeoutMs?: number },
) => Promise<CommandResult>;

/** Longer than the longest stop of a service takes (TimeoutStopSec=30, ExitTimeOut=30). */
const TIMEOUT_MS = 90_000;
/** From asking it to end to ending it. */
const GRACE_MS = 2_000;

export const runCommand: RunCommand = (command, { env = process.env, timeoutMs = TIMEOUT_MS } = {}) => {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    let isLate = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const timers = [
      setTimeout(() => {
        isLate = true;
        child.kill('SIGTERM');
      }, timeoutMs),
      setTimeout(() => child.kill('SIGKILL'), timeoutMs + GRACE_MS),
    ];
    const finish = (result: CommandResult) => {
      for (const timer of timers) clearTimeout(timer);
      // What it may have left running holds the pipes, and would keep us waiting.
      child.stdout.destroy();
      child.stderr.destroy();
      resolve(result);
    };
    child.once('error', (error) => {
      if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(errorCode(error) ?? '')) finish({ kind: 'missing' });
      else reject(error);
    });
    child.once('exit', (code) => {
      // The rest of the output is on its way.
      setTimeout(() => {
        if (isLate) finish({ kind: 'late', stdout, stderr });
        else finish({ kind: 'ended', code: code ?? 128, stdout, stderr });
      }, 20);
    });
  });
};
