import { createHash } from 'node:crypto';
import { type Freshness, freshnessOf } from './freshness.ts';
import {
  canonicalJson,
  isObject,
  type Json,
  type JsonObject,
  MAX_JSON_DEPTH,
  nestingDepth,
  proxyJson,
} from './json.ts';
import { RESTORED_FIELD } from './restored.ts';

/** SHA-256 of a version's canonical JSON, lower-case hex. */
export type VersionId = string & { readonly __brand: 'VersionId' };

/** One content of one credential, as read from a place. */
export interface Version {
  readonly id: VersionId;
  readonly freshness: Freshness;
  /** As they are in the place: copied byte for byte, never written anew. */
  readonly bytes: Uint8Array;
}

export type Parsed =
  | { readonly ok: true; readonly version: Version; readonly content: JsonObject }
  | { readonly ok: false; readonly reason: string };

/** The fields that one refresh writes together: taken from one version, never mixed. */
export const TOKEN_FIELDS = [
  'access_token',
  'refresh_token',
  'id_token',
  'expired',
  'last_refresh',
  RESTORED_FIELD,
] as const;

/**
 * Reads a credential: a JSON object with a non-empty string `type`, UTF-8, with or without a byte order mark.
 * Anything else is invalid, with the reason as the end of a sentence about the file.
 */
export function parseCredential(bytes: Uint8Array): Parsed {
  const invalid = (reason: string): Parsed => ({ ok: false, reason });
  if (bytes.length === 0) return invalid('is empty');
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    return invalid('is not UTF-8 text');
  }
  if (text.trim() === '') return invalid('is empty');
  if (nestingDepth(text) > MAX_JSON_DEPTH) return invalid(`nests deeper than ${MAX_JSON_DEPTH} levels`);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text around the mistake: tokens.
    return invalid('is not valid JSON (cut short, or still being written)');
  }
  if (!isObject(content)) return invalid('is not a JSON object');
  if (typeof content.type !== 'string' || content.type.trim() === '') return invalid('has no "type"');
  return { ok: true, content, version: { id: versionId(content), freshness: freshnessOf(content), bytes } };
}

/** The id of a content. */
export function versionId(content: JsonObject): VersionId {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- the one place that makes an id
  return sha256(canonicalJson(content)) as VersionId;
}

/** Whether a text from outside has the form of an id. */
export function isVersionId(value: unknown): value is VersionId {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** A content that we made ourselves (a merge, a copy marked disabled), in the proxy's own form. */
export function versionOf(content: JsonObject): Version {
  return {
    id: versionId(content),
    freshness: freshnessOf(content),
    bytes: Buffer.from(proxyJson(content)),
  };
}

/** The parsed content of a version. */
export function contentOf(version: Version): JsonObject {
  const parsed = parseCredential(version.bytes);
  if (!parsed.ok) throw new Error(`version ${version.id} ${parsed.reason}`);
  return parsed.content;
}

/** Short digests of the fields that a merge compares with the base; says what changed and tells no secret. */
export type FieldDigests = Readonly<Record<string, string>>;

/** Digests of all fields but the token fields. */
export function fieldDigests(content: JsonObject): FieldDigests {
  const tokens: readonly string[] = TOKEN_FIELDS;
  return Object.fromEntries(
    Object.entries(content)
      .filter(([field]) => !tokens.includes(field))
      .map(([field, value]) => [field, fieldDigest(value)]),
  );
}

/** The digest of one field's value, as in `FieldDigests`. */
export function fieldDigest(value: Json): string {
  return sha256(canonicalJson(value)).slice(0, 16);
}

/** SHA-256 of text or bytes, lower-case hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });
