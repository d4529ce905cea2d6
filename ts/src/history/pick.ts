/** Which version of a credential a person means. Pure. */
import type { VersionId } from '../credential/version.ts';
import { instantWords, shellWord, shortId } from '../sync/words.ts';
import type { CredentialHistory } from './collect.ts';

export interface Wish {
  /** The version that was the newest at this time. Milliseconds since 1970. */
  readonly at?: number;
  /** How its id begins. */
  readonly version?: string;
}

export type Pick =
  | { readonly kind: 'picked'; readonly id: VersionId }
  /** It is the current one. */
  | { readonly kind: 'current'; readonly id: VersionId }
  /** The end of a sentence about the credential, and what to do. */
  | { readonly kind: 'none'; readonly reason: string; readonly remedy: string };

/**
 * The version that is wished for. Without a wish: the one that was deleted, the current one where it is gone from this
 * host, or else the one before the current one.
 */
export function pickVersion(history: CredentialHistory, wish: Wish): Pick {
  const { name, versions, current, tombstone, isMissingHere } = history;
  const remedy = `See what there is: cliproxyapi-sync history ${shellWord(name)}`;
  const picked = (id: VersionId | undefined, reason: string): Pick => {
    if (id === undefined) return { kind: 'none', reason, remedy };
    return id === current && !tombstone && !isMissingHere ? { kind: 'current', id } : { kind: 'picked', id };
  };
  if (wish.version !== undefined) {
    const prefix = wish.version.toLowerCase();
    const found = versions.filter(({ id }) => id.startsWith(prefix));
    if (found.length > 1) {
      const ids = found.map(({ id }) => shortId(id)).join(', ');
      return { kind: 'none', reason: `has several versions whose ids begin so: ${ids}`, remedy };
    }
    return picked(found[0]?.id, `has no version ${wish.version}`);
  }
  if (wish.at !== undefined) {
    const { at } = wish;
    const before = versions.filter(({ arrived }) => arrived !== undefined && arrived <= at);
    return picked(before.at(-1)?.id, `has no version as old as ${instantWords(at)}`);
  }
  if (tombstone) return picked(tombstone.version, '');
  if (isMissingHere && current !== undefined) return picked(current, '');
  const inStore = versions.filter((version) => version.inStore || version.id === current);
  const line = inStore.some(({ id }) => id !== current) ? inStore : versions;
  const index = line.findIndex(({ id }) => id === current);
  const earlier = index < 0 ? line : line.slice(0, index);
  return picked(
    (earlier.at(-1) ?? line.filter(({ id }) => id !== current).at(-1))?.id,
    'has no other version than the current one',
  );
}

const UNITS: Readonly<Record<string, number>> = { s: 1e3, min: 6e4, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/**
 * A time as a person types it: RFC 3339, a date, a date and time of this machine's zone, or how long ago (`3h`, `2d`).
 * Undefined if it is none.
 */
export function parseWhen(text: string, now: number): number | undefined {
  const ago = /^\s*(\d{1,6})\s*(s|min|m|h|d|w)(\s+ago)?\s*$/i.exec(text);
  if (ago) return now - Number(ago[1]) * (UNITS[(ago[2] ?? '').toLowerCase()] ?? 0);
  const parts =
    /^\s*(?<day>\d{4}-\d\d-\d\d)(?:[T ](?<minute>\d\d:\d\d)(?<second>:\d\d(?:\.\d+)?)?\s*(?<zone>Z|[+-]\d\d:?\d\d)?)?\s*$/i.exec(
      text,
    )?.groups;
  if (!parts) return undefined;
  // A day alone means all of it, here and not in Greenwich; a minute, as `history` shows it, all of that too.
  const { day, minute = '23:59', second = ':59.999', zone = '' } = parts;
  const instant = Date.parse(`${day}T${minute}${second}${zone}`);
  return Number.isNaN(instant) ? undefined : instant;
}
