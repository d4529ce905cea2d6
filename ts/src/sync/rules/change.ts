/** Rule: a place against its base. */

import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import {
  type Base,
  type BaseEntry,
  type CredentialSnapshot,
  type Intent,
  PLACES,
  type Place,
  type Sighting,
  type Snapshot,
  STORE_PLACES,
} from '../model.ts';
import { holds, isInHistory } from '../sightings.ts';

/**
 * What became of one place since this host last saw it agreed.
 *
 * - `unknown`: cannot be told (not listed, unreadable, invalid, paused): neither changed nor gone.
 * - `absent`: was not there before either.
 *
 * A reader copy (design, section 9) will be told here from the whole version that it is a projection of, and
 * count as unchanged.
 */
export type Change = 'unchanged' | 'changed' | 'gone' | 'absent' | 'unknown';

export function changeOf(sighting: Sighting, before: string | undefined): Change {
  switch (sighting.kind) {
    case 'version':
      return sighting.version.id === before ? 'unchanged' : 'changed';
    case 'absent':
      return before === undefined ? 'absent' : 'gone';
    case 'invalid':
    case 'unreadable':
    case 'paused':
    case 'unknown':
      return 'unknown';
  }
}

/**
 * The base of one credential as far as it still belongs to these places: a place whose marker is missing or
 * another one has no base (a first join), so a re-made directory or another bucket never reads as a deletion.
 */
export function baseFor(base: Base, snapshot: Snapshot, name: CredentialName): BaseEntry | undefined {
  const entry = base.credentials.get(name);
  if (!entry) return undefined;
  const known = (place: Place) => belongs(base, snapshot, place);
  const at = Object.fromEntries(
    PLACES.flatMap((place) => (entry.at[place] && known(place) ? [[place, entry.at[place]]] : [])),
  );
  if (!entry.buried) return { ...entry, at };
  // A file in a re-made directory was not put back by a person: it came with the directory.
  const cleared = Object.fromEntries(
    // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- `Object.entries` forgets that the keys are places
    Object.entries(entry.buried.cleared).filter(([place]) => known(place as Place)),
  );
  return { ...entry, at, buried: { ...entry.buried, cleared } };
}

/** A note as far as it is about these places: a directory that was made anew since never held anything. */
export function intentFor(base: Base, snapshot: Snapshot, intent: Intent): Intent {
  return { ...intent, held: intent.held.filter((place) => belongs(base, snapshot, place)) };
}

/** Whether what the base says of a place is about the place that is there now. */
export function belongs(base: Base, snapshot: Snapshot, place: Place): boolean {
  const state = snapshot.places[place];
  // A place that could not be listed has no sightings, so its base is neither used nor lost.
  return state.kind !== 'listed' || (state.marker !== undefined && state.marker === base.markers[place]);
}

/**
 * Rule: our own store write, noted ahead, that arrived before a crash. Where the store holds the version that was
 * noted, the base is what it would have been after that write: so a file that was deleted right after the crash
 * is a deletion, and the store's version is not mistaken for another host's change.
 */
export function adoptOwnWrite(
  base: Base,
  snapshot: Snapshot,
  name: CredentialName,
  entry: BaseEntry | undefined,
  seen: CredentialSnapshot,
): BaseEntry | undefined {
  const intent = base.intents.get(name);
  if (!intent) return entry;
  const id = intent.version.id;
  const arrived = STORE_PLACES.filter((place) => holds(seen[place], id));
  if (arrived.length === 0 || entry?.agreed?.id === id) return entry;
  // The store comes before the backup copy: one that holds another version by now was changed by somebody else since.
  const { held } = intentFor(base, snapshot, intent);
  const places: readonly Place[] = [...held, 'store', ...arrived];
  const superseded = entry?.superseded ?? [];
  const isKept = (old: VersionId) => entry?.agreed?.id === old && entry.agreed.recorded;
  const added = intent.supersedes.filter((old) => old !== id && !superseded.includes(old));
  return {
    // Another host can have come to the same version, and a native proxy can have pushed it: that it arrived says
    // nothing of what was to be kept ahead of it.
    agreed: { ...intent.version, recorded: isInHistory(seen, id) },
    at: { ...entry?.at, ...Object.fromEntries(places.map((place) => [place, id])) },
    tags: entry?.tags ?? {},
    superseded: [...superseded, ...added].filter((old) => old !== id),
    unkept: [...(entry?.unkept ?? []), ...added.filter((old) => !isKept(old))],
    // While the tombstone stands that it was to end, what a person put back is still told by this.
    buried: seen.tombstone ? entry?.buried : undefined,
  };
}
