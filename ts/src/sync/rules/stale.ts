/** Rule: an old file that was put back is not a change. */
import { compareFreshness, MAX_AHEAD_MS } from '../../credential/freshness.ts';
import type { AgreedVersion, SeenVersion } from '../model.ts';

/**
 * Whether a changed version is less fresh than the agreed one without having been refreshed since: then it is an
 * old file, kept in history and not taken. A refresh later than the agreement is taken though its date lies
 * before the base's: then the base was dated by a clock that was ahead.
 *
 * @param chosen One of our programs put it into the store as the current version, knowing what it replaced.
 */
export function isStale(
  version: SeenVersion,
  agreed: AgreedVersion | undefined,
  chosen: boolean,
  now: number,
): boolean {
  if (!agreed || chosen || compareFreshness(version.freshness, agreed.freshness, now) >= 0) return false;
  const refreshed = version.freshness.lastRefresh;
  return !(refreshed !== undefined && refreshed <= now + MAX_AHEAD_MS && refreshed > agreed.agreedAt);
}
