import type { CredentialName } from '../../credential/name.ts';
import { MAX_HISTORY, tooMany } from '../bounds.ts';
import { configMetadataKey, historyMetadataKey, parseMetadata } from '../history-metadata.ts';
import { HISTORY_PREFIX, isConfigHistoryKey, parseHistoryKey } from '../layout.ts';
import type { ConfigRecord, HistoryRecord } from '../store.ts';
import { type Branch, isFile, type TreeEntry } from './branches.ts';
import type { Cache } from './cache.ts';
import { readObjects } from './objects.ts';

/** The history of these credentials, or of all. */
export async function readHistory(
  cache: Cache,
  records: Branch | undefined,
  location: string,
  names?: readonly CredentialName[],
): Promise<HistoryRecord[]> {
  const wanted = names && new Set<string>(names);
  const found = [...(records?.files.keys() ?? [])].flatMap((key) => {
    const parsed = parseHistoryKey(key);
    if (!parsed || (wanted && !wanted.has(parsed.name))) return [];
    return [{ ...parsed, metadata: records?.files.get(historyMetadataKey(parsed.name, parsed.id)) }];
  });
  /* v8 ignore if -- tests/e2e/endless-store.test.ts has one, in a process of its own */
  if (found.length > MAX_HISTORY) throw tooMany(HISTORY_PREFIX, location, MAX_HISTORY);
  const contents = await readAll(
    cache,
    found.map(({ metadata }) => metadata),
  );
  return found.map(({ name, id, metadata }) => {
    const known = parseMetadata(contents.get(metadata?.oid ?? ''));
    // Without its record nothing is known of it: as old as can be.
    return { name, id, arrived: 0, ...known, replaces: known.replaces ?? [] };
  });
}

/** The versions of the config that were kept. */
export async function readConfigHistory(cache: Cache, records: Branch | undefined): Promise<ConfigRecord[]> {
  const found = [...(records?.files ?? [])]
    .filter(([key]) => isConfigHistoryKey(key))
    .map(([key, entry]) => ({ entry, metadata: records?.files.get(configMetadataKey(key)) }));
  const contents = await readAll(
    cache,
    found.flatMap(({ entry, metadata }) => [entry, metadata]),
  );
  return found.flatMap(({ entry, metadata }): ConfigRecord[] => {
    const bytes = contents.get(entry.oid);
    const { host, reason, arrived = 0 } = parseMetadata(contents.get(metadata?.oid ?? ''));
    return bytes ? [{ bytes, host, reason, arrived }] : [];
  });
}

async function readAll(
  cache: Cache,
  entries: readonly (TreeEntry | undefined)[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  // A submodule has no bytes, and must hide nothing that has.
  const there = entries.filter((entry) => entry !== undefined).filter(isFile);
  await readObjects(cache, there, ({ oid }, bytes) => contents.set(oid, bytes));
  return contents;
}
