/** The versions of one credential that stand for election, seen across all places. */
import type { VersionId } from '../credential/version.ts';
import { type CredentialSnapshot, PLACES } from './model.ts';
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

/** Where the store was emptied, nothing tells which of these was current last: each may have been. */
export function recordIds(seen: CredentialSnapshot): readonly VersionId[] {
  return (seen.history ?? []).map(({ id }) => id);
}
