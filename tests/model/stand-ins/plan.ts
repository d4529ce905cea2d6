/** Stands in for `sync/plan.ts` in a run: the real planner, asked twice, the second time in another order. */
import { isDeepStrictEqual } from 'node:util';
import { plan as realPlan } from '../../../ts/src/sync/plan.ts';

export function plan(...[base, snapshot, permissions, options]: Parameters<typeof realPlan>) {
  const made = realPlan(base, snapshot, permissions, options);
  const credentials = new Map([...snapshot.credentials].reverse());
  const again = realPlan(base, { ...snapshot, credentials }, permissions, options);
  if (!isDeepStrictEqual(again, made)) throw new Error('the same inputs gave another plan');
  return made;
}
