/** Tombstones as a store keeps them: what was written is read, and what is damaged deletes nothing. */
import { describe, expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import type { VersionId } from '../../../ts/src/credential/version.ts';
import { MAX_ALSO } from '../../../ts/src/sync/rules/tombstone.ts';
import { parseTombstone, serializeTombstone } from '../../../ts/src/sync/tombstone-record.ts';

const A = 'a.json' as CredentialName;
const TIME = Date.parse('2026-01-02T03:04:05Z');
const tombstone = {
  name: A,
  version: 'a'.repeat(64) as VersionId,
  freshness: { lastRefresh: TIME - 2000, expired: TIME + 1000 },
  host: 'laptop',
  time: TIME,
};
const parsed = (text: string | Uint8Array) => parseTombstone(Buffer.from(text), 'tag', A);
const record = (changes: object) =>
  JSON.stringify({ ...JSON.parse(Buffer.from(serializeTombstone(tombstone)).toString()), ...changes });

describe('a tombstone', () => {
  test.each([
    ['with both dates', tombstone],
    ['of a credential without dates', { ...tombstone, freshness: {} }],
    ['that names others too', { ...tombstone, also: ['b'.repeat(64) as VersionId] }],
    ['that a person asked for', { ...tombstone, forgotten: true as const }],
  ])('%s is read as it was written', (_, written) => {
    expect(parsed(serializeTombstone(written))).toEqual({
      kind: 'tombstone',
      tag: 'tag',
      tombstone: written,
    });
  });

  test.each([
    ['half of it', '{"format":1,"name"'],
    ['no object', '[]'],
    ['no format', '{}'],
    ['another name', record({ name: 'b.json' })],
    ['no version', record({ version: 'newest' })],
    ['no time', record({ time: undefined })],
    ['a time that is none', record({ time: 'yesterday' })],
  ])('is damaged, and deletes nothing: %s', (_, text) => {
    expect(parsed(text)).toEqual({ kind: 'invalid', reason: 'is damaged' });
  });

  test('of the others that it names, those that are versions are taken, and no more than it may name', () => {
    const alsoOf = (also: unknown) => {
      const read = parsed(record({ also }));
      return read.kind === 'tombstone' ? read.tombstone.also : undefined;
    };
    const id = 'c'.repeat(64);
    expect(alsoOf(['x', id, 1, null])).toEqual([id]);
    expect(alsoOf([])).toBeUndefined();
    expect(alsoOf('x')).toBeUndefined();
    expect(alsoOf(Array(1000).fill(id))).toHaveLength(MAX_ALSO);
  });

  test('of a later format is left alone', () => {
    expect(parsed(record({ format: 2 }))).toEqual({
      kind: 'invalid',
      reason: 'was written by a newer cliproxyapi-sync',
    });
  });

  test('needs no host, and of a long one the beginning is taken', () => {
    const hostOf = (host: unknown) => {
      const read = parsed(record({ host }));
      return read.kind === 'tombstone' ? read.tombstone.host : undefined;
    };
    expect(hostOf(undefined)).toBe('another host');
    expect(hostOf('x'.repeat(1000))).toBe('x'.repeat(255));
  });
});
