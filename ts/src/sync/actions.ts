/** From a decision to the steps that carry it out, with what this command may write. Pure. */
import type { VersionId } from '../credential/version.ts';
import {
  type Action,
  type BaseEntry,
  type CredentialSnapshot,
  type Decision,
  isStorePlace,
  type Permissions,
  PLACES,
  type Place,
  type SeenVersion,
  type Sighting,
  type Snapshot,
  STORE_PLACES,
  winnerId,
} from './model.ts';
import { holds, isInHistory } from './sightings.ts';
import { placeName, shortId } from './words.ts';

/** A file that is no credential is replaced only when it has stood so for this long: it may be half-written. */
export const INVALID_SETTLES_MS = 60_000;

/**
 * The steps, in the order in which a crash between any two loses nothing: what is replaced or removed is kept
 * first; a tombstone comes before any removal and ends before the new version is written; the store comes before
 * the local places, so that a lost race is known before a file is touched.
 */
export function credentialActions(
  decision: Decision,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  snapshot: Snapshot,
  permissions: Permissions,
): { readonly actions: readonly Action[]; readonly pending: readonly Place[] } {
  switch (decision.kind) {
    case 'spread':
      return spreadActions(decision, seen, entry, snapshot, permissions);
    case 'delete':
      return deleteActions(decision, seen, entry, snapshot, permissions);
    case 'held':
    case 'nothing':
    case 'consult':
      return { actions: [], pending: [] };
  }
}

function spreadActions(
  decision: Extract<Decision, { kind: 'spread' }>,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  snapshot: Snapshot,
  permissions: Permissions,
): { actions: Action[]; pending: Place[] } {
  const id = winnerId(decision.winner);
  const { reason } = decision;
  const wanted = PLACES.filter((place) => takes(seen[place], id, snapshot.now));
  const { allowed, pending } = permitted(wanted, seen, id, entry, snapshot, permissions);
  const unreached = STORE_PLACES.filter(
    (place) => snapshot.places[place].kind === 'failed' && id !== entry?.at[place],
  );
  const where = keepWhere(snapshot, permissions);
  const replaced = (version: SeenVersion) => allowed.some((place) => holds(seen[place], version.id));
  const losers = decision.losers.filter(
    (loser) => loser.id !== id && replaced(loser) && !inHistory(loser.id, seen, entry),
  );

  const actions: Action[] = [];
  for (const version of losers)
    actions.push({ kind: 'keep', version, where, reason: `replaced by ${shortId(id)}: ${reason}` });
  actions.push(...aside(allowed, seen, where));
  // What only the proxy may push is safe in history all the same.
  const writesStore =
    allowed.some(isStorePlace) || (pending.some(isStorePlace) && storeWritable(snapshot, permissions));
  if (writesStore && decision.winner.from !== 'history' && !inHistory(id, seen, entry)) {
    actions.push({ kind: 'keep', version: decision.winner.version, where: 'history', reason });
  }
  if (decision.ends && storeWritable(snapshot, permissions)) {
    actions.push({ kind: 'unbury', tag: decision.ends.tag, reason });
  }
  for (const place of storeFirst(allowed)) {
    actions.push({
      kind: 'write',
      place,
      seen: seen[place],
      reason: writeReason(seen[place], place, decision),
    });
  }
  // While the tombstone stands, nothing is agreed: its end is the store's to record.
  const stands: Place[] = decision.ends && !storeWritable(snapshot, permissions) ? ['store'] : [];
  return { actions, pending: [...new Set([...stands, ...pending, ...unreached])] };
}

function deleteActions(
  decision: Extract<Decision, { kind: 'delete' }>,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  snapshot: Snapshot,
  permissions: Permissions,
): { actions: Action[]; pending: Place[] } {
  const { reason } = decision;
  const holding = PLACES.filter((place) => isThere(seen[place], place));
  const writable = storeWritable(snapshot, permissions);
  // Nothing is removed anywhere before the store has the tombstone.
  if (decision.tag === undefined && !writable)
    return { actions: [], pending: ['store', ...holding.filter((place) => place !== 'store')] };

  const { allowed, pending } = permitted(holding, seen, undefined, entry, snapshot, permissions);
  const where = keepWhere(snapshot, permissions);
  const actions: Action[] = [];
  if (allowed.length > 0) {
    for (const version of distinct(allowed.map((place) => seen[place]))) {
      if (!inHistory(version.id, seen, entry)) actions.push({ kind: 'keep', version, where, reason });
    }
    actions.push(...aside(allowed, seen, where));
  }
  const { tombstone, over } = decision;
  if (decision.tag === undefined)
    actions.push({ kind: 'bury', tombstone, reason, ...(over !== undefined && { over }) });
  for (const place of storeFirst(allowed)) actions.push({ kind: 'remove', place, seen: seen[place], reason });
  return { actions, pending };
}

