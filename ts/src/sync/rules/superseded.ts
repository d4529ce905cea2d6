/** Rule: a version known to have been replaced never wins, whatever the dates inside say. */
import { compareFreshness } from '../../credential/freshness.ts';
import type { VersionId } from '../../credential/version.ts';
import type { HistoryRecord } from '../../stores/store.ts';
import type { AgreedVersion, BaseEntry, Sighting } from '../model.ts';

/**
 * The versions that were replaced: by this host's own list, by what history says its entries replaced, and by what
 * retention left of those that it took out. That a version is in history does not suffice: one that was put there and
 * then lost its race was never current.
 *
 * For the same reason an entry's word on what it replaced counts only if it is known to have been current: it is
 * so now, or was agreed, or another replaced it. Else a merge that was noted, and never written because the store
 * failed or another host was faster, would bar the very versions that it was made of.
 *
 * @param current Versions known to be, or to have been, the store's current ones.
 * @param pruned What `Store.pruned` says.
 */
export function supersededVersions(
  entry: BaseEntry | undefined,
  history: readonly HistoryRecord[] | undefined,
  current: readonly VersionId[],
  pruned: readonly VersionId[] = [],
): ReadonlySet<VersionId> {
  const records = history ?? [];
  const wasCurrent = new Set([
    ...current,
    entry?.agreed?.id,
    ...pruned,
    ...records.flatMap((record) => record.replaces),
  ]);
  const replaced = records.filter(({ id }) => wasCurrent.has(id)).flatMap((record) => record.replaces);
  return new Set([...(entry?.superseded ?? []), ...pruned, ...replaced]);
}

/**
 * The version of the store, if one of our programs put it back there after this host took it for replaced: two hosts
 * that look at different times may each replace the other's choice, and each would put its own right for ever. What
 * arrived last counts, unless it is less fresh than what was agreed here: then it is what somebody copied back.
 */
export function chosenAgain(
  store: Sighting,
  agreed: AgreedVersion | undefined,
  now: number,
): VersionId | undefined {
  if (store.kind !== 'version' || store.recorded !== true || !agreed) return undefined;
  const { id, freshness } = store.version;
  return compareFreshness(freshness, agreed.freshness, now) >= 0 ? id : undefined;
}

/** How many superseded ids a host remembers of one credential: beyond them freshness alone decides. */
export const MAX_SUPERSEDED = 200;
