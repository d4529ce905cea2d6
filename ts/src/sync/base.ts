/** What this host remembers after a run: pure functions from a plan's outcome to the next base. */
import type { CredentialName } from '../credential/name.ts';
import { contentOf, fieldDigests, type Version, type VersionId } from '../credential/version.ts';
import type { Tag } from '../stores/store.ts';
import {
  type Action,
  type AgreedVersion,
  type Base,
  type BaseEntry,
  type Burial,
  type CredentialPlan,
  type CredentialSnapshot,
  type Decision,
  type Intent,
  LOCAL_PLACES,
  type LocalPlace,
  PLACES,
  type Place,
  type PlaceState,
  type SeenVersion,
  type Sighting,
  type Snapshot,
  STORE_PLACES,
  type StorePlace,
  winnerId,
} from './model.ts';
import { GUARD_WINDOW_MS } from './rules/guard.ts';
import { MAX_SUPERSEDED } from './rules/superseded.ts';
import { buriedVersions, isSameTombstone } from './rules/tombstone.ts';
import { holds, isInHistory, isRecorded, versionsIn } from './sightings.ts';

export const EMPTY_BASE: Base = {
  markers: {},
  credentials: new Map(),
  deletions: new Map(),
  intents: new Map(),
};

/** How carrying out one credential's actions ended. */
export interface Outcome {
  /** All actions were carried out, but for writes to the `unwritten` places. */
  readonly complete: boolean;
  /** Local places that could not be written (rights, a full disk): each keeps the base that it had. */
  readonly unwritten?: readonly LocalPlace[];
  /** The winner with its bytes, where they were at hand or had to be read. */
  readonly winner?: SeenVersion;
  /** Tags of what was written to the store. */
  readonly tags: Readonly<Partial<Record<StorePlace, Tag>>>;
  /** Tag of the tombstone that was written. */
  readonly tombstone?: Tag | undefined;
  /** Local places from which the credential was removed. */
  readonly removed: readonly LocalPlace[];
}

/**
 * The entry after a run. It changes only where all places agree: the base never runs ahead of the places, so what
 * was left over is seen as a change again by the next run.
 */
export function nextEntry(
  { decision, pending, actions }: CredentialPlan,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  snapshot: Snapshot,
  outcome: Outcome,
): BaseEntry | undefined {
  if (decision.kind === 'delete') {
    if (!outcome.complete && decision.tag === undefined) return entry;
    const buried = burial(decision, pending, seen, entry, outcome, snapshot);
    if (pending.length > 0 || !outcome.complete || !storeListed(snapshot)) {
      // Where it was removed it is not missed again: the name may live anew before this host looks next.
      const at = { ...entry?.at };
      for (const place of outcome.removed) delete at[place];
      return entry && { ...entry, at, buried };
    }
    const gone = [entry?.agreed?.id, ...buriedVersions(decision.tombstone), ...versionsIn(seen)];
    const superseded = extend(entry?.superseded, gone, undefined);
    return {
      agreed: undefined,
      at: {},
      tags: {},
      superseded,
      ...unkept(superseded, entry, seen, actions),
      buried,
    };
  }
  if (decision.kind !== 'spread' || !outcome.complete || pending.length > 0 || !storeListed(snapshot))
    return entry;

  const id = winnerId(decision.winner);
  const unwritten: readonly Place[] = outcome.unwritten ?? [];
  const written = new Set(
    actions.flatMap((action) =>
      action.kind === 'write' && !unwritten.includes(action.place) ? [action.place] : [],
    ),
  );
  const holdsNow = (place: Place) => written.has(place) || holds(seen[place], id);
  const kept = actions.some(
    (action) => action.kind === 'keep' && action.where === 'history' && action.version.id === id,
  );
  const agreed = agreedVersion(
    decision.winner.from === 'history' || kept,
    outcome.winner,
    id,
    seen,
    entry,
    snapshot.now,
  );
  /* v8 ignore if -- what won came with its bytes, or is what was agreed before */
  if (!agreed) return entry;
  const at: Partial<Record<Place, VersionId>> = { ...entry?.at };
  for (const place of PLACES) {
    if (holdsNow(place)) at[place] = id;
    else if (isWithoutIt(seen[place])) delete at[place];
  }
  const tags: Partial<Record<StorePlace, Tag>> = {};
  for (const place of STORE_PLACES) {
    const sighting = seen[place];
    const tag = outcome.tags[place] ?? (sighting.kind === 'version' ? sighting.tag : undefined);
    if (holdsNow(place) && tag !== undefined) tags[place] = tag;
  }
  const superseded = extend(entry?.superseded, [entry?.agreed?.id, ...versionsIn(seen)], id);
  return { agreed, at, tags, superseded, ...unkept(superseded, entry, seen, actions), buried: undefined };
}

