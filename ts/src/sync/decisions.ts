/** Decisions as values: how the planner says what it found. */
import type { CredentialName } from '../credential/name.ts';
import type { Decision, Place } from './model.ts';
import type { Candidate } from './rules/winner.ts';

export type SpreadDecision = Extract<Decision, { kind: 'spread' }>;

/** Every place is to hold the candidate that won. */
export function spread(
  winner: Candidate,
  reason: string,
  present: readonly Candidate[],
  marks: { readonly stale?: boolean; readonly conflict?: boolean },
): SpreadDecision {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- a candidate is held by one place at least
  const [from] = winner.places as [Place];
  return {
    kind: 'spread',
    winner: { from, version: winner.version },
    reason,
    losers: present.filter((candidate) => candidate !== winner).map((candidate) => candidate.version),
    ends: undefined,
    stale: marks.stale ?? false,
    conflict: marks.conflict ?? false,
  };
}

/** Two names that one file would hold: both are left alone. */
export function heldTwin(twin: CredentialName): Decision {
  return {
    kind: 'held',
    waitsFor: 'person',
    reason: `its name differs from "${twin}" only in case or Unicode form, and this file system keeps one file for both`,
    remedy: 'Rename one of the two on the host that made it.',
  };
}
