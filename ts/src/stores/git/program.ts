import { type ChildProcess, spawn } from 'node:child_process';
import { pipeline, Readable } from 'node:stream';
import { errorWords, hasCode } from '../../files/atomic-write.ts';
import { StoreError } from '../store.ts';

/** Runs git, each time as a process group of its own, so that all of it can be ended. */
export interface GitProgram {
  /**
   * Runs it to its end. An exit code other than 0 is an answer like any other.
   *
   * @throws StoreError (configuration) if there is no such program.
   */
  run(args: readonly string[], options: GitRunOptions): Promise<GitAnswer>;
  /** Ends all that still runs, and waits for it; nothing is begun any more. */
  close(): Promise<void>;
}

export interface GitRunOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly input?: Iterable<Uint8Array | string>;
  /** Looked at a few times a second: a reason to end it. */
  readonly isTooMuch?: () => boolean;
  /** Bytes of its output; one that writes more is ended. */
  readonly maxOutput?: number;
}

export interface GitAnswer {
  /** 128 and more if a signal ended it. */
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Why it was ended, if it did not end by itself. */
  readonly ended?: 'late' | 'too-much' | 'closed';
}

interface Running {
  readonly end: (why: NonNullable<GitAnswer['ended']>) => void;
  readonly exited: Promise<void>;
}

const GRACE_MS = 1_000;
const WATCH_MS = 100;
/** Messages; a server may send as many as it likes. */
const MAX_STDERR = 64 * 1024;

export function gitProgram(program: string): GitProgram {
  const running = new Set<Running>();
  let closed = false;

  return {
    run(args, { env, timeoutMs, input, isTooMuch, maxOutput = Number.POSITIVE_INFINITY }) {
      if (closed) return Promise.resolve({ code: 128, stdout: Buffer.alloc(0), stderr: '', ended: 'closed' });
      return new Promise((resolve, reject) => {
        const child = start(program, args, env);
        const stdout: Buffer[] = [];
        let stderr = '';
        let ended: GitAnswer['ended'];
        const timers: NodeJS.Timeout[] = [];
        const end = (why: NonNullable<GitAnswer['ended']>) => {
          ended ??= why;
          signal(child, 'SIGTERM');
          timers.push(setTimeout(() => signal(child, 'SIGKILL'), GRACE_MS));
        };
        const exited = new Promise<void>((done) => {
          child.once('exit', () => done());
          child.once('error', () => done());
        });
        const self = { end, exited };
        running.add(self);
        timers.push(setTimeout(() => end('late'), timeoutMs));
        if (isTooMuch) timers.push(setInterval(() => isTooMuch() && end('too-much'), WATCH_MS));
        const settle = () => {
          for (const timer of timers) clearTimeout(timer);
          running.delete(self);
        };

        child.once('error', (error) => {
          settle();
          reject(cannotRun(program, error));
        });
        let length = 0;
        child.stdout.on('data', (chunk: Buffer) => {
          length += chunk.length;
          /* v8 ignore if -- tests/e2e/endless-store.test.ts has one, in a process of its own */
          if (length > maxOutput) end('too-much');
          else stdout.push(chunk);
        });
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          stderr = (stderr + text).slice(-MAX_STDERR);
        });
        const outputEnded = new Promise((done) => child.stdout.once('close', done));
        const errorsEnded = new Promise((done) => child.stderr.once('close', done));
        const answer = async (code: number | null) => {
          // A connection that ssh keeps for later (ControlPersist) holds the pipe for messages open.
          if (!ended) await outputEnded;
          await Promise.race([errorsEnded, new Promise((done) => timers.push(setTimeout(done, 100)))]);
          settle();
          child.stdout.destroy();
          child.stderr.destroy();
          resolve({ code: code ?? 128, stdout: Buffer.concat(stdout), stderr, ...(ended && { ended }) });
        };
        child.once('exit', (code) => void answer(code));
        // It may end without reading all, which its exit code tells.
        pipeline(Readable.from(input ?? []), child.stdin, () => undefined);
      });
    },

    async close() {
      closed = true;
      await Promise.all(
        [...running].map(({ end, exited }) => {
          end('closed');
          return exited;
        }),
      );
    },
  };
}

/** @throws StoreError for what the system answers at once; what it answers later is an `error` of the process. */
function start(program: string, args: readonly string[], env: GitRunOptions['env']) {
  try {
    return spawn(program, args, { cwd: '/', env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  } catch (error) {
    throw cannotRun(program, error);
  }
}

/** To the whole group: git starts others that do the talking. */
function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // It is gone.
  }
}

function cannotRun(program: string, error: unknown): StoreError {
  const code = errorWords(error);
  const missing = hasCode(error, 'ENOENT', 'EACCES', 'ENOTDIR');
  return new StoreError(
    missing ? 'configuration' : 'unreachable',
    missing
      ? `The program "${program}" is not there, or cannot be run (${code}).`
      : `Cannot run git (${code}).`,
    missing
      ? 'Install git, or set CLIPROXY_GIT to where it is.'
      : 'Close other programs, or raise the limits on processes and open files, then run again.',
  );
}
