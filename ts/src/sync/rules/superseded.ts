/** Rule: a version known to have been replaced never wins, whatever the dates inside say. */
import type { VersionId } from '../../credential/version.ts';
import type { HistoryRecord } from '../../stores/store.ts';
import type { BaseEntry } from '../model.ts';

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

/** How many superseded ids a host remembers of one credential: beyond them freshness alone decides. */
export const MAX_SUPERSEDED = 200;
