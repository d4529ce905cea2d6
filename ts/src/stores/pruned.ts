/** The ids of pruned versions as a store in which they are a file writes them: one a line, the oldest first. */
import type { VersionId } from '../credential/version.ts';
import { MAX_PRUNED } from './store.ts';

export function prunedBytes(ids: readonly VersionId[]): Uint8Array {
  return Buffer.from(ids.map((id) => `${id}\n`).join(''));
}

/** What is no id is left out: a damaged file tells as much as it can. */
export function parsePruned(bytes: Uint8Array): readonly VersionId[] {
  return Buffer.from(bytes)
    .toString()
    .split('\n')
    .filter((line): line is VersionId => /^[0-9a-f]{64}$/.test(line));
}

/** The old ids and the new ones behind them, without repetition and bounded; undefined if there is no new one. */
export function withPruned(
  known: readonly VersionId[],
  more: readonly VersionId[],
): readonly VersionId[] | undefined {
  const all = [...new Set([...known, ...more])];
  return all.length === known.length ? undefined : all.slice(-MAX_PRUNED);
}
