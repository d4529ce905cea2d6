/** Tells a person of what went wrong while nobody looks, by a command of their choice. Off unless it is set. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDirectory, writeFileAtomically } from '../files/atomic-write.ts';
import type { Settings } from '../settings/settings.ts';
import { lookup } from '../settings/variables.ts';
import type { ReportLine } from '../terminal/report.ts';
import { decide, parseTold, serializeTold } from './limit.ts';
import { problemsIn } from './problems.ts';

export interface FinishedRun {
  readonly id: string;
  readonly command: string;
  readonly exitCode: number;
  /** Whether it could write the store: only such a run can find that all is well. */
  readonly wroteStore: boolean;
  readonly store: { readonly kind: string; readonly location: string } | undefined;
  readonly lines: readonly ReportLine[];
}

/** Milliseconds. */
const TIMEOUT_MS = 10_000;
const EVERY_S = 3600;

/**
 * Runs `CLIPROXY_NOTIFY_COMMAND` if there is something to tell, and waits for its end.
 *
 * It gets a JSON document on standard input, and this process's own environment: nothing of the env file, where the
 * store's keys are.
 *
 * @returns What went wrong with telling, as a sentence: worth a warning, and nothing else.
 */
export async function notify(
  settings: Pick<Settings, 'environment' | 'stateDir' | 'hostName'>,
  run: FinishedRun,
  timeoutMs = TIMEOUT_MS,
): Promise<string | undefined> {
  const command = lookup(settings.environment, 'CLIPROXY_NOTIFY_COMMAND');
  if (command === undefined) return undefined;
  const every = Number(lookup(settings.environment, 'CLIPROXY_NOTIFY_INTERVAL') ?? EVERY_S);
  const path = join(settings.stateDir, 'notified.json');
  const before = await readFile(path, 'utf8').then(parseTold, () => ({}));
  const now = Date.now();
  const { due, recovered, told } = decide(before, problemsIn(run.lines), {
    allWell: run.exitCode === 0 && run.wroteStore,
    now,
    everyMs: (every >= 0 ? every : EVERY_S) * 1000,
  });
  if (serializeTold(told) !== serializeTold(before)) {
    // First, so that a command that kills its caller is not run again and again. A state that cannot be written is
    // itself worth telling of, each time.
    await ensureDirectory(settings.stateDir)
      .then(() => writeFileAtomically(path, Buffer.from(serializeTold(told))))
      .catch(() => undefined);
  }
  const common = {
    format: 1,
    time: new Date(now).toISOString(),
    host: settings.hostName,
    run: run.id,
    command: run.command,
    store: run.store ?? null,
  };
  const documents: unknown[] = [];
  if (due.length > 0) {
    const problems = due.map(({ key, ...problem }) => problem);
    documents.push({ ...common, event: 'problem', exitCode: run.exitCode, problems });
  }
  if (recovered.length > 0) documents.push({ ...common, event: 'recovered', problems: recovered });
  for (const document of documents) {
    const problem = await tell(command, `${JSON.stringify(document)}\n`, timeoutMs);
    if (problem !== undefined) return `CLIPROXY_NOTIFY_COMMAND ${problem}`;
  }
  return undefined;
}

async function tell(command: string, input: string, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    // A process group of its own, so that all that it started can be ended with it.
    const child = spawn('sh', ['-c', command], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    const timer = setTimeout(() => {
      if (child.pid !== undefined) killGroup(child.pid);
      resolve(`took longer than ${timeoutMs / 1000} s and was ended`);
    }, timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      resolve(`could not be run: ${error.message}`);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(code === 0 ? undefined : `ended with ${signal ?? code}`);
    });
    // It may end without reading.
    child.stdin.on('error', () => undefined).end(input);
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
