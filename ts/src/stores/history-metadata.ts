/** What is known of a kept version beyond its bytes, as a file beside it: `<id>.meta.json` beside `<id>.json`. */
import { isObject } from '../credential/json.ts';
import { isTime } from '../credential/time.ts';
import { isVersionId, type VersionId } from '../credential/version.ts';
import { historyKey } from './layout.ts';
import type { HistoryEntry } from './store.ts';

export function historyMetadataKey(name: string, id: VersionId): string {
  return historyKey(name, id).replace(/\.json$/, '.meta.json');
}

/** The same for a version of the config. */
export function configMetadataKey(key: string): string {
  return key.replace(/\.yaml$/, '.meta.json');
}

export interface HistoryMetadata {
  readonly host: string;
  readonly reason: string;
  readonly replaces?: readonly VersionId[];
  readonly arrived?: number;
}

export function metadataBytes({ host, reason, replaces, arrived }: Partial<HistoryEntry>): Uint8Array {
  return Buffer.from(`${JSON.stringify({ host, reason, replaces, arrived })}\n`);
}

/** What `metadataBytes` wrote; a record that is damaged or gone says nothing. */
export function parseMetadata(bytes: Uint8Array | undefined): HistoryMetadata {
  const { host, reason, replaces, arrived } = parseRecord(bytes);
  return {
    host: typeof host === 'string' ? host : '',
    reason: typeof reason === 'string' ? reason : '',
    ...(Array.isArray(replaces) && { replaces: replaces.filter(isVersionId) }),
    ...(isTime(arrived) && { arrived }),
  };
}

function parseRecord(bytes: Uint8Array | undefined): Record<string, unknown> {
  if (!bytes) return {};
  try {
    const record: unknown = JSON.parse(Buffer.from(bytes).toString());
    return isObject(record) ? record : {};
  } catch {
    return {};
  }
}
