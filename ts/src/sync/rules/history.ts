/** Rule: when the store's history must be asked before a credential can be decided. */

import { compareFreshness } from '../../credential/freshness.ts';
import {
  type BaseEntry,
  type CredentialSnapshot,
  isStorePlace,
  LOCAL_PLACES,
  STORE_PLACES,
} from '../model.ts';
import { isRecorded } from '../sightings.ts';
import { changeOf } from './change.ts';
import { isStale } from './stale.ts';
import type { Candidate } from './winner.ts';

/**
 * Whether history must be asked before this credential can be decided: where several versions meet, where one
 * comes to a place that has no base, where someone else wrote the store, where the change is no fresher than what
 * it would replace (it may be what was replaced before this host joined, and two hosts that disagreed on that would
 * put back each other's for ever; and if one of our programs made it, history says whether it knew of what was agreed
 * here), where one of our programs made current again what this host knows to have been replaced, or where no place
 * has a good version.
 */
export function needsHistory(
  changed: readonly Candidate[],
  present: readonly Candidate[],
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  now: number,
): boolean {
  if (changed.length > 1) return true;
  // What another host made current meanwhile may have been taken out of the store, and out of the backup copy with it.
  const outOfStore =
    entry?.agreed !== undefined && STORE_PLACES.every((place) => seen[place].kind === 'absent');
  if (outOfStore && changed.length > 0) return true;
  if (changed.length === 1) {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- of that length
    const [candidate] = changed as [Candidate];
    const withoutBase = candidate.places.some((place) => entry?.at[place] === undefined);
    const inStore = candidate.places.some(isStorePlace);
    const fresher =
      entry?.agreed && compareFreshness(candidate.version.freshness, entry.agreed.freshness, now) > 0;
    const recorded = isRecorded(seen, candidate.version.id);
    if (recorded && isStale(candidate.version, entry?.agreed, now)) return true;
    return present.length > 1 && (withoutBase || !fresher || (inStore && !recorded));
  }
  const goneHere = LOCAL_PLACES.some((place) => changeOf(seen[place], entry?.at[place]) === 'gone');
  const known =
    present.length > 0 ||
    entry?.agreed !== undefined ||
    STORE_PLACES.some((place) => seen[place].kind === 'invalid');
  const held = present.some(({ version }) => version.id === entry?.agreed?.id);
  // Replaced once, as this host knows, and current again: by a copy of an old object, or since a person put the old
  // file back after what replaced it was deleted.
  const { store } = seen;
  const isBack =
    store.kind === 'version' &&
    store.recorded === true &&
    entry?.agreed !== undefined &&
    entry.superseded.includes(store.version.id);
  return known && !goneHere && (!held || outOfStore || isBack);
}
