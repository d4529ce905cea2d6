import { sha256 } from '../../credential/version.ts';
import {
  type ConfigChange,
  type ConfigOutcome,
  type ConfigRecord,
  MAX_OBJECT_BYTES,
  type StoredObject,
  StoreError,
} from '../store.ts';
import { bytesOf, millisecondsOf, type Schema, tagOf } from './areas.ts';
import { base64, withoutNul } from './commit.ts';
import type { Database } from './connection.ts';
import { isMissing } from './errors.ts';

/** The row of CLIProxyAPI's own config (`defaultConfigKey` in internal/store/postgresstore.go). */
const ID = 'config';

export async function readConfig(
  database: Database,
  { tables, location }: Schema,
): Promise<StoredObject | undefined> {
  const bytes = bytesOf('config', 'content');
  let rows: { readonly tag: string; readonly size: number; readonly bytes: Buffer | null }[];
  try {
    rows = await database.query(
      `SELECT ${tagOf('config', 'content')} AS tag, octet_length(${bytes}) AS size,
         CASE WHEN octet_length(${bytes}) <= ${MAX_OBJECT_BYTES} THEN ${bytes} END AS bytes
       FROM ${tables.config} WHERE id = '${ID}'`,
    );
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const [row] = rows;
  if (!row) return undefined;
  if (row.bytes) return { bytes: row.bytes, tag: row.tag };
  throw new StoreError(
    'refused',
    `The config in ${location} has ${row.size} bytes, which is no config.`,
    'Remove that row of config_store, or put the right one there.',
  );
}

/** Replaces the config, in one statement like `commit`'s: what is to be kept is kept whether that comes about or not. */
export async function commitConfig(
  database: Database,
  schema: Schema,
  change: ConfigChange,
): Promise<ConfigOutcome> {
  const text = textOf(change.bytes, schema.location);
  const kept = change.keep.map(({ bytes, host, reason, arrived }) => ({
    digest: sha256(bytes),
    content: base64(bytes),
    host: withoutNul(host),
    reason: withoutNul(reason),
    arrived: arrived ?? null,
  }));
  const values = [JSON.stringify(kept), text, change.seen ?? null];
  const run = async () => (await database.query<{ readonly tag: string }>(statement(schema), values))[0];
  // Lost to a row that came meanwhile: it may be our own, by a first try whose answer was lost.
  const row = (await run()) ?? (await run());
  return row ? { kind: 'done', tag: row.tag } : { kind: 'lost' };
}

function statement({ tables }: Schema): string {
  const tag = tagOf('config', 't.content');
  return `
    WITH kept AS (
      INSERT INTO ${tables.configHistory} (digest, content, host, reason, arrived)
      SELECT digest, decode(content, 'base64'), host, reason, COALESCE(to_timestamp(arrived / 1000), now())
      FROM json_to_recordset($1) AS k(digest text, content text, host text, reason text, arrived float8)
      ORDER BY digest
      ON CONFLICT DO NOTHING
    ), locked AS MATERIALIZED (
      SELECT content, ${tagOf('config', 'content')} AS tag FROM ${tables.config} WHERE id = '${ID}' FOR UPDATE
    ), inserted AS (
      INSERT INTO ${tables.config} AS t (id, content)
      SELECT '${ID}', $2::text WHERE $3::text IS NULL AND NOT EXISTS (SELECT FROM locked)
      ON CONFLICT (id) DO NOTHING
      RETURNING ${tag} AS tag
    ), updated AS (
      UPDATE ${tables.config} AS t SET content = $2::text, updated_at = now()
      FROM locked AS l WHERE t.id = '${ID}' AND l.tag = $3::text AND l.content <> $2::text
      RETURNING ${tag} AS tag
    )
    SELECT tag FROM inserted
    UNION ALL SELECT tag FROM updated
    UNION ALL SELECT tag FROM locked WHERE content = $2::text`;
}

export async function readConfigHistory(database: Database, { tables }: Schema): Promise<ConfigRecord[]> {
  try {
    return await database.query<ConfigRecord>(
      `SELECT content AS bytes, host, reason, ${millisecondsOf('arrived')} AS arrived FROM ${tables.configHistory}`,
    );
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function textOf(bytes: Uint8Array, location: string): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch {
    // Not UTF-8.
  }
  throw new StoreError(
    'refused',
    `The config cannot be written to ${location}: it is not UTF-8 text without NUL.`,
    'Mend config.yaml, or the template that it is made from.',
  );
}