/** Whether a place is to be written so that it holds version `id`. */
function takes(sighting: Sighting, id: VersionId, now: number): boolean {
  switch (sighting.kind) {
    case 'absent':
      return true;
    case 'version':
      return sighting.version.id !== id;
    case 'invalid':
      return sighting.since === undefined || now - sighting.since > INVALID_SETTLES_MS;
    case 'unreadable':
    case 'paused':
    case 'unknown':
      return false;
  }
}

function isThere(sighting: Sighting, place: Place): boolean {
  return sighting.kind === 'version' || (sighting.kind === 'invalid' && isStorePlace(place));
}

/** @param id The version that the places are to hold; undefined: none. */
function permitted(
  wanted: readonly Place[],
  seen: CredentialSnapshot,
  id: VersionId | undefined,
  entry: BaseEntry | undefined,
  snapshot: Snapshot,
  permissions: Permissions,
): { allowed: Place[]; pending: Place[] } {
  const isAllowed = (place: Place): boolean => {
    if (isStorePlace(place) && !storeWritable(snapshot, permissions)) return false;
    if (!permissions.proxyPushes) return true;
    switch (place) {
      case 'ccs':
        return true;
      case 'auth':
        return id !== undefined && (isSame(seen.auth, seen.store) || isMissed(seen, entry));
      case 'store':
        return false;
      case 'backup':
        // It follows the store, which other hosts would bring in step with it otherwise.
        return id === undefined ? seen.store.kind === 'absent' : holds(seen.store, id);
    }
  };
  const allowed = wanted.filter(isAllowed);
  return { allowed, pending: wanted.filter((place) => !allowed.includes(place)) };
}

/** Gone from the auth dir, and in the store as it was there. */
function isMissed(seen: CredentialSnapshot, entry: BaseEntry | undefined): boolean {
  const before = entry?.at.auth;
  return seen.auth.kind === 'absent' && before !== undefined && holds(seen.store, before);
}

function isSame(a: Sighting, b: Sighting): boolean {
  if (a.kind === 'absent') return b.kind === 'absent';
  return a.kind === 'version' && holds(b, a.version.id);
}

function storeWritable(snapshot: Snapshot, permissions: Permissions): boolean {
  return permissions.store && STORE_PLACES.every((place) => snapshot.places[place].kind === 'listed');
}

function keepWhere(snapshot: Snapshot, permissions: Permissions): 'history' | 'host' {
  return storeWritable(snapshot, permissions) ? 'history' : 'host';
}

/** Whether a version is known to be in history, so that no request need be spent on putting it there. */
function inHistory(id: VersionId, seen: CredentialSnapshot, entry: BaseEntry | undefined): boolean {
  return (
    (entry?.agreed?.id === id && entry.agreed.recorded) ||
    ((entry?.superseded.includes(id) ?? false) && !entry?.unkept?.includes(id)) ||
    isInHistory(seen, id)
  );
}

function aside(places: readonly Place[], seen: CredentialSnapshot, where: 'history' | 'host'): Action[] {
  return places.flatMap((place) => {
    const sighting = seen[place];
    if (sighting.kind !== 'invalid') return [];
    const destination = isStorePlace(place) ? where : 'host';
    return [
      {
        kind: 'keep-aside',
        place,
        bytes: sighting.bytes,
        where: destination,
        reason: `what the ${placeName(place)} holds ${sighting.reason}`,
      },
    ];
  });
}

function writeReason(
  sighting: Sighting,
  place: Place,
  decision: Extract<Decision, { kind: 'spread' }>,
): string {
  if (sighting.kind === 'invalid')
    return `the file in the ${placeName(place)} ${sighting.reason}; ${decision.reason}`;
  return decision.reason;
}

function distinct(sightings: readonly Sighting[]): readonly SeenVersion[] {
  const versions = new Map<VersionId, SeenVersion>();
  for (const sighting of sightings) {
    if (sighting.kind === 'version' && !versions.get(sighting.version.id)?.bytes)
      versions.set(sighting.version.id, sighting.version);
  }
  return [...versions.values()];
}

function storeFirst(places: readonly Place[]): readonly Place[] {
  const order: readonly Place[] = ['store', 'backup', 'auth', 'ccs'];
  return order.filter((place) => places.includes(place));
}
