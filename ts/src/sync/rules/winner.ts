/** Rule: the order in which versions that changed independently decide. */
import { compareFreshness } from '../../credential/freshness.ts';
import type { Place, SeenVersion } from '../model.ts';

export interface Candidate {
  readonly version: SeenVersion;
  /** Every place that holds it. */
  readonly places: readonly Place[];
}

/**
 * Candidates with the one that decides first: the freshest; at equal freshness the backup copy before the store
 * (whoever wrote the store without us did not write the backup copy); beyond that the higher id, so that every
 * host decides alike.
 */
export function inOrder(candidates: readonly Candidate[], now: number): readonly Candidate[] {
  const behindBackup = (candidate: Candidate) =>
    candidate.places.includes('store') &&
    candidates.some(
      (other) =>
        other !== candidate &&
        other.places.includes('backup') &&
        compareFreshness(other.version.freshness, candidate.version.freshness, now) === 0,
    );
  return [...candidates].sort(
    (a, b) =>
      compareFreshness(b.version.freshness, a.version.freshness, now) ||
      Number(behindBackup(a)) - Number(behindBackup(b)) ||
      (a.version.id < b.version.id ? 1 : -1),
  );
}
