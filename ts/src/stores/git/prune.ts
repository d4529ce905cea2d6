import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import { historyMetadataKey } from '../history-metadata.ts';
import { historyKey, parsePrunedKey, prunedKey } from '../layout.ts';
import { parsePruned, prunedBytes, withPruned } from '../pruned.ts';
import type { PruneEntry } from '../store.ts';
import { type Branch, isFile } from './branches.ts';
import type { Cache } from './cache.ts';
import type { Draft } from './draft.ts';
import { readObjects } from './objects.ts';

/** Takes versions out of history and keeps their ids: all of it is on one branch, so it arrives in one step. */
export async function draftPrune(
  draft: Draft,
  cache: Cache,
  entries: readonly PruneEntry[],
): Promise<number> {
  const { records } = draft.branches;
  const seen = (key: string) => (draft.has(key) ? records?.files.get(key)?.oid : undefined);
  const names = [...new Set(entries.map(({ name }) => name))];
  const pruned = await readPruned(cache, records, names);
  for (const name of names) {
    const superseded = entries.filter((entry) => entry.name === name).flatMap((entry) => entry.superseded);
    const ids = withPruned(pruned.get(name) ?? [], superseded);
    if (ids) draft.put(prunedKey(name), prunedBytes(ids), seen(prunedKey(name)));
  }
  let removed = 0;
  for (const { name, versions } of entries) {
    for (const id of versions) {
      if (draft.has(historyKey(name, id))) removed++;
      for (const key of [historyKey(name, id), historyMetadataKey(name, id)]) {
        const tag = seen(key);
        if (tag !== undefined) draft.remove(key, tag);
      }
    }
  }
  return removed;
}

/** The ids of pruned versions of these credentials, or of all. */
export async function readPruned(
  cache: Cache,
  records: Branch | undefined,
  names?: readonly CredentialName[],
): Promise<ReadonlyMap<CredentialName, readonly VersionId[]>> {
  const listed = names ?? [...(records?.files.keys() ?? [])].flatMap((key) => parsePrunedKey(key) ?? []);
  const found = listed.flatMap((name) => {
    const entry = records?.files.get(prunedKey(name));
    return entry && isFile(entry) ? [{ ...entry, name }] : [];
  });
  const pruned = new Map<CredentialName, readonly VersionId[]>();
  await readObjects(cache, found, ({ oid }, bytes) => {
    for (const { name } of found.filter((entry) => entry.oid === oid)) pruned.set(name, parsePruned(bytes));
  });
  return pruned;
}
