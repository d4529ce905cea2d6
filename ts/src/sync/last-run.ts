/** When this host last ran, and how that ended: `last-run.json` in the state. For people; no run depends on it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../credential/json.ts';
import { isTime } from '../credential/time.ts';
import { ensureDirectory, writeFileAtomically } from '../files/atomic-write.ts';

export interface RunRecord {
  /** `sync`, `backup` or `hydrate`. */
  readonly command: string;
  /** When it began. Milliseconds since 1970. */
  readonly time: number;
  readonly exitCode: number;
  /** Where the store was. */
  readonly store: string;
}

export interface LastRuns {
  /** The last one. */
  readonly last: RunRecord | undefined;
  /** The last one that ended with 0. */
  readonly success: RunRecord | undefined;
}

const FORMAT = 1;

/** Takes a run down. Where that fails, on a full disk, the run has said so already or it does not matter. */
export async function recordRun(stateDir: string, run: RunRecord): Promise<void> {
  try {
    const { success } = await readLastRuns(stateDir);
    const record = { format: FORMAT, last: run, success: run.exitCode === 0 ? run : success };
    await ensureDirectory(stateDir);
    await writeFileAtomically(pathIn(stateDir), Buffer.from(`${JSON.stringify(record)}\n`));
  } catch {}
}

/** What is known; nothing where the file is missing, damaged or of a newer program. */
export async function readLastRuns(stateDir: string): Promise<LastRuns> {
  try {
    const record: unknown = JSON.parse(await readFile(pathIn(stateDir), 'utf8'));
    if (isObject(record) && record.format === FORMAT)
      return { last: runRecord(record.last), success: runRecord(record.success) };
  } catch {}
  return { last: undefined, success: undefined };
}

function runRecord(value: unknown): RunRecord | undefined {
  if (!isObject(value)) return undefined;
  const { command, time, exitCode, store } = value;
  if (typeof command !== 'string' || typeof store !== 'string' || typeof exitCode !== 'number')
    return undefined;
  if (!isTime(time)) return undefined;
  return { command, time, exitCode, store };
}

function pathIn(stateDir: string): string {
  return join(stateDir, 'last-run.json');
}
