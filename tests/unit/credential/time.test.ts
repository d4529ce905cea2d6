import { describe, expect, test } from 'vitest';
import { parseInstant } from '../../../ts/src/credential/time.ts';

const NOON = Date.UTC(2026, 10, 22, 12);

describe('the same instant in any form is one instant', () => {
  test.each([
    ['UTC', '2026-11-22T12:00:00Z'],
    ['small letters', '2026-11-22t12:00:00z'],
    ['a zero offset', '2026-11-22T12:00:00+00:00'],
    ['an offset to the east', '2026-11-22T14:00:00+02:00'],
    ['an offset to the west', '2026-11-22T04:30:00-07:30'],
    ['an offset over midnight', '2026-11-23T00:00:00+12:00'],
    ['an offset without a colon', '2026-11-22T14:00:00+0200'],
    ['a space for the T', '2026-11-22 12:00:00Z'],
    ['no offset, which is UTC', '2026-11-22T12:00:00'],
    ['a fraction of nothing', '2026-11-22T12:00:00.000000000Z'],
    ['white space around it', '  2026-11-22T12:00:00Z\n'],
    ['epoch seconds', NOON / 1000],
    ['epoch milliseconds', NOON],
    ['epoch seconds as text', String(NOON / 1000)],
    ['epoch milliseconds as text', String(NOON)],
  ])('%s', (_, value) => expect(parseInstant(value)).toBe(NOON));
});

test('fractions of a millisecond tell two refreshes apart', () => {
  const earlier = parseInstant('2026-11-22T12:00:00.123456Z') ?? 0;
  const later = parseInstant('2026-11-22T12:00:00.123457Z') ?? 0;
  expect(parseInstant('2026-11-22T12:00:00.5Z')).toBe(NOON + 500);
  expect(later).toBeGreaterThan(earlier);
});

describe('what is no time counts as absent', () => {
  test.each([
    '',
    'never',
    '2026-11-22',
    '12:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-22T25:00:00Z',
    '0001-01-01T00:00:00Z',
    '+010000-01-01T00:00:00Z',
    '2026-11-22T12:00:00Z; DROP TABLE',
    '-5',
    '12345',
    '9'.repeat(30),
    0,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e300,
    true,
    null,
    undefined,
    {},
    [],
  ])('%j', (value) => expect(parseInstant(value)).toBeUndefined());
});
