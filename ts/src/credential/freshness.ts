import { parseInstant } from './time.ts';

/** The two times of a version that say how fresh it is. Milliseconds since 1970; absent if it has none. */
export interface Freshness {
  readonly lastRefresh?: number;
  readonly expired?: number;
}

/** A time further ahead of now than this counts as absent: a clock that is wrong must not win for ever. */
export const MAX_AHEAD_MS = 24 * 60 * 60 * 1000;

/** The times of a credential's content. Far-off ones are kept here: whether they count depends on `now`. */
export function freshnessOf(content: {
  readonly last_refresh?: unknown;
  readonly expired?: unknown;
}): Freshness {
  const lastRefresh = parseInstant(content.last_refresh);
  const expired = parseInstant(content.expired);
  return {
    ...(lastRefresh !== undefined && { lastRefresh }),
    ...(expired !== undefined && { expired }),
  };
}

/**
 * The order of two versions of one credential: positive if `a` is fresher, negative if `b` is, 0 if equal. The
 * later `last_refresh` if both have one, and one that has it beats one that has not; then `expired` likewise.
 */
export function compareFreshness(a: Freshness, b: Freshness, now: number): number {
  return (
    compareInstants(counted(a.lastRefresh, now), counted(b.lastRefresh, now)) ||
    compareInstants(counted(a.expired, now), counted(b.expired, now))
  );
}

function counted(instant: number | undefined, now: number): number | undefined {
  return instant !== undefined && instant <= now + MAX_AHEAD_MS ? instant : undefined;
}

function compareInstants(a: number | undefined, b: number | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return Math.sign(a - b);
}
