/** One process at a time in a directory. */
import { statSync, utimesSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isObject } from '../credential/json.ts';
import { errorCode } from './atomic-write.ts';
import { identify, isAlive, type ProcessIdentity } from './process.ts';

/** A holder that has not shown a sign of life for this long is gone (another machine's, or a stopped one). */
const STALE_MS = 20_000;
const RETRY_MS = 100;

export interface Lock {
  release(): Promise<void>;
  /** False once the lock was taken over, because this process stood still for too long: stop writing. */
  isHeld(): boolean;
}

/**
 * Takes the lock of a directory, which must exist, waiting for at most `waitMs`.
 *
 * The lock itself is proper-lockfile's (a directory whose time the holder renews). Beside it lies a note of who
 * holds it, so that the lock of a process of this host that was killed is taken over at once and not after `STALE_MS`.
 *
 * @returns Undefined if another process held it all the time.
 */
export async function takeLock(directory: string, waitMs: number): Promise<Lock | undefined> {
  const { lock } = await import('proper-lockfile');
  const path = join(directory, 'lock');
  const owner = join(directory, 'lock-owner.json');
  const deadline = Date.now() + waitMs;
  let held = true;
  for (;;) {
    try {
      const release = await lock(directory, {
        lockfilePath: path,
        realpath: false,
        stale: STALE_MS,
        update: STALE_MS / 4,
        onCompromised: () => {
          held = false;
        },
      });
      const ours = thisProcess(path);
      await writeFile(owner, JSON.stringify(ours), { mode: 0o600 });
      // Two that found the same holder dead may both take its lock away, the second that of the first.
      const isHeld = () => held && identity(path) === ours.lock;
      return {
        isHeld,
        async release() {
          if (isHeld()) {
            await rm(owner, { force: true });
            await release();
          }
          held = false;
        },
      };
    } catch (error) {
      if (errorCode(error) !== 'ELOCKED') throw error;
    }
    if (await holderIsDead(path, owner)) {
      // As old as can be: the library takes a stale lock over, in its own way. At once, before it may be another's.
      if (makeOld(path)) continue;
    }
    if (Date.now() >= deadline) return undefined;
    await sleep(RETRY_MS);
  }
}

/** How a directory's lock stands, for a person: nothing is changed. */
export type LockState =
  | { readonly kind: 'free' }
  /** `pid` is known where the holder is of this host. */
  | { readonly kind: 'held'; readonly pid: number | undefined }
  /** Its holder is gone: the next run takes it over. */
  | { readonly kind: 'stale'; readonly pid: number | undefined };

export async function inspectLock(directory: string): Promise<LockState> {
  const path = join(directory, 'lock');
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return { kind: 'free' };
  const owner = join(directory, 'lock-owner.json');
  const pid = await readFile(owner, 'utf8').then(
    (text) => /"pid":(\d+)/.exec(text)?.[1],
    () => undefined,
  );
  const isStale = Date.now() - found.mtimeMs > STALE_MS || (await holderIsDead(path, owner));
  return { kind: isStale ? 'stale' : 'held', pid: pid === undefined ? undefined : Number(pid) };
}

interface Owner extends ProcessIdentity {
  /** Which lock it holds: a note that a killed process left says nothing of the lock that came after. */
  readonly lock: string;
}

function thisProcess(lockPath: string): Owner {
  return { ...identify(process.pid), lock: identity(lockPath) ?? '' };
}

function identity(lockPath: string): string | undefined {
  const found = statSync(lockPath, { throwIfNoEntry: false });
  return found && `${found.ino}-${found.birthtimeMs}`;
}

/** Only true where it is certain; in doubt the lock's age decides. */
async function holderIsDead(lockPath: string, ownerPath: string): Promise<boolean> {
  try {
    const owner: unknown = JSON.parse(await readFile(ownerPath, 'utf8'));
    if (!isObject(owner)) return false;
    const { pid, started = '', realm, lock } = owner;
    if (typeof pid !== 'number' || typeof started !== 'string' || typeof realm !== 'string') return false;
    return lock === identity(lockPath) && isAlive({ pid, started, realm }) === false;
  } catch {
    return false;
  }
}

function makeOld(path: string): boolean {
  try {
    utimesSync(path, 0, 0);
    return true;
  } catch {
    return false;
  }
}
