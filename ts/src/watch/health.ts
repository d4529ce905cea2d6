/** What `watch` says of itself in a file, for a container's health check. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isObject } from '../credential/json.ts';
import { ensureDirectory, errorCode, writeFileAtomically } from '../files/atomic-write.ts';

/** Times are milliseconds since 1970 here, and RFC 3339 in the file. */
export interface Health {
  readonly pid: number;
  readonly host: string;
  /** When this was written, and when it is written again at the latest. */
  readonly time: number;
  readonly due: number;
  readonly lastSuccess: number | undefined;
  readonly lastError: { readonly time: number; readonly message: string } | undefined;
  /** Runs since the last success. */
  readonly failures: number;
}

/** What a person should be told, and whether all is well. */
export interface Verdict {
  readonly isHealthy: boolean;
  readonly message: string;
}

/** A run may take as long as the store lets it. Milliseconds. */
const GRACE_MS = 120_000;
/** An outage that lasts longer is no passing one. */
const OUTAGE_MS = 900_000;
const FORMAT = 1;

export async function writeHealth(path: string, health: Health): Promise<void> {
  const { pid, host, time, due, lastSuccess, lastError, failures } = health;
  const record = {
    format: FORMAT,
    pid,
    host,
    time: text(time),
    due: text(due),
    lastSuccess: lastSuccess === undefined ? null : text(lastSuccess),
    lastError: lastError ? { time: text(lastError.time), message: lastError.message } : null,
    failures,
  };
  await ensureDirectory(dirname(path));
  // Open to others: a health check may be another user's, and there is no secret in it.
  await writeFileAtomically(path, Buffer.from(`${JSON.stringify(record)}\n`), {
    mode: 0o644,
    syncDirectory: false,
  });
}

/** Reads what `writeHealth` wrote; undefined if there is nothing, or nothing of ours. */
export async function readHealth(path: string): Promise<Health | undefined> {
  let record: unknown;
  try {
    record = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  if (!isObject(record)) return undefined;
  const { format, pid, host, time, due, lastSuccess, lastError, failures } = record;
  if (
    format !== FORMAT ||
    typeof pid !== 'number' ||
    typeof host !== 'string' ||
    typeof failures !== 'number'
  )
    return undefined;
  const [at, until, success] = [time, due, lastSuccess].map(instant);
  if (at === undefined || until === undefined) return undefined;
  return { pid, host, time: at, due: until, lastSuccess: success, lastError: errorOf(lastError), failures };
}

/** Whether the process that wrote it lives and gets its work done. Pure. */
export function judge(health: Health | undefined, now: number): Verdict {
  if (health === undefined) return { isHealthy: false, message: 'no watch has written its health there' };
  const { due, lastSuccess, lastError, failures, time } = health;
  const ago = (instant: number) => `${Math.max(0, Math.round((now - instant) / 1000))} s ago`;
  if (now > due + GRACE_MS)
    return { isHealthy: false, message: `the last sign of life was ${ago(time)}: it was to be sooner` };
  const error = lastError === undefined ? '' : `: ${lastError.message}`;
  if (lastSuccess === undefined && failures > 0)
    return { isHealthy: false, message: `no run has succeeded yet${error}` };
  if (failures > 0 && lastSuccess !== undefined && now - lastSuccess > OUTAGE_MS)
    return { isHealthy: false, message: `the last run that succeeded was ${ago(lastSuccess)}${error}` };
  return {
    isHealthy: true,
    message:
      lastSuccess === undefined
        ? 'it has just begun'
        : `the last run that succeeded was ${ago(lastSuccess)}, the last sign of life ${ago(time)}`,
  };
}

function errorOf(value: unknown): Health['lastError'] {
  if (typeof value !== 'object' || value === null || !('time' in value) || !('message' in value))
    return undefined;
  const time = instant(value.time);
  return time === undefined || typeof value.message !== 'string'
    ? undefined
    : { time, message: value.message };
}

function instant(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function text(time: number): string {
  return new Date(time).toISOString();
}
