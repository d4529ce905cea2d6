/** Rule: what would delete most of the credentials at once is an accident until a person says otherwise. */
import type { CredentialName } from '../../credential/name.ts';
import { candidates } from '../candidates.ts';
import { spread } from '../decisions.ts';
import {
  type BaseEntry,
  type CredentialSnapshot,
  type Decision,
  type GuardReport,
  LOCAL_PLACES,
} from '../model.ts';

/** The runs of this long count together. */
export const GUARD_WINDOW_MS = 24 * 60 * 60 * 1000;

/**
 * The guard's word on a run that would delete `deleting`: a report if it, with the deletions of the last day,
 * would delete more than half of the credentials and more than one. What is allowed by name does not count.
 *
 * What a person forgot by name elsewhere does not count, but for one thing: a host is not emptied for it. Whoever can write
 * to the store can write such tombstones too.
 *
 * @param existing Every credential that is there before the run, but for `forgotten`.
 * @param forgotten Credentials of this host that the store says a person has forgotten.
 * @param recent Deletions that this host carried out, with their times in milliseconds since 1970.
 */
export function guard(
  deleting: readonly CredentialName[],
  existing: ReadonlySet<CredentialName>,
  recent: ReadonlyMap<CredentialName, number>,
  allowed: ReadonlySet<CredentialName>,
  now: number,
  forgotten: readonly CredentialName[] = [],
): GuardReport | undefined {
  return (
    moreThanHalf(deleting, existing, recent, allowed, now) ?? emptied(deleting, existing, allowed, forgotten)
  );
}

function moreThanHalf(
  deleting: readonly CredentialName[],
  existing: ReadonlySet<CredentialName>,
  recent: ReadonlyMap<CredentialName, number>,
  allowed: ReadonlySet<CredentialName>,
  now: number,
): GuardReport | undefined {
  const counted = deleting.filter((name) => !allowed.has(name));
  if (counted.length === 0) return undefined;
  const earlier = [...recent].filter(([, time]) => now - time < GUARD_WINDOW_MS).map(([name]) => name);
  const deleted = new Set([...earlier, ...counted]);
  const total = new Set([...existing, ...deleted]).size;
  return deleted.size > 1 && deleted.size > total / 2 ? { names: counted, total } : undefined;
}

function emptied(
  deleting: readonly CredentialName[],
  existing: ReadonlySet<CredentialName>,
  allowed: ReadonlySet<CredentialName>,
  forgotten: readonly CredentialName[],
): GuardReport | undefined {
  const names = forgotten.filter((name) => !allowed.has(name));
  const total = existing.size + forgotten.length;
  const nothingLeft = [...existing].every((name) => deleting.includes(name));
  return names.length > 0 && total > 1 && nothingLeft ? { names, total } : undefined;
}

/** Whether a person forgot it elsewhere, and this host still has it. */
export function isForgottenElsewhere(decision: Decision, seen: CredentialSnapshot): boolean {
  return (
    decision.kind === 'delete' &&
    decision.tag !== undefined &&
    decision.tombstone.forgotten === true &&
    LOCAL_PLACES.some((place) => seen[place].kind === 'version')
  );
}

/**
 * Whether carrying the decision out would take a credential away from some place, or the deletion is new; one that a
 * person asked for by name is not the guard's.
 */
export function deletes(decision: Decision, seen: CredentialSnapshot): boolean {
  return (
    decision.kind === 'delete' &&
    !decision.tombstone.forgotten &&
    (decision.tag === undefined || candidates(seen).length > 0)
  );
}

/**
 * Whether there is such a credential, for the guard's count. One that was deleted before is none, though this host may
 * hear of it only now: else the same deletions would be let through by the run that hears of it, and held by the next.
 */
export function exists(decision: Decision, seen: CredentialSnapshot, entry: BaseEntry | undefined): boolean {
  if (decision.kind === 'delete') return deletes(decision, seen);
  return entry?.agreed !== undefined || candidates(seen).length > 0;
}

/** What the guard makes of a deletion: a new one is undone, one that another host recorded waits for a person. */
export function putBack(
  decision: Decision,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
): Decision {
  /* v8 ignore if -- called for deletions alone; the type is that of all decisions */
  if (decision.kind !== 'delete') return decision;
  if (decision.tag !== undefined) {
    return {
      kind: 'held',
      waitsFor: 'person',
      reason: `${decision.reason}, with ${decision.tombstone.forgotten ? 'all that this host has' : 'more than half of all credentials'}: the mass-deletion guard keeps it here`,
      remedy: `If that is meant, run again with --allow-delete ${decision.tombstone.name}`,
    };
  }
  const present = candidates(seen);
  const agreed = present.find(({ version }) => version.id === entry?.agreed?.id) ?? present[0];
  const reason = `${decision.reason}, with more than half of all credentials: the mass-deletion guard puts it back`;
  if (agreed) return spread(agreed, reason, present, {});
  return {
    kind: 'spread',
    winner: { from: 'history', id: decision.tombstone.version },
    reason,
    losers: [],
    ends: undefined,
    stale: false,
    conflict: false,
  };
}
