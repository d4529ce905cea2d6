import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { lock } from 'proper-lockfile';
import { errorCode } from '../../files/atomic-write.ts';
import { StoreError } from '../store.ts';

/** The lock of one directory store, held. */
export interface HeldLock {
  /**
   * MUST be called just before each write.
   *
   * @throws StoreError if another has taken the lock meanwhile, holding this one for dead (a suspended machine).
   */
  assertHeld(): Promise<void>;
}

/** A holder that has not shown itself for so long is dead. Milliseconds. */
const STALE_MS = 15_000;
/** Tries to get the lock, about a fifth of a second apart: some 40 s, enough to outlive a dead holder. */
const TRIES = 200;

/**
 * Runs `run` while no other process writes this store. `syncDirectory` is the store's `sync/`, which must exist;
 * the lock is the directory `lock` in it.
 *
 * @throws StoreError `unreachable` if someone else holds it for too long; else what `run` throws.
 */
export async function withLock<T>(syncDirectory: string, run: (held: HeldLock) => Promise<T>): Promise<T> {
  const path = join(syncDirectory, 'lock');
  let compromised = false;
  const release = await lock(syncDirectory, {
    lockfilePath: path,
    realpath: false,
    stale: STALE_MS,
    retries: { retries: TRIES, factor: 1, minTimeout: 100, maxTimeout: 300, randomize: true },
    onCompromised: () => {
      compromised = true;
    },
  }).catch((error: unknown) => {
    throw errorCode(error) === 'ELOCKED' ? busy(syncDirectory) : error;
  });
  const ours = await identity(path);
  try {
    return await run({
      async assertHeld() {
        // Two that wait for a dead holder may both take its lock away, the second that of the first: so it is
        // not enough to have got it.
        if (compromised || ours === undefined || (await identity(path)) !== ours) throw busy(syncDirectory);
      },
    });
  } finally {
    // Fails if it was taken away: then it is not ours to give back.
    await release().catch(() => undefined);
  }
}

async function identity(path: string): Promise<string | undefined> {
  try {
    const found = await lstat(path, { bigint: true });
    return `${found.ino} ${found.birthtimeNs}`;
  } catch {
    return undefined;
  }
}

function busy(directory: string): StoreError {
  return new StoreError(
    'unreachable',
    `Another program is writing to the store in ${directory}.`,
    'Try again when it is done. If none is running, remove the directory "lock" there.',
  );
}
