/** What the places say of one credential: the questions that rules, actions and the base ask of a snapshot. */
import type { VersionId } from '../credential/version.ts';
import {
  type CredentialSnapshot,
  PLACES,
  type Place,
  type Sighting,
  STORE_PLACES,
  type Tombstone,
} from './model.ts';

/** Whether a place holds this version. */
export function holds(sighting: Sighting, id: VersionId): boolean {
  return sighting.kind === 'version' && sighting.version.id === id;
}

/** The tombstone that stands in the store, if one does that can be read. */
export function tombstoneIn({ tombstone }: CredentialSnapshot): Tombstone | undefined {
  return tombstone?.kind === 'tombstone' ? tombstone.tombstone : undefined;
}

/** The ids of the versions that these places hold, one for each that holds any. */
export function versionsIn(
  seen: CredentialSnapshot,
  places: readonly Place[] = PLACES,
): readonly VersionId[] {
  return places.flatMap((place) => {
    const sighting = seen[place];
    return sighting.kind === 'version' ? [sighting.version.id] : [];
  });
}

/** Whether one of our programs made this version the store's current one, knowing what it replaced. */
export function isRecorded(seen: CredentialSnapshot, id: VersionId): boolean {
  return STORE_PLACES.some((place) => {
    const sighting = seen[place];
    return sighting.kind === 'version' && sighting.version.id === id && sighting.recorded === true;
  });
}

/** Whether what was seen shows that this version is in the store's history. */
export function isInHistory(seen: CredentialSnapshot, id: VersionId): boolean {
  return isRecorded(seen, id) || (seen.history?.some((record) => record.id === id) ?? false);
}
