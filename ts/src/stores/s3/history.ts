import type { CredentialName } from '../../credential/name.ts';
import { isVersionId } from '../../credential/version.ts';
import { HISTORY_PREFIX, historyKey, historyPrefix, parseHistoryKey } from '../layout.ts';
import { type HistoryEntry, type HistoryRecord, StoreError } from '../store.ts';
import type { Bucket } from './bucket.ts';

/** S3 allows 2 KB of metadata in all: so many versions, and what is left for words. */
const MAX_REPLACES = 16;
const MAX_HOST_BYTES = 200;
const MAX_REASON_BYTES = 500;

/** What is known of a history entry beyond its bytes, as metadata, which is ASCII. */
export function historyMetadata(entry: HistoryEntry): Readonly<Record<string, string>> {
  if (entry.replaces.length > MAX_REPLACES) {
    throw new StoreError(
      'refused',
      `A version is to replace ${entry.replaces.length} others at once, which history cannot record.`,
      'This is a mistake in the program: please report it.',
    );
  }
  return {
    ...wordsMetadata(entry),
    ...(entry.replaces.length > 0 && { 'sync-replaces': entry.replaces.join(',') }),
  };
}

/** Who wrote a version and why, and when it arrived where it was copied from. */
export function wordsMetadata({ host, reason, arrived }: Pick<HistoryEntry, 'host' | 'reason' | 'arrived'>) {
  return {
    'sync-host': encodeWords(host, MAX_HOST_BYTES),
    'sync-reason': encodeWords(reason, MAX_REASON_BYTES),
    ...(arrived !== undefined && { 'sync-arrived': new Date(arrived).toISOString() }),
  };
}

/** The history of these credentials, or of all. One HEAD for each entry: no listing tells metadata. */
export async function readHistory(
  bucket: Bucket,
  names?: readonly CredentialName[],
): Promise<HistoryRecord[]> {
  const prefixes = names ? names.map(historyPrefix) : [HISTORY_PREFIX];
  const listed = (await Promise.all(prefixes.map((prefix) => bucket.list(prefix)))).flatMap(
    (keys) => keys ?? [],
  );
  const wanted = names && new Set<string>(names);
  const records = await Promise.all(
    listed.map(async ({ key, modified }): Promise<HistoryRecord | undefined> => {
      const parsed = parseHistoryKey(key);
      if (!parsed || (wanted && !wanted.has(parsed.name))) return undefined;
      const found = await bucket.head(historyKey(parsed.name, parsed.id));
      if (!found) return undefined;
      return {
        name: parsed.name,
        id: parsed.id,
        arrived: modified,
        ...readWords(found.metadata),
        replaces: (found.metadata['sync-replaces'] ?? '').split(',').filter(isVersionId),
      };
    }),
  );
  return records.filter((record) => record !== undefined);
}

/** What `wordsMetadata` wrote. */
export function readWords(metadata: Readonly<Record<string, string>>) {
  const arrived = Date.parse(metadata['sync-arrived'] ?? '');
  return {
    host: decodeWords(metadata['sync-host']),
    reason: decodeWords(metadata['sync-reason']),
    ...(!Number.isNaN(arrived) && { arrived }),
  };
}

/** Percent-encoded, spaces kept, cut at a whole character. */
function encodeWords(text: string, maxBytes: number): string {
  let encoded = '';
  for (const character of Buffer.from(text).toString()) {
    const next = character === ' ' ? ' ' : encodeURIComponent(character);
    if (encoded.length + next.length > maxBytes) break;
    encoded += next;
  }
  return encoded.trim();
}

function decodeWords(text = ''): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not written by us.
    return text;
  }
}
