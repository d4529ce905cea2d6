/** How much history is kept, and taking out the rest. */
import type { CredentialName } from '../credential/name.ts';
import type { VersionId } from '../credential/version.ts';
import { removeLeftTemporaryFiles } from '../files/leftovers.ts';
import { type HistoryRecord, type PruneEntry, type Store, StoreError } from '../stores/store.ts';
import { pruneHostHistory } from './host-history.ts';
import { type CredentialSnapshot, PLACES, type Snapshot } from './model.ts';
import { supersededVersions } from './rules/superseded.ts';
import { inSequence } from './sequence.ts';
import { versionsIn } from './sightings.ts';
import type { State } from './state.ts';
import { Stopped, untilAborted } from './stopping.ts';

/** Of each credential both are kept: so many versions, the newest, and all that are younger than so many days. */
export interface HistoryKeep {
  readonly versions: number;
  readonly days: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** So that no run takes long, whatever has piled up: S3 is asked once for each version. The next run goes on. */
const CREDENTIALS_PER_RUN = 100;
/** What is beyond it waits for another day. */
export const MAX_PRUNED_PER_RUN = 1_000;

/**
 * Prunes the store's history and this host's own, at most once a day per host and store, after a run that did all it
 * had to; for the first time a day after this host first saw the store. That it fails is no failure of the run:
 * nothing depends on it, and it is tried again by the next one.
 *
 * @returns What was done, in words; nothing if there was nothing to do.
 */
export async function tidyHistory(
  keep: HistoryKeep,
  snapshot: Snapshot,
  store: Store,
  state: State,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const memory = state.memory(`history of ${store.location}`);
  const { prunedAt, next } = memory.read();
  const { now } = snapshot;
  if (signal?.aborted || snapshot.places.store.kind !== 'listed') return [];
  if (typeof prunedAt !== 'number' || prunedAt > now) {
    await memory.write({ prunedAt: now, next: null });
    return [];
  }
  const from = typeof next === 'string' ? next : undefined;
  if (from === undefined && now - prunedAt < DAY_MS) return [];
  try {
    const names = [...snapshot.credentials.keys()]
      .sort()
      .filter((name) => from === undefined || name >= from);
    const part = names.slice(0, CREDENTIALS_PER_RUN);
    const asked = Promise.all([store.history(part), store.pruned(part)]);
    const [history, pruned] = await untilAborted(signal, asked);
    const entries = bounded(expendable(history, snapshot, pruned, keep));
    const count = await untilAborted(signal, store.prune(entries));
    const rest = names[CREDENTIALS_PER_RUN];
    if (rest === undefined) await removeLeftTemporaryFiles(state.directory);
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

/**
 * What may go, and what must be remembered in its stead.
 *
 * It never is a version that a place holds or that a tombstone names, and nothing of a credential that neither is
 * anywhere nor has a tombstone: there history is all that is left. What history without these versions would no
 * longer tell, that others were replaced, is remembered by their ids: so one that comes back from an old disk is
 * recognised all the same. Pure.
 */
export function expendable(
  records: readonly HistoryRecord[],
  snapshot: Pick<Snapshot, 'now' | 'credentials'>,
  pruned: ReadonlyMap<CredentialName, readonly VersionId[]>,
  { versions, days }: HistoryKeep,
): readonly PruneEntry[] {
  const groups = new Map<CredentialName, HistoryRecord[]>();
  for (const record of records) groups.set(record.name, [...(groups.get(record.name) ?? []), record]);
  return [...groups].flatMap(([name, all]): PruneEntry[] => {
    const seen = snapshot.credentials.get(name);
    const needed = seen && neededVersions(seen);
    if (!needed) return [];
    const old = inSequence(all)
      .slice(0, -versions)
      .filter(({ id, arrived }) => snapshot.now - arrived >= days * DAY_MS && !needed.has(id));
    if (old.length === 0) return [];
    const going = new Set(old.map(({ id }) => id));
    const current = [...needed];
    const known = pruned.get(name) ?? [];
    const told = (left: readonly HistoryRecord[]) => supersededVersions(undefined, left, current, known);
    const after = told(all.filter(({ id }) => !going.has(id)));
    const superseded = [...told(all)].filter((id) => !after.has(id) && !needed.has(id));
    return [{ name, versions: [...going], superseded }];
  });
}

/** The versions that must stay; undefined if nothing tells which. */
export function neededVersions(seen: CredentialSnapshot): ReadonlySet<VersionId> | undefined {
  if (seen.tombstone?.kind === 'invalid') return undefined;
  const held = versionsIn(seen, PLACES);
  if (!seen.tombstone) return held.length > 0 ? new Set(held) : undefined;
  return new Set([...held, seen.tombstone.tombstone.version]);
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
