/** A tombstone as the store keeps it, and back. */
import { isObject } from '../credential/json.ts';
import type { CredentialName } from '../credential/name.ts';
import { isInstant } from '../credential/time.ts';
import { isVersionId } from '../credential/version.ts';
import type { Tag } from '../stores/store.ts';
import type { Tombstone, TombstoneSighting } from './model.ts';
import { MAX_ALSO } from './rules/tombstone.ts';

/** Number of the layout; a program leaves a record with a higher one alone. */
const FORMAT = 1;

/** The bytes of a tombstone: JSON that a person can read. */
export function serializeTombstone(tombstone: Tombstone): Uint8Array {
  const { freshness } = tombstone;
  const record = {
    format: FORMAT,
    name: tombstone.name,
    version: tombstone.version,
    ...(freshness.lastRefresh !== undefined && {
      lastRefresh: new Date(freshness.lastRefresh).toISOString(),
      lastRefreshMs: freshness.lastRefresh,
    }),
    ...(freshness.expired !== undefined && {
      expired: new Date(freshness.expired).toISOString(),
      expiredMs: freshness.expired,
    }),
    ...(tombstone.also && { also: tombstone.also }),
    host: tombstone.host,
    ...(tombstone.forgotten && { forgotten: true }),
    time: new Date(tombstone.time).toISOString(),
  };
  return Buffer.from(`${JSON.stringify(record, null, 2)}\n`);
}

/** The tombstone in these bytes, which lay under `name`. */
export function parseTombstone(bytes: Uint8Array, tag: Tag, name: CredentialName): TombstoneSighting {
  let record: unknown;
  try {
    record = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return { kind: 'invalid', reason: 'is damaged' };
  }
  if (!isObject(record) || typeof record.format !== 'number')
    return { kind: 'invalid', reason: 'is damaged' };
  if (record.format > FORMAT) return { kind: 'invalid', reason: 'was written by a newer cliproxyapi-sync' };
  const { version, host } = record;
  const time = typeof record.time === 'string' ? Date.parse(record.time) : Number.NaN;
  if (record.name !== name || !isVersionId(version) || Number.isNaN(time)) {
    return { kind: 'invalid', reason: 'is damaged' };
  }
  const also = (Array.isArray(record.also) ? record.also : []).filter(isVersionId).slice(0, MAX_ALSO);
  return {
    kind: 'tombstone',
    tag,
    tombstone: {
      name,
      version,
      freshness: {
        ...(isInstant(record.lastRefreshMs) && { lastRefresh: record.lastRefreshMs }),
        ...(isInstant(record.expiredMs) && { expired: record.expiredMs }),
      },
      ...(also.length > 0 && { also }),
      host: typeof host === 'string' ? host.slice(0, 255) : 'another host',
      ...(record.forgotten === true && { forgotten: true }),
      time,
    },
  };
}
