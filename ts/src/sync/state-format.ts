/** The state's files as text, and back. Reading checks every value: a damaged file is no base, never half of one. */
import type { Freshness } from '../credential/freshness.ts';
import { isObject } from '../credential/json.ts';
import { type CredentialName, parseName } from '../credential/name.ts';
import { isTime } from '../credential/time.ts';
import { type FieldDigests, isVersionId, type VersionId } from '../credential/version.ts';
import {
  type AgreedVersion,
  type Base,
  type BaseEntry,
  type Burial,
  type Intent,
  LOCAL_PLACES,
  PLACES,
  STORE_PLACES,
} from './model.ts';

/** Number of the layout. A file with a higher one is left alone. */
export const STATE_FORMAT = 1;

export function serializeBase(base: Base): string {
  return `${JSON.stringify({
    format: STATE_FORMAT,
    markers: base.markers,
    deletions: Object.fromEntries(base.deletions),
    credentials: Object.fromEntries(base.credentials),
  })}\n`;
}

export function serializeIntents(intents: ReadonlyMap<CredentialName, Intent>): string {
  return `${JSON.stringify({ format: STATE_FORMAT, intents: Object.fromEntries(intents) })}\n`;
}

/** The base in a text; undefined if it is damaged. */
export function parseBase(text: string): Base | undefined {
  return attempt(text, (root) => ({
    markers: partial(root.markers, PLACES, string),
    deletions: named(root.deletions, number),
    credentials: named(root.credentials, baseEntry),
    intents: new Map(),
  }));
}

/** The intents in a text; undefined if it is damaged. */
export function parseIntents(text: string): ReadonlyMap<CredentialName, Intent> | undefined {
  return attempt(text, (root) =>
    named(root.intents, (value): Intent => {
      const intent = object(value);
      return {
        version: agreedVersion(intent.version),
        held: list(intent.held, (place) => LOCAL_PLACES.find((known) => known === place) ?? damaged()),
        supersedes: list(intent.supersedes, versionId),
      };
    }),
  );
}

function baseEntry(value: unknown): BaseEntry {
  const entry = object(value);
  return {
    agreed: entry.agreed === undefined ? undefined : agreedVersion(entry.agreed),
    at: partial(entry.at, PLACES, versionId),
    tags: partial(entry.tags, STORE_PLACES, string),
    superseded: list(entry.superseded, versionId),
    ...(entry.unkept !== undefined && { unkept: list(entry.unkept, versionId) }),
    buried: entry.buried === undefined ? undefined : burial(entry.buried),
  };
}

function agreedVersion(value: unknown): AgreedVersion {
  const version = object(value);
  return {
    id: versionId(version.id),
    freshness: freshness(version.freshness),
    fields: fields(version.fields),
    agreedAt: number(version.agreedAt),
    recorded: version.recorded === true,
  };
}

function burial(value: unknown): Burial {
  const { tombstone, tag, cleared } = object(value);
  const { name, version, freshness: times, also, host, time, forgotten } = object(tombstone);
  const check = parseName(string(name));
  return {
    tombstone: {
      name: check.ok ? check.name : damaged(),
      version: versionId(version),
      freshness: freshness(times),
      ...(also !== undefined && { also: list(also, versionId) }),
      host: string(host),
      ...(forgotten === true && { forgotten }),
      time: number(time),
    },
    tag: tag === undefined ? undefined : string(tag),
    cleared: partial(cleared, LOCAL_PLACES, number),
  };
}

function freshness(value: unknown): Freshness {
  return partial(value, ['lastRefresh', 'expired'] as const, number);
}

function fields(value: unknown): FieldDigests {
  return Object.fromEntries(Object.entries(object(value)).map(([field, digest]) => [field, string(digest)]));
}

// --- Values -------------------------------------------------------------------------------------------------

class Damaged extends Error {}

function attempt<T>(text: string, read: (root: Record<string, unknown>) => T): T | undefined {
  try {
    const root = object(JSON.parse(text));
    if (root.format !== STATE_FORMAT) return undefined;
    return read(root);
  } catch (error) {
    /* v8 ignore else -- a mistake in this program */
    if (error instanceof Damaged || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function damaged(): never {
  throw new Damaged();
}

function object(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : damaged();
}

function string(value: unknown): string {
  return typeof value === 'string' ? value : damaged();
}

/** All numbers here are times. */
function number(value: unknown): number {
  return isTime(value) ? value : damaged();
}

function versionId(value: unknown): VersionId {
  return isVersionId(value) ? value : damaged();
}

function list<T>(value: unknown, read: (item: unknown) => T): readonly T[] {
  return Array.isArray(value) ? value.map(read) : damaged();
}

function named<T>(value: unknown, read: (item: unknown) => T): ReadonlyMap<CredentialName, T> {
  return new Map(
    Object.entries(object(value)).map(([key, item]) => {
      const check = parseName(key);
      return check.ok ? [check.name, read(item)] : damaged();
    }),
  );
}

function partial<K extends string, T>(
  value: unknown,
  keys: readonly K[],
  read: (item: unknown) => T,
): Partial<Record<K, T>> {
  const source = object(value);
  const result: Partial<Record<K, T>> = {};
  for (const key of keys) if (source[key] !== undefined) result[key] = read(source[key]);
  return result;
}
