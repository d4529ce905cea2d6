/** Rule: what a person asks for by name goes before all other rules, until it is carried out. */

import { compareFreshness } from '../../credential/freshness.ts';
import type { CredentialName } from '../../credential/name.ts';
import { fresherThan } from '../../credential/restored.ts';
import type { Version, VersionId } from '../../credential/version.ts';
import { candidates } from '../candidates.ts';
import {
  type BaseEntry,
  type CredentialSnapshot,
  type Decision,
  type SeenVersion,
  type Snapshot,
  STORE_PLACES,
  type Tombstone,
} from '../model.ts';
import { holds, tombstoneIn, versionsIn } from '../sightings.ts';
import { deletedWords, freshnessWords, placeNames } from '../words.ts';
import { supersededVersions } from './superseded.ts';
import { burying, lives } from './tombstone.ts';
import { type Candidate, inOrder } from './winner.ts';

export type Choice =
  /** Makes a version current everywhere: one that `restoredContent` made, of the version `of`. */
  | { readonly kind: 'restore'; readonly version: Version; readonly of: VersionId; readonly reason: string }
  /** Deletes the credential everywhere. `time` tells this deletion from any other, in milliseconds since 1970. */
  | { readonly kind: 'forget'; readonly time: number };

/**
 * The decision that a choice comes to; undefined where the ordinary rules decide: once the store has what was chosen,
 * a refresh or a login that comes after it is as good as after anything else.
 */
export function chosen(
  name: CredentialName,
  choice: Choice,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  snapshot: Pick<Snapshot, 'now' | 'places'>,
  host: string,
): Decision | undefined {
  if (seen.tombstone?.kind === 'invalid' || isDone(choice, seen, entry, host)) return undefined;
  if (snapshot.places.store.kind !== 'listed') {
    return {
      kind: 'held',
      waitsFor: 'store',
      reason: `the store cannot be reached, and without it no other host would learn that it was ${WORDS[choice.kind]}`,
      remedy: 'Nothing was changed. Run the same command again when the store is back.',
    };
  }
  return choice.kind === 'restore'
    ? restore(choice, seen, entry, snapshot.now)
    : forget(name, choice, seen, entry, snapshot.now, host);
}

const WORDS = { restore: 'restored', forget: 'forgotten' } as const;

function isDone(
  choice: Choice,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  host: string,
): boolean {
  if (choice.kind === 'restore') {
    const { id } = choice.version;
    return entry?.agreed?.id === id || STORE_PLACES.some((place) => holds(seen[place], id));
  }
  const tombstones = [tombstoneIn(seen), entry?.buried?.tombstone];
  return tombstones.some((tombstone) => tombstone?.time === choice.time && tombstone.host === host);
}

function restore(
  { version, of, reason }: Extract<Choice, { kind: 'restore' }>,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  now: number,
): Decision | undefined {
  // It may have been current already and been refreshed since, by a proxy that was quicker than this run.
  if (seen.history === undefined) return { kind: 'consult' };
  const current = versionsIn(seen, STORE_PLACES);
  if (supersededVersions(entry, seen.history, current, seen.pruned).has(version.id)) return undefined;
  // It was made to be fresher than all that was there: this one came after that, and would win on every other host.
  const later = candidates(seen).find(
    (candidate) => compareFreshness(candidate.version.freshness, version.freshness, now) > 0,
  );
  if (later) {
    return {
      kind: 'held',
      waitsFor: 'person',
      reason: `it changed in ${placeNames(later.places)} while it was being restored (${freshnessWords(later.version.freshness)})`,
      remedy: 'Nothing of it was changed. See what came with history, and run the same command again.',
    };
  }
  const earlier = tombstoneIn(seen);
  return {
    kind: 'spread',
    winner: { from: 'merge', version },
    madeOf: of,
    // What a person asks history for later: that it had been deleted meanwhile, and by whom.
    reason: earlier ? `${reason}, after it was ${deletedWords(earlier)}` : reason,
    losers: candidates(seen).map((candidate) => candidate.version),
    ends: seen.tombstone?.kind === 'tombstone' ? { tag: seen.tombstone.tag } : undefined,
    stale: false,
    conflict: false,
  };
}

/** What is deleted where it was deleted before: what lives, or else what that deletion named, of which an old copy is left. */
function lastUnder(
  earlier: Tombstone,
  present: readonly Candidate[],
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  now: number,
): Pick<SeenVersion, 'id' | 'freshness'> | undefined {
  if (present.length === 0) return undefined;
  const superseded = supersededVersions(entry, seen.history, versionsIn(seen, STORE_PLACES), seen.pruned);
  const living = present.find((candidate) => lives(candidate, seen, earlier, entry, superseded, now));
  return living?.version ?? { id: earlier.version, freshness: earlier.freshness };
}

function forget(
  name: CredentialName,
  { time }: Extract<Choice, { kind: 'forget' }>,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  now: number,
  host: string,
): Decision | undefined {
  const present = inOrder(candidates(seen), now);
  const earlier = tombstoneIn(seen);
  const last = earlier
    ? lastUnder(earlier, present, seen, entry, now)
    : (present[0]?.version ?? entry?.agreed);
  if (!last) return undefined;
  // It ranks above all that is there, and above what a host that is offline refreshed before this.
  const freshness = fresherThan(
    last.freshness,
    present.map((candidate) => candidate.version.freshness),
    time,
  );
  const agreed = entry?.agreed ? [entry.agreed.id] : [];
  const buried = burying(last.id, freshness, [...versionsIn(seen), ...agreed], earlier);
  return {
    kind: 'delete',
    tombstone: { name, ...buried, host, forgotten: true, time },
    tag: undefined,
    ...(seen.tombstone?.kind === 'tombstone' && { over: seen.tombstone.tag }),
    reason: `forgotten on ${host}`,
  };
}
