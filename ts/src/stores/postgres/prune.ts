import { type CredentialName, parseName } from '../../credential/name.ts';
import { isVersionId, type VersionId } from '../../credential/version.ts';
import { MAX_KEYS } from '../bounds.ts';
import { MAX_PRUNED, type PruneEntry } from '../store.ts';
import type { Schema } from './areas.ts';
import type { Database } from './connection.ts';
import { isMissing } from './errors.ts';
import type { Tables } from './tables.ts';

/** One statement takes at most so many ids, but for those of one credential. */
const MAX_IDS = 20_000;

/** Takes versions out of history and remembers their ids, in one step for each credential. */
export async function pruneHistory(
  database: Database,
  { tables }: Schema,
  entries: readonly PruneEntry[],
): Promise<number> {
  let removed = 0;
  for (const some of portions(entries)) {
    const superseded = some.flatMap(({ name, superseded: ids }) =>
      ids.map((version, position) => ({ id: name, version, position })),
    );
    const going = some.flatMap(({ name, versions }) => versions.map((version) => ({ id: name, version })));
    const rows = await database.query<{ readonly removed: number }>(PRUNE(tables), [
      JSON.stringify(superseded),
      JSON.stringify(going),
    ]);
    /* v8 ignore next -- an aggregate without groups has one row */
    removed += rows[0]?.removed ?? 0;
  }
  return removed;
}

export async function readPruned(
  database: Database,
  { tables }: Schema,
  names?: readonly CredentialName[],
): Promise<ReadonlyMap<CredentialName, readonly VersionId[]>> {
  try {
    const rows = await database.query<{ readonly name: CredentialName; readonly ids: VersionId[] }>(
      // The later ones, as pruning itself keeps them.
      `SELECT id AS name, array_agg(version ORDER BY position, version) AS ids FROM (
         SELECT id, version, position, row_number() OVER (PARTITION BY id ORDER BY position DESC) AS back
         FROM ${tables.pruned}
         WHERE length(id) < 1000 AND length(version) = 64 ${names ? 'AND id = ANY($1::text[])' : ''}
       ) AS p WHERE back <= ${MAX_PRUNED} GROUP BY id LIMIT ${MAX_KEYS}`,
      names ? [names] : [],
    );
    return new Map(
      rows.flatMap(({ name, ids }) => (parseName(name).ok ? [[name, ids.filter(isVersionId)] as const] : [])),
    );
  } catch (error) {
    if (isMissing(error)) return new Map();
    throw error;
  }
}

/** In order; no name twice in one portion, since each statement numbers a credential's ids from what it finds. */
function portions(entries: readonly PruneEntry[]): PruneEntry[][] {
  const result: PruneEntry[][] = [];
  let ids = 0;
  for (const entry of entries) {
    const size = entry.versions.length + entry.superseded.length;
    const last = result.at(-1);
    if (!last || ids + size > MAX_IDS || last.some(({ name }) => name === entry.name)) {
      result.push([entry]);
      ids = size;
    } else {
      last.push(entry);
      ids += size;
    }
  }
  return result;
}

/**
 * `$1`: ids to remember, with their order; `$2`: versions to remove. Hosts that do so at once may give two ids the
 * same position: each then stands where its host would have had it.
 */
function PRUNE(tables: Tables): string {
  return `
    WITH superseded AS MATERIALIZED (
      SELECT s.* FROM json_to_recordset($1) AS s(id text, version text, position bigint)
      WHERE NOT EXISTS (SELECT FROM ${tables.pruned} AS p WHERE p.id = s.id AND p.version = s.version)
    ), last AS MATERIALIZED (
      SELECT id, max(position) AS position FROM ${tables.pruned}
      WHERE id IN (SELECT id FROM superseded) GROUP BY id
    ), numbered AS MATERIALIZED (
      SELECT s.id, s.version, COALESCE(l.position, 0)
        + row_number() OVER (PARTITION BY s.id ORDER BY s.position) AS position
      FROM superseded AS s LEFT JOIN last AS l USING (id)
    ), remembered AS (
      INSERT INTO ${tables.pruned} (id, version, position)
      SELECT id, version, position FROM numbered ORDER BY id, version
      ON CONFLICT DO NOTHING
    ), forgotten AS (
      DELETE FROM ${tables.pruned} AS p USING (SELECT id, max(position) AS position FROM numbered GROUP BY id) AS n
      WHERE p.id = n.id AND p.position <= n.position - ${MAX_PRUNED}
    ), removed AS (
      DELETE FROM ${tables.history} AS h
      USING json_to_recordset($2) AS g(id text, version text)
      WHERE h.id = g.id AND h.version = g.version
      RETURNING 1
    )
    SELECT count(*)::int AS removed FROM removed`;
}
