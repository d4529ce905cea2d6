/** Rule: a version known to have been replaced never wins, whatever the dates inside say. */
import type { VersionId } from '../../credential/version.ts';
import type { HistoryRecord } from '../../stores/store.ts';
import type { BaseEntry } from '../model.ts';

/**
 * The versions that were replaced: by this host's own list, and by what history says its entries replaced. That a
 * version is in history does not suffice: one that was put there and then lost its race was never current.
 */
export function supersededVersions(
  entry: BaseEntry | undefined,
  history: readonly HistoryRecord[] | undefined,
): ReadonlySet<VersionId> {
  return new Set([...(entry?.superseded ?? []), ...(history ?? []).flatMap((record) => record.replaces)]);
}

/** How many superseded ids a host remembers of one credential: beyond them freshness alone decides. */
export const MAX_SUPERSEDED = 200;
