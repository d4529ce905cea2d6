/**
 * The planner: what is to be done with every credential, and why. Pure: it reads a snapshot and the base, and
 * gives actions; it does no I/O and asks no clock.
 *
 * A credential is decided in this order; each rule is a file under `rules/`:
 *
 * 1. Its base is what this host last saw agreed, as far as it belongs to the places that are there (`change`).
 * 2. Under a tombstone it stays deleted, unless a fresher login lives (`tombstone`).
 * 3. Superseded versions never win (`superseded`), nor old files that were put back (`stale`).
 * 4. One changed version wins; several are merged, the freshest first (`winner`, `credential/merge.ts`).
 * 5. With nothing changed, gone from the auth dir or the CCS dir is a deletion.
 * 6. Otherwise every place is to hold what was last agreed: damage is healed, history included.
 *
 * What a person asked for by name (`restore`, `forget`) comes before all of it, once (`choice`). Then the guard looks at all deletions together (`guard`), and what is decided becomes actions (`actions.ts`).
 */

import { mergeVersions } from '../credential/merge.ts';
import type { CredentialName } from '../credential/name.ts';
import type { Version, VersionId } from '../credential/version.ts';
import { credentialActions } from './actions.ts';
import { candidates, recordIds } from './candidates.ts';
import { heldTwin, type SpreadDecision, spread } from './decisions.ts';
import {
  type AgreedVersion,
  type Base,
  type BaseEntry,
  type CredentialPlan,
  type CredentialSnapshot,
  type Decision,
  LOCAL_PLACES,
  type LocalPlace,
  type Permissions,
  type Place,
  type Plan,
  type Snapshot,
  STORE_PLACES,
  type Tombstone,
} from './model.ts';
import { adoptOwnWrite, baseFor, changeOf } from './rules/change.ts';
import { type Choice, chosen } from './rules/choice.ts';
import { deletes, exists, guard, isForgottenElsewhere, putBack } from './rules/guard.ts';
import { needsHistory } from './rules/history.ts';
import { isStale, wasChosenOver } from './rules/stale.ts';
import { chosenAgain, supersededVersions } from './rules/superseded.ts';
import { buriedVersions, burying, lives } from './rules/tombstone.ts';
import { twins } from './rules/twins.ts';
import { type Candidate, inOrder } from './rules/winner.ts';
import { tombstoneIn, versionsIn } from './sightings.ts';
import { deletedWords, freshnessWords, instantWords, placeNames } from './words.ts';

export interface PlanOptions {
  /** Credentials that a person allowed to be deleted, by name. */
  readonly allowDelete: ReadonlySet<CredentialName>;
  /** This host's name, for tombstones. */
  readonly host: string;
  /** What a person asked for by name, over the rules (`restore`, `forget`). */
  readonly choices?: ReadonlyMap<CredentialName, Choice>;
}

/**
 * What is to be done. Where `consult` names credentials, their history must be put into the snapshot and the plan
 * made again before it may be carried out.
 */
export function plan(base: Base, snapshot: Snapshot, permissions: Permissions, options: PlanOptions): Plan {
  const names = [...snapshot.credentials.keys()].sort();
  const twinOf = twins(snapshot);
  const decided = names.map((name) => {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- one of its keys
    const seen = snapshot.credentials.get(name) as CredentialSnapshot;
    const entry = effectiveBase(base, snapshot, name);
    const twin = twinOf.get(name);
    const choice = options.choices?.get(name);
    const decision = twin
      ? heldTwin(twin)
      : ((choice && chosen(name, choice, seen, entry, snapshot, options.host)) ??
        decide(name, seen, entry, snapshot, options.host));
    return { name, seen, entry, decision };
  });

  const report = guard(
    decided.filter(({ decision, seen }) => deletes(decision, seen)).map(({ name }) => name),
    new Set(
      decided.filter(({ decision, seen, entry }) => exists(decision, seen, entry)).map(({ name }) => name),
    ),
    base.deletions,
    options.allowDelete,
    snapshot.now,
    decided.filter(({ decision, seen }) => isForgottenElsewhere(decision, seen)).map(({ name }) => name),
  );
  const guarded = new Set(report?.names);

  const credentials: CredentialPlan[] = decided.map(({ name, seen, entry, decision }) => {
    const final = guarded.has(name) ? putBack(decision, seen, entry) : decision;
    return { name, decision: final, ...credentialActions(final, seen, entry, snapshot, permissions) };
  });
  return {
    credentials,
    consult: decided.filter(({ decision }) => decision.kind === 'consult').map(({ name }) => name),
    guard: report,
  };
}

/** The base that decides about one credential: what still belongs to these places, our own arrived writes included. */
export function effectiveBase(base: Base, snapshot: Snapshot, name: CredentialName): BaseEntry | undefined {
  const seen = snapshot.credentials.get(name);
  const entry = baseFor(base, snapshot, name);
  return seen ? adoptOwnWrite(base, snapshot, name, entry, seen) : entry;
}

