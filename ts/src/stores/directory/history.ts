import { isObject } from '../../credential/json.ts';
import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import { HISTORY_PREFIX, historyKey, historyPrefix, parseHistoryKey } from '../layout.ts';
import type { HistoryEntry, HistoryRecord } from '../store.ts';
import type { Files } from './files.ts';

/** Where what is known of a history entry beyond its bytes is: `<id>.meta.json` beside `<id>.json`. */
export function historyMetadataKey(name: string, id: VersionId): string {
  return historyKey(name, id).replace(/\.json$/, '.meta.json');
}

export function historyMetadataBytes({ host, reason, replaces, arrived }: HistoryEntry): Uint8Array {
  return Buffer.from(`${JSON.stringify({ host, reason, replaces, arrived })}\n`);
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
      const { replaces = [], ...known } = await readMetadata(files, historyMetadataKey(name, parsed.id));
      records.push({ name, id: parsed.id, arrived: await files.modified(key), ...known, replaces });
    }
  }
  return records;
}

/** What is known of a version beyond its bytes; a record that is damaged or gone says nothing. */
export async function readMetadata(files: Files, key: string): Promise<HistoryMetadata> {
  const answer = await files.read(key);
  const { host, reason, replaces, arrived } = answer.kind === 'file' ? parseRecord(answer.bytes) : {};
  return {
    host: typeof host === 'string' ? host : '',
    reason: typeof reason === 'string' ? reason : '',
    ...(Array.isArray(replaces) && { replaces: replaces.filter(isVersionId) }),
    ...(typeof arrived === 'number' && Number.isFinite(arrived) && { arrived }),
  };
}

interface HistoryMetadata {
  readonly host: string;
  readonly reason: string;
  readonly replaces?: readonly VersionId[];
  readonly arrived?: number;
}

function parseRecord(bytes: Uint8Array): Record<string, unknown> {
  try {
    const record: unknown = JSON.parse(Buffer.from(bytes).toString());
    return isObject(record) ? record : {};
  } catch {
    return {};
  }
}

function isVersionId(value: unknown): value is VersionId {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
