/** Rule: an old file that was put back is not a change. */
import { compareFreshness, MAX_AHEAD_MS } from '../../credential/freshness.ts';
import type { VersionId } from '../../credential/version.ts';
import type { AgreedVersion, BaseEntry, CredentialSnapshot, SeenVersion } from '../model.ts';
import { isRecorded } from '../sightings.ts';

/**
 * Whether a changed version is less fresh than the agreed one without having been refreshed since: then it is an
 * old file, kept in history and not taken. A refresh later than the agreement is taken though its date lies
 * before the base's: then the base was dated by a clock that was ahead.
 */
export function isStale(version: SeenVersion, agreed: AgreedVersion | undefined, now: number): boolean {
  if (!agreed || compareFreshness(version.freshness, agreed.freshness, now) >= 0) return false;
  const refreshed = version.freshness.lastRefresh;
  return !(refreshed !== undefined && refreshed <= now + MAX_AHEAD_MS && refreshed > agreed.agreedAt);
}

/**
 * Whether one of our programs made this version the store's current one in the place of what was agreed here: then it
 * is taken, however fresh. That our programs wrote it does not suffice. A host that had not seen the agreed version,
 * since the store's objects had been wiped or since conditions do not hold there, writes without knowing of it.
 */
export function wasChosenOver(
  agreed: BaseEntry['agreed'],
  version: SeenVersion,
  seen: CredentialSnapshot,
  superseded: ReadonlySet<VersionId>,
): boolean {
  return agreed !== undefined && superseded.has(agreed.id) && isRecorded(seen, version.id);
}