/** What is to be true of one credential. */
export function decide(
  name: CredentialName,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  { now, places }: Pick<Snapshot, 'now' | 'places'>,
  host: string,
): Decision {
  const present = candidates(seen);
  if (seen.tombstone?.kind === 'invalid') {
    return {
      kind: 'held',
      waitsFor: 'person',
      reason: `its tombstone in the store ${seen.tombstone.reason}`,
      remedy:
        'Run the newest cliproxyapi-sync on this host; if it is damaged, remove that one object from the store.',
    };
  }
  if (seen.tombstone) return decideBuried(seen, present, seen.tombstone, entry, now, host);
  if (places.store.kind !== 'listed' && entry?.buried) {
    const { tombstone } = entry.buried;
    const superseded = supersededVersions(entry, [], []);
    if (!present.some((candidate) => lives(candidate, seen, tombstone, entry, superseded, now))) {
      return {
        kind: 'held',
        waitsFor: 'store',
        reason: `it was ${deletedWords(tombstone)}, and the store cannot be reached to see whether it lives again`,
        remedy: 'Nothing to do: it is looked at again when the store is back.',
      };
    }
  }

  const inStore = versionsIn(seen, STORE_PLACES);
  const superseded = supersededVersions(
    entry,
    seen.history,
    inStore.length > 0 ? inStore : recordIds(seen),
    seen.pruned,
  );
  const change = (place: Place) => changeOf(seen[place], entry?.at[place]);
  const isChange = ({ version, places: holders }: Candidate) =>
    version.id !== entry?.agreed?.id && holders.some((place) => change(place) === 'changed');
  const chosen = chosenAgain(seen.store, entry?.agreed, now);
  const acceptable = present.filter(({ version }) => version.id === chosen || !superseded.has(version.id));
  const changed = acceptable.filter(isChange);
  const fresh = changed.filter(
    ({ version }) =>
      !isStale(version, entry?.agreed, now) || wasChosenOver(entry?.agreed, version, seen, superseded),
  );
  const stale = fresh.length < changed.length;

  if (seen.history === undefined && needsHistory(changed, present, seen, entry, now))
    return { kind: 'consult' };

  if (fresh.length === 1) {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- of that length
    const [winner] = fresh as [Candidate];
    return spread(winner, changeWords(winner, entry), present, { stale, conflict: changed.length > 1 });
  }
  if (fresh.length > 1) return merged(inOrder(fresh, now), entry, present, superseded, stale);

  const gone = LOCAL_PLACES.filter((place) => change(place) === 'gone');
  if (gone.length > 0 && entry?.agreed) {
    if (places.store.kind !== 'listed') {
      return {
        kind: 'held',
        waitsFor: 'store',
        reason: `it was deleted from ${placeNames(gone)}, and the store cannot be reached to record that`,
        remedy: 'Nothing to do: the deletion is carried out when the store is back.',
      };
    }
    return deletion(name, entry.agreed, gone, host, now, seen);
  }

  const unchanged = acceptable.filter((candidate) => !isChange(candidate));
  const agreed =
    unchanged.find(({ version }) => version.id === entry?.agreed?.id) ?? inOrder(unchanged, now)[0];
  if (agreed) {
    return spread(
      agreed,
      stale ? 'an older file was put back, which is not taken' : 'as last agreed',
      present,
      { stale },
    );
  }
  const isStill = ({ places: holders }: Candidate) => holders.some((place) => change(place) === 'unchanged');
  return heal(seen, entry, present, acceptable, superseded, isStill, now);
}

/** Rule 2: what becomes of a credential that has a tombstone. */
function decideBuried(
  seen: CredentialSnapshot,
  present: readonly Candidate[],
  { tombstone, tag }: { readonly tombstone: Tombstone; readonly tag: string },
  entry: BaseEntry | undefined,
  now: number,
  host: string,
): Decision {
  const current = [...versionsIn(seen, STORE_PLACES), ...buriedVersions(tombstone)];
  const superseded = supersededVersions(entry, seen.history, current, seen.pruned);
  const living = present.filter((candidate) => lives(candidate, seen, tombstone, entry, superseded, now));
  const deleted = deletedWords(tombstone);
  if (living.length === 0) return { kind: 'delete', tombstone, tag, reason: deleted };
  // Before a copy that looks fresher may end a tombstone, history must say that it was not replaced long ago.
  if (seen.history === undefined) return { kind: 'consult' };
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- as many as `living`
  const [first, ...others] = inOrder(living, now) as [Candidate, ...Candidate[]];
  // Our own write, after which the tombstone was to go; and then the file went.
  const gone = LOCAL_PLACES.filter((place) => changeOf(seen[place], entry?.at[place]) === 'gone');
  if (others.length === 0 && first.version.id === entry?.agreed?.id && gone.length > 0)
    return { ...deletion(tombstone.name, entry.agreed, gone, host, now, seen), over: tag };
  const ends = { tag };
  if (others.length > 0)
    return { ...merged([first, ...others], undefined, present, superseded, false), ends };
  return {
    ...spread(first, `logged in again in ${placeNames(first.places)} after it was ${deleted}`, present, {}),
    ends,
  };
}

