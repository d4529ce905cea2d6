import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareFreshness,
  type Freshness,
  freshnessOf,
  MAX_AHEAD_MS,
} from '../../../ts/src/credential/freshness.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const compare = (a: Freshness, b: Freshness) => compareFreshness(a, b, NOW);

describe('fresher is', () => {
  test.each<[string, Freshness, Freshness]>([
    ['the later refresh', { lastRefresh: NOW }, { lastRefresh: NOW - 1 }],
    [
      'the later refresh, though it expires earlier',
      { lastRefresh: NOW, expired: 1 },
      { lastRefresh: 5, expired: NOW },
    ],
    ['one that has a refresh, before one that has none', { lastRefresh: 1 }, { expired: NOW }],
    ['the later expiry, at the same refresh', { lastRefresh: 5, expired: 7 }, { lastRefresh: 5, expired: 6 }],
    ['one that has an expiry, at the same refresh', { lastRefresh: 5, expired: 7 }, { lastRefresh: 5 }],
    ['the later expiry, where none has a refresh', { expired: 7 }, { expired: 6 }],
    [
      'a valid old one, before one from the day after tomorrow',
      { lastRefresh: 1 },
      { lastRefresh: NOW + MAX_AHEAD_MS + 1 },
    ],
    [
      'one from later today, by a clock that is a little ahead',
      { lastRefresh: NOW + MAX_AHEAD_MS },
      { lastRefresh: NOW },
    ],
  ])('%s', (_, fresher, other) => {
    expect(compare(fresher, other)).toBeGreaterThan(0);
    expect(compare(other, fresher)).toBeLessThan(0);
  });
});

test('an expiry that lies years ahead beats none that is real', () => {
  expect(compare({ expired: Date.UTC(2099, 0) }, { expired: NOW })).toBeLessThan(0);
});

test('times that do not parse are absent', () => {
  expect(freshnessOf({ last_refresh: 'soon', expired: '' })).toEqual({});
  expect(freshnessOf({ last_refresh: '2026-11-22T12:00:00Z', expired: 1_763_812_800 })).toEqual({
    lastRefresh: NOW,
    expired: 1_763_812_800_000,
  });
});

describe('it is an order', () => {
  const instant = fc.option(
    fc.oneof(
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(NOW, NOW + MAX_AHEAD_MS, NOW + MAX_AHEAD_MS + 1),
    ),
    { nil: undefined },
  );
  const freshness = fc.record({ lastRefresh: instant, expired: instant }).map(
    ({ lastRefresh, expired }): Freshness => ({
      ...(lastRefresh !== undefined && { lastRefresh }),
      ...(expired !== undefined && { expired }),
    }),
  );

  test('any two compare alike from both sides, and each is equal to itself', () => {
    fc.assert(
      fc.property(freshness, freshness, (a, b) => {
        expect(compare(a, b) + compare(b, a)).toBe(0);
        expect(compare(a, a)).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  test('of any three, what is no older than one that is no older is no older', () => {
    fc.assert(
      fc.property(freshness, freshness, freshness, (a, b, c) => {
        if (compare(a, b) >= 0 && compare(b, c) >= 0) expect(compare(a, c)).toBeGreaterThanOrEqual(0);
        if (compare(a, b) === 0 && compare(b, c) === 0) expect(compare(a, c)).toBe(0);
      }),
      { numRuns: 5000 },
    );
  });
});
