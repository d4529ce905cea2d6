import { restoredFreshness } from './restored.ts';
import { counted, parseInstant } from './time.ts';

export { MAX_AHEAD_MS } from './time.ts';

/** The two times of a version that say how fresh it is. Milliseconds since 1970; absent if it has none. */
export interface Freshness {
  readonly lastRefresh?: number;
  readonly expired?: number;
}

/**
 * The times that a credential's content counts with: its own, or those that a person gave it by restoring it.
 * Far-off ones are kept here: whether they count depends on `now`.
 */
export function freshnessOf(content: Readonly<Record<string, unknown>>): Freshness {
  return restoredFreshness(content) ?? ownFreshness(content);
}

/** The times that the proxy wrote, whatever they count as. */
export function ownFreshness(content: Readonly<Record<string, unknown>>): Freshness {
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

function compareInstants(a: number | undefined, b: number | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return Math.sign(a - b);
}
