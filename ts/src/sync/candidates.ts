/** The versions of one credential that stand for election, seen across all places. */
import type { VersionId } from '../credential/version.ts';
import { type CredentialSnapshot, PLACES, STORE_PLACES } from './model.ts';
import type { Candidate } from './rules/winner.ts';

/** The distinct versions that places hold, each with all its holders and with its bytes if anyone has them. */
export function candidates(seen: CredentialSnapshot): readonly Candidate[] {
  const found = new Map<VersionId, Candidate>();
  for (const place of PLACES) {
    const sighting = seen[place];
    if (sighting.kind !== 'version') continue;
    const known = found.get(sighting.version.id);
    found.set(sighting.version.id, {
      version: known?.version.bytes ? known.version : sighting.version,
      places: [...(known?.places ?? []), place],
    });
  }
  return [...found.values()];
}

/** Whether one of our programs made this version the store's current one, knowing what it replaced. */
export function isChosen(candidate: Candidate, seen: CredentialSnapshot): boolean {
  return STORE_PLACES.some((place) => {
    const sighting = seen[place];
    return (
      sighting.kind === 'version' &&
      sighting.version.id === candidate.version.id &&
      sighting.recorded === true
    );
  });
}

/** The versions that the store and the backup copy hold; undefined if they hold none. */
export function storeVersions(seen: CredentialSnapshot): readonly VersionId[] | undefined {
  const ids = STORE_PLACES.flatMap((place) => {
    const sighting = seen[place];
    return sighting.kind === 'version' ? [sighting.version.id] : [];
  });
  return ids.length > 0 ? ids : undefined;
}

/** Where the store was emptied, nothing tells which of these was current last: each may have been. */
export function recordIds(seen: CredentialSnapshot): readonly VersionId[] {
  return (seen.history ?? []).map(({ id }) => id);
}
