import { sha256 } from '../../credential/version.ts';
import { configMetadataKey, metadataBytes } from '../history-metadata.ts';
import { CONFIG_HISTORY_PREFIX, CONFIG_KEY, configHistoryKey, isConfigHistoryKey } from '../layout.ts';
import type { ConfigChange, ConfigOutcome, ConfigRecord } from '../store.ts';
import { create, put } from './commit.ts';
import type { Files } from './files.ts';
import { readMetadata } from './history.ts';
import type { HeldLock } from './lock.ts';

/** Replaces the config, the store's lock held. */
export async function commitConfigInDirectory(
  files: Files,
  held: HeldLock,
  change: ConfigChange,
): Promise<ConfigOutcome> {
  for (const entry of change.keep) {
    const key = configHistoryKey(sha256(entry.bytes));
    await create(files, held, configMetadataKey(key), metadataBytes(entry));
    await create(files, held, key, entry.bytes);
  }
  return put(files, held, CONFIG_KEY, change.bytes, change.seen);
}

export async function readConfigHistoryFiles(files: Files): Promise<ConfigRecord[]> {
  const records: ConfigRecord[] = [];
  for (const key of await files.list(CONFIG_HISTORY_PREFIX)) {
    if (!isConfigHistoryKey(key)) continue;
    const found = await files.read(key);
    if (found.kind !== 'file') continue;
    const { host, reason, arrived } = await readMetadata(files, configMetadataKey(key));
    records.push({ bytes: found.bytes, host, reason, arrived: arrived ?? (await files.modified(key)) });
  }
  return records;
}
