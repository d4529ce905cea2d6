/**
 * Where things are in a store that is made of named objects (S3, a directory): CLIProxyAPI's own layout, and
 * our records beside it below `sync/`, which it ignores.
 */
import { type CredentialName, parseName } from '../credential/name.ts';
import { isVersionId, type VersionId } from '../credential/version.ts';

export const AREA_PREFIX = {
  current: 'auths/',
  backup: 'backup/auths/',
  tombstone: 'sync/tombstones/',
} as const;

export type Area = keyof typeof AREA_PREFIX;

export const MARKER_KEY = 'sync/store.json';
export const CONFIG_KEY = 'config/config.yaml';
export const CONFIG_HISTORY_PREFIX = 'sync/config/';
/** The parent of the marker and of all our records. */
export const SYNC_PREFIX = 'sync/';
export const HISTORY_PREFIX = 'sync/history/';
export const PRUNED_PREFIX = 'sync/pruned/';
const PRUNED_END = '/superseded';
export const PROBE_PREFIX = 'sync/probe/';

/** The key of a credential's object in one area. */
export function objectKey(area: Area, name: string): string {
  return AREA_PREFIX[area] + name;
}

/** Below this are the versions of one credential, and those of any whose name starts with this one and a slash. */
export function historyPrefix(name: string): string {
  return `${HISTORY_PREFIX}${name}/`;
}

export function historyKey(name: string, id: VersionId): string {
  return `${historyPrefix(name)}${id}.json`;
}

/**
 * The name and version of a history key; undefined for any other key. The last part alone is the version, since
 * a name may itself have parts: `a.json/b.json` has its history below that of `a.json`.
 *
 * What is no credential's name is none here either: whoever may write to the store could else have a file healed
 * "from history" outside the auth dir.
 */
export function parseHistoryKey(
  key: string,
): { readonly name: CredentialName; readonly id: VersionId } | undefined {
  const { name, id } = HISTORY_KEY.exec(key)?.groups ?? {};
  const check = parseName(name ?? '');
  return check.ok && isVersionId(id) ? { name: check.name, id } : undefined;
}

const HISTORY_KEY = /^sync\/history\/(?<name>.+)\/(?<id>[0-9a-f]{64})\.json$/s;

/** Where the ids of pruned versions are, one a line. The last part keeps `a.json` and `a.json/b.json` apart. */
export function prunedKey(name: string): string {
  return `${PRUNED_PREFIX}${name}${PRUNED_END}`;
}

/** The credential's name in a key of `prunedKey`; undefined for any other key. */
export function parsePrunedKey(key: string): CredentialName | undefined {
  if (!key.startsWith(PRUNED_PREFIX) || !key.endsWith(PRUNED_END)) return undefined;
  const check = parseName(key.slice(PRUNED_PREFIX.length, -PRUNED_END.length));
  return check.ok ? check.name : undefined;
}

/** The key of a version of the config; `digest` is the SHA-256 of its bytes. */
export function configHistoryKey(digest: string): string {
  return `${CONFIG_HISTORY_PREFIX}${digest}.yaml`;
}

/** Whether a key is one of `configHistoryKey`. */
export function isConfigHistoryKey(key: string): boolean {
  return /^sync\/config\/[0-9a-f]{64}\.yaml$/.test(key);
}

/** Where bytes that are no credential are kept before they are replaced: below the SHA-256 of the bytes. */
export function asideKey(name: string, digest: string): string {
  return `sync/rejected/${name}/${digest}`;
}
