/** Taking out of history what is too much of it. */
import { removeOldTemporaryFiles } from '../files/leftovers.ts';
import { type PruneEntry, type Store, StoreError } from '../stores/store.ts';
import { pruneHostHistory } from './host-history.ts';
import type { Snapshot } from './model.ts';
import { DAY_MS, expendable, type HistoryKeep } from './rules/expendable.ts';
import type { State } from './state.ts';
import { Stopped, untilAborted } from './stopping.ts';

/** So that no run takes long, whatever has piled up: S3 is asked once for each version. The next run goes on. */
const CREDENTIALS_PER_RUN = 100;
/** What is beyond it waits for another day. */
export const MAX_PRUNED_PER_RUN = 1_000;

/**
 * Prunes the store's history and this host's own, at most once a day per host and store, after a look that found all in
 * step; for the first time a day after this host first saw the store. That it fails is no failure of the run:
 * nothing depends on it, and it is tried again by the next one.
 *
 * @returns What was done, in words; nothing if there was nothing to do.
 */
export async function tidyHistory(
  keep: HistoryKeep,
  snapshot: Snapshot,
  store: Store,
  state: State,
  { foundAllInStep, signal }: { readonly foundAllInStep: boolean; readonly signal?: AbortSignal | undefined },
): Promise<readonly string[]> {
  const memory = state.memory(`history of ${store.location}`);
  const { prunedAt, next } = memory.read();
  const { now } = snapshot;
  if (signal?.aborted || snapshot.places.store.kind !== 'listed') return [];
  if (typeof prunedAt !== 'number' || prunedAt > now) {
    await memory.write({ prunedAt: now, next: null });
    return [];
  }
  if (!foundAllInStep) return [];
  const from = typeof next === 'string' ? next : undefined;
  if (from === undefined && now - prunedAt < DAY_MS) return [];
  try {
    const names = [...snapshot.credentials.keys()]
      .sort()
      .filter((name) => from === undefined || name >= from);
    const part = names.slice(0, CREDENTIALS_PER_RUN);
    const history = await untilAborted(signal, store.history(part));
    const pruned = await untilAborted(signal, store.pruned(part));
    const entries = bounded(expendable(history, snapshot, pruned, keep));
    const count = await untilAborted(signal, store.prune(entries));
    const rest = names[CREDENTIALS_PER_RUN];
    if (rest === undefined) await removeOldTemporaryFiles(state.directory);
    const here = rest === undefined ? await pruneHostHistory(state.directory, keep, snapshot) : 0;
    await memory.write(rest === undefined ? { prunedAt: now, next: null } : { next: rest });
    const all = count + here;
    return all === 0 ? [] : [`took ${all} old version${all === 1 ? '' : 's'} out of history`];
  } catch (error) {
    if (error instanceof Stopped) return [];
    if (!(error instanceof StoreError)) throw error;
    return [`old versions stay in history for now: ${error.message}`];
  }
}

/** A part of a credential's versions must not go without the ids that all of them are to leave. */
function bounded(entries: readonly PruneEntry[]): readonly PruneEntry[] {
  let left = MAX_PRUNED_PER_RUN;
  return entries.flatMap((entry) => {
    const versions = entry.versions.slice(0, left);
    left -= versions.length;
    return versions.length > 0 ? [{ ...entry, versions }] : [];
  });
}
