import { forEachParallel } from './parallel.ts';
import type { CommitOutcome, StoreChange, StoreError } from './store.ts';

/**
 * Carries out changes each on its own, as `Store.commit` must. Once one shows that the store is out of reach,
 * those not yet begun fail with the same error instead of each waiting for its own time-out.
 *
 * @throws That error if nothing at all was done.
 */
export async function commitAll(
  changes: readonly StoreChange[],
  limit: number,
  commitOne: (change: StoreChange) => Promise<CommitOutcome>,
): Promise<CommitOutcome[]> {
  const outcomes: CommitOutcome[] = [];
  let outage: StoreError | undefined;
  await forEachParallel(changes, limit, async (change, index) => {
    const outcome: CommitOutcome = outage
      ? { kind: 'failed', step: 'keep', error: outage }
      : await commitOne(change);
    if (outcome.kind === 'failed' && outcome.error.kind === 'unreachable') outage ??= outcome.error;
    outcomes[index] = outcome;
  });
  if (outage && outcomes.every((outcome) => outcome.kind === 'failed')) throw outage;
  return outcomes;
}
