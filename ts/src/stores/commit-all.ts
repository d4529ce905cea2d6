import { forEachParallel } from './parallel.ts';
import {
  type CommitOutcome,
  type CommitStep,
  type ObjectChange,
  type StoreChange,
  StoreError,
  type Tag,
} from './store.ts';

/**
 * Carries out changes each on its own, as `Store.commit` must. Once one shows that the store is out of reach,
 * those not yet begun fail with the same error instead of each waiting for its own time-out.
 *
 * @param isOfOne Whether a failure is that of the one change, while the store takes others. Absent: none is known to be.
 * @throws That error if nothing at all was done.
 */
export async function commitAll(
  changes: readonly StoreChange[],
  limit: number,
  commitOne: (change: StoreChange) => Promise<CommitOutcome>,
  isOfOne: (error: StoreError) => Promise<boolean> = async () => false,
): Promise<CommitOutcome[]> {
  const outcomes: CommitOutcome[] = [];
  let outage: StoreError | undefined;
  await forEachParallel(changes, limit, async (change, index) => {
    const outcome: CommitOutcome = outage
      ? { kind: 'failed', step: 'keep', error: outage }
      : await commitOne(change);
    outcomes[index] = outcome;
    const isNews = !outage && outcome.kind === 'failed' && outcome.error.kind === 'unreachable';
    if (isNews && !(await isOfOne(outcome.error))) outage ??= outcome.error;
  });
  if (outage && outcomes.every((outcome) => outcome.kind === 'failed')) throw outage;
  return outcomes;
}

export type ObjectStep = 'tombstone' | 'current' | 'backup';

/**
 * The order of the contract: a tombstone comes before what it takes away, and goes after what ends it. In between, every
 * host knows of the deletion: else one that still holds what was deleted would put it back.
 */
export function stepsOf({ tombstone }: StoreChange): readonly ObjectStep[] {
  return tombstone?.kind === 'remove' ? TOMBSTONE_LAST : TOMBSTONE_FIRST;
}

const TOMBSTONE_FIRST: readonly ObjectStep[] = ['tombstone', 'current', 'backup'];
const TOMBSTONE_LAST: readonly ObjectStep[] = ['current', 'backup', 'tombstone'];
export const STEP_ORDERS = [TOMBSTONE_FIRST, TOMBSTONE_LAST] as const;

/** What came of one object's write or removal; the tag of what was put. */
export type Applied = { readonly kind: 'done'; readonly tag?: Tag } | { readonly kind: 'lost' };

/** Carries out one change in the contract's order, stopping at the first step that fails. */
export async function commitInSteps(
  change: StoreChange,
  steps: {
    keep(): unknown;
    apply(step: ObjectStep, object: ObjectChange): Applied | Promise<Applied>;
    /** A failure in words; without it, only a `StoreError` is one. */
    explain?(error: unknown, step: CommitStep): StoreError;
  },
): Promise<CommitOutcome> {
  const tags: Partial<Record<ObjectStep, Tag>> = {};
  let step: CommitStep = 'keep';
  try {
    await steps.keep();
    for (step of stepsOf(change)) {
      const object = change[step];
      if (!object) continue;
      const answer = await steps.apply(step, object);
      if (answer.kind === 'lost') return { kind: 'lost', step };
      if (answer.tag !== undefined) tags[step] = answer.tag;
    }
    return { kind: 'done', ...tags };
  } catch (error) {
    const failure = steps.explain?.(error, step) ?? error;
    if (failure instanceof StoreError) return { kind: 'failed', step, error: failure };
    throw error;
  }
}
