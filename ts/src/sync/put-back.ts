/** Versions that were replaced once, came back to this host, and are put right: a person may have meant them. */
import type { VersionId } from '../credential/version.ts';
import {
  type Base,
  type CredentialPlan,
  LOCAL_PLACES,
  type LocalPlace,
  type Snapshot,
  STORE_PLACES,
} from './model.ts';
import { effectiveBase } from './plan.ts';
import { supersededVersions } from './rules/superseded.ts';
import { versionsIn } from './sightings.ts';
import { instantWords, placeName, shellWord, shortId } from './words.ts';

export interface PutBack {
  readonly place: LocalPlace;
  /** What came back, and is replaced again. */
  readonly id: VersionId;
  /** When it first came to the store, where history was asked. Milliseconds since 1970. */
  readonly arrived: number | undefined;
}

/** What a plan puts back: a proxy that wrote what it held in memory, or a field that was set and set back. Pure. */
export function putBackBy(
  { name, decision, actions }: CredentialPlan,
  base: Base,
  snapshot: Snapshot,
): readonly PutBack[] {
  const seen = snapshot.credentials.get(name);
  const replaced = LOCAL_PLACES.filter((place) =>
    actions.some((action) => action.kind === 'write' && action.place === place),
  );
  // A host that joins has thousands to write and nothing that came back.
  if (!seen || decision.kind !== 'spread' || replaced.every((place) => seen[place].kind !== 'version'))
    return [];
  const entry = effectiveBase(base, snapshot, name);
  const superseded = supersededVersions(entry, seen.history, versionsIn(seen, STORE_PLACES), seen.pruned);
  return replaced.flatMap((place): PutBack[] => {
    const sighting = seen[place];
    if (sighting.kind !== 'version') return [];
    const { id } = sighting.version;
    // One that never left is merely behind.
    const cameBack = entry?.at[place] !== undefined && entry.at[place] !== id;
    if (!cameBack || !superseded.has(id)) return [];
    return [{ place, id, arrived: seen.history?.find((record) => record.id === id)?.arrived }];
  });
}

/** What a person is to know of it, and how to have that version all the same. */
export function putBackWords(
  name: string,
  { place, id, arrived }: PutBack,
): { reason: string; remedy: string } {
  const of = arrived === undefined ? '' : ` of ${instantWords(arrived)}`;
  return {
    reason: `the ${placeName(place)} had version ${shortId(id)}${of} again, which was replaced before and does not come back by itself: the current one is put back there`,
    remedy: `To have that version: \`cliproxyapi-sync restore ${shellWord(name)} --version ${shortId(id)}\``,
  };
}
