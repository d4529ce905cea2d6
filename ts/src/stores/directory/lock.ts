import { takeLock } from '../../files/lock.ts';
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

/** Enough to outlive a holder on another machine that died. Milliseconds. */
const WAIT_MS = 40_000;

/**
 * Runs `run` while no other process writes this store. `syncDirectory` is the store's `sync/`, which must exist;
 * the lock is the directory `lock` in it.
 *
 * @throws StoreError `unreachable` if someone else holds it for too long; else what `run` throws.
 */
export async function withLock<T>(
  syncDirectory: string,
  run: (held: HeldLock) => Promise<T>,
  waitMs = WAIT_MS,
): Promise<T> {
  const lock = await takeLock(syncDirectory, waitMs);
  if (!lock) throw busy(syncDirectory);
  try {
    return await run({
      async assertHeld() {
        if (!lock.isHeld()) throw busy(syncDirectory);
      },
    });
  } finally {
    // Fails if it was taken away: then it is not ours to give back.
    await lock.release().catch(() => undefined);
  }
}

function busy(directory: string): StoreError {
  return new StoreError(
    'unreachable',
    `Another program is writing to the store in ${directory}.`,
    'Try again when it is done. If none is running, remove the directory "lock" there.',
  );
}
