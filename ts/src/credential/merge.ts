import type { Json, JsonObject } from './json.ts';
import {
  contentOf,
  type FieldDigests,
  fieldDigest,
  TOKEN_FIELDS,
  type Version,
  versionId,
  versionOf,
} from './version.ts';

/**
 * One version out of several that changed independently.
 *
 * The token fields come together from the first version; every other field by three-way merge against the base:
 * one side's change survives, and where several changed it, the earlier version in the list decides. Without a
 * base every field counts as changed by those who have it.
 *
 * @param versions Distinct versions, the one that decides first (freshest first).
 * @param base Digests of the base's fields, as `fieldDigests` gives them; undefined if there is no base.
 * @returns One of `versions` itself, bytes and all, if the merge is equal to it; else a new version.
 */
export function mergeVersions(
  versions: readonly [Version, ...Version[]],
  base: FieldDigests | undefined,
): Version {
  const [freshest, ...others] = versions;
  const first = contentOf(freshest);
  const contents = [first, ...others.map(contentOf)];
  const merged: [string, Json][] = [];
  const fields = new Set(contents.flatMap((content) => Object.keys(content)));
  for (const field of fields) {
    const decided = isTokenField(field)
      ? first
      : (contents.find((content) => changed(content, field, base)) ?? first);
    const value = own(decided, field);
    if (value !== undefined) merged.push([field, value]);
  }
  const content = Object.fromEntries(merged);
  const id = versionId(content);
  return versions.find((version) => version.id === id) ?? versionOf(content);
}

function isTokenField(field: string): boolean {
  return (TOKEN_FIELDS as readonly string[]).includes(field);
}

function changed(content: JsonObject, field: string, base: FieldDigests | undefined): boolean {
  const value = own(content, field);
  if (value === undefined) return base !== undefined && Object.hasOwn(base, field);
  return base === undefined || !Object.hasOwn(base, field) || base[field] !== fieldDigest(value);
}

function own(content: JsonObject, field: string): Json | undefined {
  return Object.hasOwn(content, field) ? content[field] : undefined;
}
