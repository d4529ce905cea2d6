import { randomUUID } from 'node:crypto';
import { MARKER_KEY, PROBE_PREFIX, SYNC_PREFIX } from '../layout.ts';
import type { StoreError } from '../store.ts';
import type { Bucket } from './bucket.ts';
import { withDeadline } from './deadline.ts';

/** When more objects than this fail at once, it is the store that fails. */
const MAX_BROKEN = 8;

/**
 * Tells the failure of one object from that of the store, by asking the store for another one: an object that it
 * cannot read out or write (a lost volume, a broken disk behind it) must not hold all others up.
 */
export type Blame = (error: StoreError) => Promise<boolean>;

/** For the reads of one call: whether a failure is that of the one object. */
export function blameForReads(bucket: Bucket, ms: number): Blame {
  return blame(async () => {
    const answer = await withDeadline(ms, () => bucket.get(MARKER_KEY));
    // A bucket that none of our programs has written to yet has no marker, and a listing all the same.
    return answer.kind === 'object' || (await bucket.list(SYNC_PREFIX, '/')) !== undefined;
  });
}

/** For the writes of one call. The object that it tries is one that no program reads, and is removed again. */
export function blameForWrites(bucket: Bucket, ms: number): Blame {
  return blame(async () => {
    const key = PROBE_PREFIX + randomUUID();
    const { kind } = await withDeadline(ms, () => bucket.put(key, Buffer.from('probe')));
    await bucket.remove(key).catch(() => undefined);
    return kind === 'written';
  });
}

function blame(works: () => Promise<boolean>): Blame {
  let broken = 0;
  /** Asked once for all that failed together. */
  let asked: Promise<boolean> | undefined;
  return async (error) => {
    if (error.kind === 'configuration' || ++broken > MAX_BROKEN) return false;
    asked ??= works().catch(() => false);
    return asked;
  };
}
