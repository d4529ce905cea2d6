import type { CredentialName } from '../../credential/name.ts';
import { type HistoryMetadata, historyMetadataKey, parseMetadata } from '../history-metadata.ts';
import { HISTORY_PREFIX, historyPrefix, parseHistoryKey } from '../layout.ts';
import type { HistoryRecord } from '../store.ts';
import type { Files } from './files.ts';

/** The history of these credentials, or of all. */
export async function readHistoryFiles(
  files: Files,
  names?: readonly CredentialName[],
): Promise<HistoryRecord[]> {
  const prefixes = names ? [...new Set(names)].map(historyPrefix) : [HISTORY_PREFIX];
  const wanted = names && new Set<string>(names);
  const records: HistoryRecord[] = [];
  for (const prefix of prefixes) {
    for (const key of await files.list(prefix)) {
      const parsed = parseHistoryKey(key);
      if (!parsed || (wanted && !wanted.has(parsed.name))) continue;
      const { name, id } = parsed;
      const { replaces = [], ...known } = await readMetadata(files, historyMetadataKey(name, id));
      records.push({ name, id, arrived: await files.modified(key), ...known, replaces });
    }
  }
  return records;
}

/** What is known of a version beyond its bytes. */
export async function readMetadata(files: Files, key: string): Promise<HistoryMetadata> {
  const answer = await files.read(key);
  return parseMetadata(answer.kind === 'file' ? answer.bytes : undefined);
}
