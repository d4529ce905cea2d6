/** Rule: a deleted credential stays deleted until the name lives again. */
import { compareFreshness, type Freshness } from '../../credential/freshness.ts';
import type { VersionId } from '../../credential/version.ts';
import {
  type BaseEntry,
  type CredentialSnapshot,
  isStorePlace,
  type Place,
  type SeenVersion,
  type Tombstone,
} from '../model.ts';
import type { Candidate } from './winner.ts';

/** A file that is back sooner than this after its removal was put back by a proxy that still held it. */
export const REAPPEARANCE_MS = 60_000;

/** Whether a version that a place holds lives under a tombstone, and by what. */
export type Life =
  | 'dead'
  /** It is fresher than what was deleted: a new login. */
  | 'fresher'
  /** It came to a place that had long been free of it: only a person puts it there. */
  | 'put-back';

/**
 * @param since When the file got there, in milliseconds since 1970, where that is known: a run may come long after
 *   a proxy wrote the file back.
 */
export function lifeUnder(
  tombstone: Tombstone,
  version: SeenVersion,
  place: Place,
  since: number | undefined,
  entry: BaseEntry | undefined,
  superseded: ReadonlySet<VersionId>,
  now: number,
): Life {
  const cleared =
    !isStorePlace(place) && entry?.buried && isSameTombstone(entry.buried.tombstone, tombstone)
      ? entry.buried.cleared[place]
      : undefined;
  if (cleared !== undefined && Math.min(since ?? now, now) - cleared > REAPPEARANCE_MS) return 'put-back';
  if (buriedVersions(tombstone).includes(version.id) || superseded.has(version.id)) return 'dead';
  return compareFreshness(version.freshness, tombstone.freshness, now) > 0 ? 'fresher' : 'dead';
}

/** Whether a version lives under a tombstone in at least one of the places that hold it. */
export function lives(
  { version, places }: Candidate,
  seen: CredentialSnapshot,
  tombstone: Tombstone,
  entry: BaseEntry | undefined,
  superseded: ReadonlySet<VersionId>,
  now: number,
): boolean {
  return places.some((place) => {
    const sighting = seen[place];
    const since =
      sighting.kind === 'version'
        ? sighting.since
        : /* v8 ignore next -- a candidate is in places that hold it */ undefined;
    return lifeUnder(tombstone, version, place, since, entry, superseded, now) !== 'dead';
  });
}

/** Every version that a tombstone says was deleted. */
export function buriedVersions({ version, also = [] }: Tombstone): readonly VersionId[] {
  return [version, ...also];
}

/** More than these are told by their freshness: whoever ends a tombstone records all of them, and S3 has room for few. */
export const MAX_ALSO = 8;

/**
 * What a new tombstone says of the version that it is for: besides, what went with it, and what an earlier tombstone
 * had named. It ranks as high as that one did, by the kinds of time that this version has: with another kind, the next
 * login of its provider would count as older than the deletion.
 */
export function burying(
  version: VersionId,
  freshness: Freshness,
  present: readonly VersionId[],
  earlier: Tombstone | undefined,
): Pick<Tombstone, 'version' | 'freshness' | 'also'> {
  const others = new Set([...(earlier ? buriedVersions(earlier) : []), ...present]);
  others.delete(version);
  return {
    version,
    freshness: {
      ...(freshness.lastRefresh !== undefined && {
        lastRefresh: Math.max(freshness.lastRefresh, earlier?.freshness.lastRefresh ?? 0),
      }),
      ...(freshness.expired !== undefined && {
        expired: Math.max(freshness.expired, earlier?.freshness.expired ?? 0),
      }),
    },
    ...(others.size > 0 && { also: [...others].slice(0, MAX_ALSO) }),
  };
}

/** Whether both are of the same deletion: a name that lived again can be deleted again at the same version. */
export function isSameTombstone(a: Tombstone, b: Tombstone): boolean {
  return a.version === b.version && a.time === b.time;
}
