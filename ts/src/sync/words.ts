/** The planner's words for people: one spelling of every place, time and version. */
import type { Freshness } from '../credential/freshness.ts';
import type { VersionId } from '../credential/version.ts';
import type { Place, Problem, Tombstone } from './model.ts';

export function placeName(place: Place): string {
  switch (place) {
    case 'auth':
      return 'auth dir';
    case 'ccs':
      return 'CCS dir';
    case 'store':
      return 'store';
    case 'backup':
      return 'backup copy';
  }
}

/** "the auth dir and the store" */
export function placeNames(places: readonly Place[]): string {
  const names = places.map((place) => `the ${placeName(place)}`);
  return names.join(', ').replace(/, (?=[^,]*$)/, ' and ');
}

/** What has a problem, and where: "a.json (auth dir)", or "the auth dir" itself. */
export function problemSubject({ subject, place }: Pick<Problem, 'subject' | 'place'>): string {
  if (place === 'state' || subject === `the ${placeName(place)}`) return subject;
  return `${subject} (${placeName(place)})`;
}

/** A version's id as people see it: enough of it to tell versions of one credential apart. */
export function shortId(id: VersionId): string {
  return id.slice(0, 12);
}

/** "refreshed 2026-11-22T10:00:00Z", or what else there is to say how fresh a version is. */
export function freshnessWords(freshness: Freshness): string {
  if (freshness.lastRefresh !== undefined) return `refreshed ${instantWords(freshness.lastRefresh)}`;
  if (freshness.expired !== undefined) return `expiring ${instantWords(freshness.expired)}`;
  return 'without a date';
}

/** "deleted on laptop at 2026-11-22T10:00:00Z" */
export function deletedWords({ host, time }: Pick<Tombstone, 'host' | 'time'>): string {
  return `deleted on ${host} at ${instantWords(time)}`;
}

/** An instant, milliseconds since 1970, in UTC to the second. */
export function instantWords(instant: number): string {
  return new Date(instant).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Sentences in a row, each with its full stop. */
export function sentences(...parts: readonly string[]): string {
  return parts.map((part) => (/[.!?]$/.test(part) ? part : `${part}.`)).join(' ');
}

/** A path or word as a shell takes it, for commands that people copy. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
