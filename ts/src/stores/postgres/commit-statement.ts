import { AREAS, type Area, tagOf } from './areas.ts';
import type { Tables } from './tables.ts';

/** `$1`: versions for history. */
export interface KeptRow {
  readonly id: string;
  readonly version: string;
  /** Base64. */
  readonly content: string;
  readonly host: string;
  readonly reason: string;
  readonly replaces: readonly string[];
  readonly arrived: number | null;
}

/** `$2`: bytes to keep aside. */
export interface RejectedRow {
  readonly id: string;
  readonly digest: string;
  readonly content: string;
}

/** `$3`: one change of each name. The content of `current` is JSON, that of the others base64. */
export type ChangeRow = { readonly id: string } & {
  [Column in `${Area}_${'kind' | 'seen' | 'content' | 'version'}`]?: string;
};

/** What it answers for each change. */
export type Answer = { readonly id: string } & {
  readonly [Column in `${Area}_done`]: boolean;
} & { readonly [Column in `${Area}_tag`]: string | null };

/**
 * The statement that carries out changes. All its parts see the store as it was when it began; so nothing is decided
 * by what they see, but by rows that are locked first, as they are then, and by whether an insertion came about.
 * That holds at READ COMMITTED beside writers that lock nothing (CLIProxyAPI's upserts); at stricter levels the
 * server ends it with an error for which it is run again. Rows are locked and made in the order of their names, so
 * that two hosts that write the same credentials wait for each other.
 *
 * @param order The order of the steps of each change, as the contract has it for them.
 */
export function COMMIT(tables: Tables, order: readonly Area[]): string {
  return `
    WITH kept AS (
      INSERT INTO ${tables.history} (id, version, content, host, reason, replaces, arrived)
      SELECT id, version, decode(content, 'base64'), host, reason, replaces,
        COALESCE(to_timestamp(arrived / 1000), now())
      FROM json_to_recordset($1) AS k(
        id text, version text, content text, host text, reason text, replaces text[], arrived float8)
      ORDER BY id, version
      ON CONFLICT DO NOTHING
    ), aside AS (
      INSERT INTO ${tables.aside} (id, digest, content)
      SELECT id, digest, decode(content, 'base64')
      FROM json_to_recordset($2) AS r(id text, digest text, content text)
      ORDER BY id, digest
      ON CONFLICT DO NOTHING
    ), change AS MATERIALIZED (
      SELECT * FROM json_to_recordset($3) AS c(id text, ${AREAS.map(columnsOf).join(', ')})
    ), ${order.map((area, index) => stepOf(area, tables, order.slice(0, index))).join(', ')}
    SELECT id, ${AREAS.map((area) => `${area}.id IS NOT NULL AS ${area}_done, ${area}.tag AS ${area}_tag`).join(', ')}
    FROM change ${AREAS.map((area) => `LEFT JOIN ${area}_done AS ${area} USING (id)`).join(' ')}`.replace(
    'SELECT id, tombstone.id',
    'SELECT change.id, tombstone.id',
  );
}

function columnsOf(area: Area): string {
  return ['kind', 'seen', 'content', 'version'].map((column) => `${area}_${column} text`).join(', ');
}

/** One area's part: `AREA_done` has the changes that came about, with the tag of what was put. */
function stepOf(area: Area, tables: Tables, earlierSteps: readonly Area[]): string {
  const table = tables[area];
  const content = area === 'current' ? 'current_content::jsonb' : `decode(${area}_content, 'base64')`;
  // The steps before this one must have come about.
  const before = earlierSteps.map(
    (earlier) => ` AND (${earlier}_kind IS NULL OR id IN (SELECT id FROM ${earlier}_done))`,
  );
  return `
    ${area}_wanted AS MATERIALIZED (
      SELECT id, ${area}_kind AS kind, ${area}_seen AS seen, ${area}_version AS version, ${content} AS content
      FROM change WHERE ${area}_kind IS NOT NULL${before.join('')}
    ), ${area}_locked AS MATERIALIZED (
      SELECT id, content, ${tagOf(area, 'content')} AS tag FROM ${table}
      WHERE id IN (SELECT id FROM ${area}_wanted) ORDER BY id FOR UPDATE
    ), ${area}_step AS MATERIALIZED (
      SELECT w.*, l.tag AS there, CASE
        -- Already so: what was to be done had been.
        WHEN w.kind = 'put' AND l.content = w.content THEN 'none'
        WHEN w.kind = 'remove' AND l.id IS NULL THEN 'none'
        WHEN l.tag IS DISTINCT FROM w.seen THEN 'lost'
        WHEN w.kind = 'remove' THEN 'remove'
        WHEN l.id IS NULL THEN 'insert'
        ELSE 'update'
      END AS verdict
      FROM ${area}_wanted AS w LEFT JOIN ${area}_locked AS l USING (id)
    ), ${area}_inserted AS (
      INSERT INTO ${table} AS t (id, content)
      SELECT id, content FROM ${area}_step WHERE verdict = 'insert' ORDER BY id
      ON CONFLICT (id) DO NOTHING
      RETURNING t.id, ${tagOf(area, 't.content')} AS tag
    ), ${area}_updated AS (
      UPDATE ${table} AS t SET content = s.content, updated_at = now()
      FROM ${area}_step AS s WHERE t.id = s.id AND s.verdict = 'update'
      RETURNING t.id, ${tagOf(area, 't.content')} AS tag
    ), ${area}_removed AS (
      DELETE FROM ${table} AS t USING ${area}_step AS s WHERE t.id = s.id AND s.verdict = 'remove'
      RETURNING t.id
    ), ${area}_done AS MATERIALIZED (
      SELECT id, tag FROM ${area}_inserted
      UNION ALL SELECT id, tag FROM ${area}_updated
      UNION ALL SELECT id, NULL FROM ${area}_removed
      UNION ALL SELECT id, there FROM ${area}_step WHERE verdict = 'none'
    ), ${area}_written AS (
      INSERT INTO ${tables.written} AS t (area, id, tag, version)
      SELECT '${area}', id, tag, version FROM ${area}_done JOIN ${area}_wanted USING (id)
      WHERE version IS NOT NULL ORDER BY id
      ON CONFLICT (area, id) DO UPDATE SET tag = EXCLUDED.tag, version = EXCLUDED.version
      WHERE (t.tag, t.version) IS DISTINCT FROM (EXCLUDED.tag, EXCLUDED.version)
    )`;
}
