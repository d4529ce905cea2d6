import { describe, expect, test } from 'vitest';
import { compareFreshness, freshnessOf, ownFreshness } from '../../../ts/src/credential/freshness.ts';
import type { JsonObject } from '../../../ts/src/credential/json.ts';
import { mergeVersions } from '../../../ts/src/credential/merge.ts';
import { RESTORED_FIELD, restoredContent } from '../../../ts/src/credential/restored.ts';
import { contentOf, versionOf } from '../../../ts/src/credential/version.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const HOUR = 3_600_000;
const at = (hours: number) => new Date(NOW + hours * HOUR).toISOString();
const login = (refreshed: number, more: JsonObject = {}): JsonObject => ({
  type: 'claude',
  access_token: `a${refreshed}`,
  last_refresh: at(refreshed),
  ...more,
});
const restored = (content: JsonObject, ...over: JsonObject[]) =>
  restoredContent(content, ownFreshness(content), over.map(freshnessOf), NOW);
const fresher = (one: JsonObject, other: JsonObject) =>
  compareFreshness(freshnessOf(one), freshnessOf(other), NOW);

describe('a restored version', () => {
  test('counts as fresher than what it replaces and all before it, and not than what comes after', () => {
    const content = restored(login(-20), login(-2));
    expect(fresher(content, login(-2))).toBeGreaterThan(0);
    expect(fresher(content, login(-0.001))).toBeGreaterThan(0);
    expect(fresher(content, login(0.001))).toBeLessThan(0);
  });

  test('is fresher than what a clock that is ahead had dated', () => {
    expect(fresher(restored(login(-20), login(5)), login(5))).toBeGreaterThan(0);
    // Far ahead does not count, and does not make it count so.
    expect(fresher(restored(login(-20), login(9000)), login(1))).toBeLessThan(0);
  });

  test('keeps what the proxy reads as it is', () => {
    const { [RESTORED_FIELD]: _, ...rest } = restored(login(-20, { extra: { deep: [1] } }), login(-2));
    expect(rest).toEqual(login(-20, { extra: { deep: [1] } }));
  });

  test('refreshed, it counts as what it is', () => {
    const after = { ...restored(login(-20), login(-2)), access_token: 'new', last_refresh: at(-1) };
    expect(freshnessOf(after)).toEqual({ lastRefresh: NOW - HOUR });
  });

  test('gets no kind of time that neither it nor what it replaces has', () => {
    const key = { type: 'vertex', private_key: 'k' };
    expect(freshnessOf(restored(key, key))).toEqual({});
    const expiring = { type: 'antigravity', expired: at(1) };
    expect(freshnessOf(restored(expiring, { type: 'antigravity', expired: at(2) }))).toEqual({
      expired: NOW + 2 * HOUR + 1,
    });
    expect(freshnessOf(restored(expiring, login(-1))).lastRefresh).toBe(NOW);
  });

  test('restored again, it has one mark', () => {
    const again = restored(restored(login(-20), login(-2)), login(-1));
    expect(Object.keys(again).filter((field) => !(field in login(0)))).toEqual([RESTORED_FIELD]);
    expect(again[RESTORED_FIELD]).not.toHaveProperty(RESTORED_FIELD);
  });

  test('the mark goes with the tokens in a merge', () => {
    const one = versionOf(restored(login(-20), login(-2)));
    const other = versionOf(login(-3, { note: 'mine' }));
    expect(contentOf(mergeVersions([one, other], {}))).toEqual({ ...contentOf(one), note: 'mine' });
    expect(contentOf(mergeVersions([other, one], {}))).not.toHaveProperty(RESTORED_FIELD);
  });

  test.each([null, 1, 'x', {}, { tokens: 1, counts_as: {} }, { tokens: {}, counts_as: null }])(
    'a mark that is none (%j) says nothing',
    (mark) => {
      expect(freshnessOf({ ...login(-1), [RESTORED_FIELD]: mark })).toEqual(freshnessOf(login(-1)));
    },
  );
});