/** What was not known to be kept, and was not kept by these actions either: no place holds it, or it would have been. */
function unkept(
  superseded: readonly VersionId[],
  entry: BaseEntry | undefined,
  seen: CredentialSnapshot,
  actions: readonly Action[],
): Pick<BaseEntry, 'unkept'> {
  const isKept = (id: VersionId) =>
    isInHistory(seen, id) ||
    actions.some(
      (action) => action.kind === 'keep' && action.where === 'history' && action.version.id === id,
    );
  const left = (entry?.unkept ?? []).filter((id) => superseded.includes(id) && !isKept(id));
  return left.length > 0 ? { unkept: left } : {};
}

/** Something else than a credential that takes its name in a place is moved away later: then it is not missed there. */
function isWithoutIt(sighting: Sighting): boolean {
  return sighting.kind === 'absent' || (sighting.kind === 'unreadable' && sighting.isOther === true);
}

/** The note of a store write that is about to be made. */
export function intentOf(
  version: Version,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  now: number,
): Intent {
  // Where the store holds it already, that it does proves nothing of a write of ours: what is to be kept first may
  // not be, and what another program wrote is not in history.
  const isNew = !STORE_PLACES.some((place) => holds(seen[place], version.id));
  return {
    version: describe(version, now, isNew || isRecorded(seen, version.id)),
    held: LOCAL_PLACES.filter((place) => holds(seen[place], version.id)),
    supersedes: isNew ? extend([], [entry?.agreed?.id, ...versionsIn(seen)], version.id) : [],
  };
}

/** The markers after a run: those of the places that were listed, the others as they were. */
export function nextMarkers(base: Base, places: Snapshot['places']): Base['markers'] {
  const markers: Partial<Record<Place, string>> = { ...base.markers };
  for (const place of PLACES) {
    const state: PlaceState = places[place];
    if (state.kind === 'listed' && state.marker !== undefined) markers[place] = state.marker;
  }
  return markers;
}

/** The deletions that the guard counts: what of the last day has not come back. */
export function nextDeletions(
  base: Base,
  deleted: readonly CredentialName[],
  living: readonly CredentialName[],
  now: number,
): Base['deletions'] {
  const deletions = new Map([...base.deletions].filter(([, time]) => now - time < GUARD_WINDOW_MS));
  for (const name of living) deletions.delete(name);
  for (const name of deleted) deletions.set(name, now);
  return deletions;
}

function agreedVersion(
  kept: boolean,
  winner: SeenVersion | undefined,
  id: VersionId,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  now: number,
): AgreedVersion | undefined {
  const recorded = kept || isInHistory(seen, id);
  if (entry?.agreed?.id === id)
    return recorded && !entry.agreed.recorded ? { ...entry.agreed, recorded } : entry.agreed;
  return winner?.bytes && describe({ ...winner, bytes: winner.bytes }, now, recorded);
}

function describe(version: Version, now: number, recorded: boolean): AgreedVersion {
  return {
    id: version.id,
    freshness: version.freshness,
    fields: fieldDigests(contentOf(version)),
    agreedAt: now,
    recorded,
  };
}

function burial(
  { tombstone, tag }: Extract<Decision, { kind: 'delete' }>,
  pending: readonly Place[],
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  outcome: Outcome,
  snapshot: Snapshot,
): Burial {
  const before =
    entry?.buried && isSameTombstone(entry.buried.tombstone, tombstone) ? entry.buried.cleared : {};
  const cleared: Partial<Record<LocalPlace, number>> = {};
  // As long as the store has it, a proxy with its native store on may put it back at any time, and no person did.
  for (const place of pending.includes('store') ? [] : LOCAL_PLACES) {
    if (outcome.removed.includes(place)) cleared[place] = snapshot.now;
    else if (seen[place].kind === 'absent') cleared[place] = before[place] ?? snapshot.now;
  }
  return { tombstone, tag: tag ?? outcome.tombstone, cleared };
}

function extend(
  superseded: readonly VersionId[] | undefined,
  added: readonly (VersionId | undefined)[],
  except: VersionId | undefined,
): readonly VersionId[] {
  const all = new Set(superseded);
  for (const id of added) if (id !== undefined) all.add(id);
  if (except !== undefined) all.delete(except);
  return [...all].slice(-MAX_SUPERSEDED);
}

function storeListed(snapshot: Snapshot): boolean {
  return STORE_PLACES.every((place) => snapshot.places[place].kind === 'listed');
}
