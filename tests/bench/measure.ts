import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Command {
  /** The first is an absolute path. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What one task took, all its commands together. */
export interface Sample {
  readonly wallMs: number;
  /** User and system, of the process and of those it started. */
  readonly cpuMs: number;
  /** Of the largest process. */
  readonly peakBytes: number;
}

export interface Meter {
  /** Runs commands one after another. Throws with what they printed if one fails. */
  run(commands: readonly Command[]): Promise<Sample>;
  stop(): void;
}

/**
 * @param python A Python 3.
 * @param log A file for what the commands print.
 */
export function startMeter(python: string, log: string): Meter {
  const script = fileURLToPath(new URL('./measure.py', import.meta.url));
  const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(commands) {
      child.stdin.write(`${JSON.stringify(commands.map((command) => ({ ...command, log })))}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error('the helper that measures has ended');
      const { failed, ...sample }: Sample & { failed: string | null } = JSON.parse(value);
      if (failed !== null) throw new Error(`${failed}\n${await readFile(log, 'utf8').catch(() => '')}`);
      return sample;
    },
    stop: () => child.stdin.end(),
  };
}
