import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import { HISTORY_PREFIX, historyKey, historyPrefix, parseHistoryKey } from '../layout.ts';
import type { HistoryEntry, HistoryRecord } from '../store.ts';
import type { Files } from './files.ts';

/** Where what is known of a history entry beyond its bytes is: `<id>.meta.json` beside `<id>.json`. */
export function historyMetadataKey(name: string, id: VersionId): string {
  return historyKey(name, id).replace(/\.json$/, '.meta.json');
}

export function historyMetadataBytes({ host, reason, replaces }: HistoryEntry): Uint8Array {
  return Buffer.from(`${JSON.stringify({ host, reason, replaces })}\n`);
}

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
      const name = parsed.name as CredentialName;
      const arrived = await files.modified(key);
      records.push({ name, id: parsed.id, arrived, ...(await readMetadata(files, name, parsed.id)) });
    }
  }
  return records;
}

async function readMetadata(files: Files, name: CredentialName, id: VersionId) {
  const answer = await files.read(historyMetadataKey(name, id));
  const record = answer.kind === 'file' ? parseRecord(answer.bytes) : {};
  const { host, reason, replaces } = record;
  return {
    host: typeof host === 'string' ? host : '',
    reason: typeof reason === 'string' ? reason : '',
    replaces: Array.isArray(replaces) ? replaces.filter(isVersionId) : [],
  };
}

function parseRecord(bytes: Uint8Array): { host?: unknown; reason?: unknown; replaces?: unknown } {
  try {
    const record: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof record === 'object' && record !== null ? record : {};
  } catch {
    return {};
  }
}

function isVersionId(value: unknown): value is VersionId {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
