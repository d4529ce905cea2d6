/** A time further ahead of now than this counts as absent: a clock that is wrong must not win for ever. */
export const MAX_AHEAD_MS = 24 * 60 * 60 * 1000;

/** Numbers at or above this are milliseconds since 1970, below it seconds: 1e11 seconds is the year 5138. */
const MILLISECONDS_FROM = 1e11;

/**
 * A time in a credential as an instant, in milliseconds since 1970: RFC 3339 with any offset and precision, or
 * epoch seconds or milliseconds as a number or digits. Undefined if there is none, or it does not parse.
 */
export function parseInstant(value: unknown): number | undefined {
  if (typeof value === 'number') return fromEpoch(value);
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  if (/^\d{9,16}(\.\d+)?$/.test(text)) return fromEpoch(Number(text));
  const match = RFC3339.exec(text);
  if (!match) return undefined;
  const [, date, time, fraction, offset] = match;
  const base = Date.parse(
    `${date}T${time}${(offset ?? 'Z').toUpperCase().replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')}`,
  );
  if (Number.isNaN(base)) return undefined;
  // Sub-millisecond digits decide between two refreshes in one millisecond; kept as a fraction.
  return atMostYear9999(base + (fraction ? Number(`0${fraction}`) * 1000 : 0));
}

const RFC3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?\s*([Zz]|[+-]\d\d:?\d\d)?$/;

function fromEpoch(value: number): number | undefined {
  if (!Number.isFinite(value) || value <= 0) return undefined;
  return atMostYear9999(value >= MILLISECONDS_FROM ? value : value * 1000);
}

function atMostYear9999(instant: number): number | undefined {
  return isInstant(instant) ? instant : undefined;
}

/** Whether this is an instant as `parseInstant` gives it: after 1970 and before the year 10000. */
export function isInstant(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < 253402300800000;
}

/** Whether a `Date` can be made of it: text from outside may have any number where a time belongs. */
export function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= 8.64e15;
}

/** An instant, if it counts at all. */
export function counted(instant: number | undefined, now: number): number | undefined {
  return instant !== undefined && instant <= now + MAX_AHEAD_MS ? instant : undefined;
}
