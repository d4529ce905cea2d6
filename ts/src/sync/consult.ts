/** What the store's history says, asked for where the planner needs it: each version costs S3 a request. */
import pLimit from 'p-limit';
import type { CredentialName } from '../credential/name.ts';
import type { VersionId } from '../credential/version.ts';
import { type HistoryRecord, type Store, StoreError, type StoreListing } from '../stores/store.ts';
import type { Problem, Snapshot } from './model.ts';

export interface HistoryByName {
  readonly history: ReadonlyMap<CredentialName, readonly HistoryRecord[]>;
  readonly pruned: ReadonlyMap<CredentialName, readonly VersionId[]>;
}

/** Where they are asked for one by one. */
const HISTORIES_AT_ONCE = 8;

/**
 * The snapshot with the history of these credentials in it. Where that of some cannot be read while the store answers
 * for others, those are left without, so that nothing is done about them, and are among the problems.
 *
 * @throws StoreError if it cannot be read for any of several.
 */
export async function consultHistory(
  snapshot: Snapshot,
  names: readonly CredentialName[],
  store: Store,
): Promise<Snapshot> {
  const { history: records, pruned, failed } = await historyOfEach(store, names);
  const credentials = new Map(snapshot.credentials);
  for (const name of names) {
    const seen = credentials.get(name);
    /* v8 ignore else -- a plan asks for what is in its snapshot */
    if (seen && !failed.has(name))
      credentials.set(name, { ...seen, history: records.get(name) ?? [], pruned: pruned.get(name) ?? [] });
  }
  const problems = [...failed].map(
    ([name, { message, remedy }]): Problem => ({
      subject: name,
      place: 'store',
      reason: `changed, and what the store's history says of it cannot be read: ${message}`,
      remedy: `It is left as it is in all places. ${remedy}`,
    }),
  );
  return { ...snapshot, credentials, problems: [...snapshot.problems, ...problems] };
}

/** As `historyOf`, and credential by credential where that fails and the store is not out of reach for all. */
async function historyOfEach(
  store: Store,
  names: readonly CredentialName[],
): Promise<HistoryByName & { readonly failed: ReadonlyMap<CredentialName, StoreError> }> {
  const failed = new Map<CredentialName, StoreError>();
  try {
    return { ...(await historyOf(store, names)), failed };
  } catch (error) {
    /* v8 ignore if -- a mistake in this program */
    if (!(error instanceof StoreError)) throw error;
  }
  // Throws if nothing can be had of it any more, before each of many names waits for its own time-out.
  await store.list();
  const history = new Map<CredentialName, readonly HistoryRecord[]>();
  const pruned = new Map<CredentialName, readonly VersionId[]>();
  const limit = pLimit(HISTORIES_AT_ONCE);
  const readOne = async (name: CredentialName) => {
    try {
      const one = await historyOf(store, [name]);
      history.set(name, one.history.get(name) ?? []);
      pruned.set(name, one.pruned.get(name) ?? []);
    } catch (error) {
      /* v8 ignore if -- a mistake in this program */
      if (!(error instanceof StoreError)) throw error;
      failed.set(name, error);
    }
  };
  await Promise.all(names.map((name) => limit(() => readOne(name))));
  const [first] = failed.values();
  if (first && failed.size > 1 && failed.size === names.length) throw first;
  return { history, pruned, failed };
}

/** Where the store has no credential at all, what it once had is in history: a bucket emptied by hand is healed. */
export async function historyOfEmptyStore(
  listing: StoreListing | undefined,
  store: Store,
): Promise<HistoryByName | undefined> {
  if (!listing) return undefined;
  if (!listing.present || listing.marker === undefined || listing.current.size > 0 || listing.backup.size > 0)
    return undefined;
  return historyOf(store);
}

/** What was pruned is asked for last: a host that prunes notes it before it takes anything out of history. */
async function historyOf(store: Store, names?: readonly CredentialName[]): Promise<HistoryByName> {
  const history = groupByName(await store.history(names));
  return { history, pruned: await store.pruned(names) };
}

function groupByName(
  records: readonly HistoryRecord[],
): ReadonlyMap<CredentialName, readonly HistoryRecord[]> {
  const groups = new Map<CredentialName, HistoryRecord[]>();
  for (const record of records) groups.set(record.name, [...(groups.get(record.name) ?? []), record]);
  return groups;
}
