import { describe, expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import type { VersionId } from '../../../ts/src/credential/version.ts';
import type { CredentialHistory, KnownVersion } from '../../../ts/src/history/collect.ts';
import { parseWhen, pickVersion } from '../../../ts/src/history/pick.ts';
import type { HistoryRecord } from '../../../ts/src/stores/store.ts';
import { inSequence } from '../../../ts/src/sync/sequence.ts';

const NAME = 'a.json' as CredentialName;
const id = (letter: string) => letter.repeat(64) as VersionId;
const [a, b, c] = [id('a'), id('b'), id('c')];

function kept(version: VersionId, arrived: number, more: Partial<KnownVersion> = {}): KnownVersion {
  return { id: version, arrived, host: 'h', reason: '', replaces: [], inStore: true, onHost: false, ...more };
}

function history(more: Partial<CredentialHistory> = {}): CredentialHistory {
  return {
    name: NAME,
    versions: [kept(a, 10), kept(b, 20), kept(c, 30)],
    current: c,
    tombstone: undefined,
    isMissingHere: false,
    ...more,
  };
}

describe('the version that is meant', () => {
  const tombstone = { name: NAME, version: b, freshness: {}, host: 'h', time: 40 };
  test.each([
    ['without a wish, the one before', history(), {}, b],
    ['the one before, also where an older one is current', history({ current: b }), {}, a],
    ['the newest, where what is current is in no history', history({ current: id('d') }), {}, c],
    ['the one that was deleted', history({ current: undefined, tombstone }), {}, b],
    ['the current one, where it is gone from this host', history({ isMissingHere: true }), {}, c],
    ['an older one for all that', history({ isMissingHere: true }), { version: 'aa' }, a],
    ['by time', history(), { at: 29 }, b],
    ['by the very time', history(), { at: 10 }, a],
    ['by the beginning of its id', history(), { version: 'AAAA' }, a],
  ])('%s', (_, given, wish, expected) => {
    expect(pickVersion(given, wish)).toEqual({ kind: 'picked', id: expected });
  });

  test.each([
    ['too early a time', history(), { at: 9 }],
    ['an unknown id', history(), { version: 'eeee' }],
    [
      'an id that several have',
      history({ versions: [kept(a, 1), kept(`${'a'.repeat(63)}b` as VersionId, 2)] }),
      { version: 'aaaa' },
    ],
    ['no other version', history({ versions: [kept(c, 1)] }), {}],
  ])('none: %s', (_, given, wish) => {
    expect(pickVersion(given, wish).kind).toBe('none');
  });

  test('the current one is told apart', () => {
    expect(pickVersion(history(), { version: 'cccc' })).toEqual({ kind: 'current', id: c });
    expect(pickVersion(history({ tombstone }), { version: 'cccc' })).toEqual({ kind: 'picked', id: c });
  });
});

describe('times as people type them', () => {
  const NOW = Date.UTC(2026, 10, 22, 12);
  test.each([
    ['3h', NOW - 3 * 3_600_000],
    ['2 d ago', NOW - 2 * 86_400_000],
    ['15min', NOW - 15 * 60_000],
    ['2026-11-20T10:00:00Z', Date.UTC(2026, 10, 20, 10)],
    ['2026-11-20T10:00:00+02:00', Date.UTC(2026, 10, 20, 8)],
    // As `history` shows it: all that came in that minute.
    ['2026-11-20 10:00', new Date(2026, 10, 20, 10, 0, 59, 999).getTime()],
    ['2026-11-20 10:00:00', new Date(2026, 10, 20, 10).getTime()],
    ['2026-11-20T10:00Z', Date.UTC(2026, 10, 20, 10, 0, 59, 999)],
    ['2026-11-20', new Date(2026, 10, 20, 23, 59, 59, 999).getTime()],
  ])('%s', (text, expected) => expect(parseWhen(text, NOW)).toBe(expected));

  test.each(['', 'yesterday', '3', '2026-13-40', 'now', '1e3h'])('"%s" is none', (text) =>
    expect(parseWhen(text, NOW)).toBeUndefined(),
  );
});

describe('the sequence of versions', () => {
  const record = (
    version: VersionId,
    arrived: number,
    replaces: readonly VersionId[] = [],
  ): HistoryRecord => ({
    name: NAME,
    id: version,
    arrived,
    host: '',
    reason: '',
    replaces,
  });
  const sequence = (...records: HistoryRecord[]) => inSequence(records).map((one) => one.id);

  test('is that of arrival, but none before what it replaced', () => {
    expect(sequence(record(c, 3), record(a, 1), record(b, 2))).toEqual([a, b, c]);
    expect(sequence(record(a, 5, [b]), record(b, 5), record(c, 4))).toEqual([c, b, a]);
    expect(sequence(record(a, 4, [b]), record(b, 5))).toEqual([b, a]);
  });

  test('ends with records that replace one another, and with long chains', () => {
    expect(sequence(record(a, 1, [b]), record(b, 2, [a])).sort()).toEqual([a, b]);
    const ids = Array.from({ length: 20_000 }, (_, index) => String(index).padStart(64, '0') as VersionId);
    const chain = ids.map((one, index) => record(one, 1, ids.slice(Math.max(0, index - 1), index)));
    expect(inSequence([...chain].reverse()).map((one) => one.id)).toEqual(ids);
  });
});