/** Rule 5: what was agreed is gone from places where only a deletion takes it. */
function deletion(
  name: CredentialName,
  { id, freshness }: AgreedVersion,
  gone: readonly LocalPlace[],
  host: string,
  time: number,
  seen: CredentialSnapshot,
): Extract<Decision, { kind: 'delete' }> {
  const buried = burying(id, freshness, versionsIn(seen), tombstoneIn(seen));
  return {
    kind: 'delete',
    tombstone: { name, ...buried, host, time },
    tag: undefined,
    reason: `deleted from ${placeNames(gone)}`,
  };
}

/** Rule 4, several changes: one version out of all of them. */
function merged(
  ordered: readonly Candidate[],
  entry: BaseEntry | undefined,
  present: readonly Candidate[],
  superseded: ReadonlySet<VersionId>,
  stale: boolean,
): SpreadDecision {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- called with two or more
  const [first] = ordered as [Candidate, ...Candidate[]];
  const merge = mergeVersions(
    // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- as long as `ordered`
    ordered.map(({ version: { bytes, ...rest } }) => ({ ...rest, bytes: loaded(bytes) })) as [Version],
    entry?.agreed?.fields,
  );
  // A merge can come out as what was replaced before; hosts that know that would put it right for ever.
  const version = superseded.has(merge.id) ? { ...first.version, bytes: loaded(first.version.bytes) } : merge;
  const where = placeNames(ordered.flatMap(({ places }) => places));
  const taken = ordered.find((candidate) => candidate.version.id === version.id);
  if (taken) {
    const reason = `changed independently in ${where}; taken is the one from ${placeNames(taken.places)}, ${freshnessWords(taken.version.freshness)}`;
    return spread(taken, reason, present, { stale, conflict: true });
  }
  return {
    kind: 'spread',
    winner: { from: 'merge', version },
    reason: `changed independently in ${where}; merged, with the tokens from ${placeNames(first.places)}, ${freshnessWords(first.version.freshness)}`,
    losers: present.map((candidate) => candidate.version),
    ends: undefined,
    stale,
    conflict: true,
  };
}

/** Rule 6: no place holds what it should. History has it, or else the best of what is left is better than nothing. */
function heal(
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  present: readonly Candidate[],
  acceptable: readonly Candidate[],
  superseded: ReadonlySet<VersionId>,
  isStill: (candidate: Candidate) => boolean,
  now: number,
): Decision {
  const records = [...(seen.history ?? [])].sort((a, b) => b.arrived - a.arrived);
  const good = records.filter(({ id }) => !superseded.has(id));
  const record = good.find(({ id }) => id === entry?.agreed?.id) ?? good[0];
  if (record) {
    const reason = `no place has it any more; taken from history (${record.host}, ${instantWords(record.arrived)})`;
    return {
      kind: 'spread',
      winner: { from: 'history', id: record.id },
      reason,
      losers: present.map((candidate) => candidate.version),
      ends: undefined,
      stale: false,
      conflict: false,
    };
  }
  // Less fresh than what was agreed, or replaced before: history may have better.
  if (present.length > 0 && seen.history === undefined) return { kind: 'consult' };
  const again = acceptable.length === 0 ? putBackInStore(seen, entry, present, superseded) : undefined;
  if (again)
    return spread(again, 'put back in the store, after all others were replaced or deleted', present, {});
  // Where the store may not be written, what was taken from it last time is taken again, and not what lies beside it.
  const left = acceptable.length > 0 ? acceptable : present;
  const still = left.filter(isStill);
  const [best] = inOrder(still.length > 0 ? still : left, now);
  return best
    ? spread(best, 'an older version, the only one that is left', present, {})
    : { kind: 'nothing' };
}

/**
 * What one of our programs made the store's current version again, where all that is left was replaced once, and what was
 * agreed here was too, if anything was: a person put an old file back after the deletion, and the host that still has
 * the deleted one must not undo that.
 */
function putBackInStore(
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  present: readonly Candidate[],
  superseded: ReadonlySet<VersionId>,
): Candidate | undefined {
  const { store } = seen;
  if (store.kind !== 'version' || store.recorded !== true) return undefined;
  if (entry?.agreed && !superseded.has(entry.agreed.id)) return undefined;
  return present.find(({ version }) => version.id === store.version.id);
}

function changeWords({ places, version }: Candidate, entry: BaseEntry | undefined): string {
  const verb = entry?.agreed ? 'changed' : 'new';
  return `${verb} in ${placeNames(places)}, ${freshnessWords(version.freshness)}`;
}

function loaded(bytes: Uint8Array | undefined): Uint8Array {
  /* v8 ignore if -- only what is as the base has it comes without its bytes */
  if (!bytes) throw new Error('a changed version came into the plan without its bytes');
  return bytes;
}
