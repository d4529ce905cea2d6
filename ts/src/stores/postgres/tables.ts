import { StoreError } from '../store.ts';
import type { Database } from './connection.ts';
import { otherTable } from './errors.ts';

/**
 * The tables: CLIProxyAPI's two, made as it makes them (internal/store/postgresstore.go), and ours, which it
 * ignores. A credential's row has its name as `id`. What is no credential of CLIProxyAPI's is kept byte for byte.
 */
const TABLES = {
  current: {
    name: 'auth_store',
    columns: `
      id TEXT PRIMARY KEY,
      content JSONB NOT NULL,
      created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
      updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()`,
  },
  config: {
    name: 'config_store',
    columns: `
      id TEXT PRIMARY KEY,
      content TEXT NOT NULL,
      created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
      updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()`,
  },
  marker: {
    name: 'sync_marker',
    columns: `
      id TEXT PRIMARY KEY,
      content BYTEA NOT NULL`,
  },
  tombstone: {
    name: 'sync_tombstones',
    columns: `
      id TEXT PRIMARY KEY,
      content BYTEA NOT NULL,
      updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()`,
  },
  backup: {
    name: 'sync_backup',
    columns: `
      id TEXT PRIMARY KEY,
      content BYTEA NOT NULL,
      updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()`,
  },
  /** Which version one of our programs wrote to which area, as the content with this tag. */
  written: {
    name: 'sync_written',
    columns: `
      area TEXT,
      id TEXT,
      tag TEXT NOT NULL,
      version TEXT NOT NULL,
      PRIMARY KEY (area, id)`,
  },
  history: {
    name: 'sync_history',
    columns: `
      id TEXT,
      version TEXT,
      content BYTEA NOT NULL,
      host TEXT NOT NULL,
      reason TEXT NOT NULL,
      replaces TEXT[] NOT NULL,
      arrived TIMESTAMPTZ NOT NULL DEFAULT NOW(),
      PRIMARY KEY (id, version)`,
  },
  /** The ids of versions that were taken out of history, in the order of `position`. */
  pruned: {
    name: 'sync_pruned',
    columns: `
      id TEXT,
      version TEXT,
      position BIGINT NOT NULL,
      PRIMARY KEY (id, version)`,
  },
  aside: {
    name: 'sync_rejected',
    columns: `
      id TEXT,
      digest TEXT,
      content BYTEA NOT NULL,
      arrived TIMESTAMPTZ NOT NULL DEFAULT NOW(),
      PRIMARY KEY (id, digest)`,
  },
  configHistory: {
    name: 'sync_config_history',
    columns: `
      digest TEXT PRIMARY KEY,
      content BYTEA NOT NULL,
      host TEXT NOT NULL,
      reason TEXT NOT NULL,
      arrived TIMESTAMPTZ NOT NULL DEFAULT NOW()`,
  },
} as const;

export type TableKey = keyof typeof TABLES;
// eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- `Object.keys` forgets them
export const TABLE_KEYS = Object.keys(TABLES) as TableKey[];

/** How the tables are called in statements: quoted, with their schema. */
export type Tables = Readonly<Record<TableKey, string>>;

/**
 * The tables of a schema; without one, as CLIProxyAPI's too, those that the user's `search_path` gives: `public`
 * unless something else was set.
 */
export function tablesIn(schema: string | undefined): Tables {
  const prefix = schema === undefined ? '' : `${quoted(schema)}.`;
  const names = TABLE_KEYS.map((key) => [key, prefix + quoted(TABLES[key].name)]);
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- of all of `TABLE_KEYS`
  return Object.fromEntries(names) as Record<TableKey, string>;
}

/** An identifier, whatever is in it. */
export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** What the schema has of the tables. */
export interface Found {
  readonly schema: boolean;
  readonly tables: ReadonlySet<TableKey>;
}

/**
 * Looks which tables are there.
 *
 * `to_regclass` knows of a table as soon as it is made, `pg_attribute` shows its columns to those whose snapshot is
 * later than that: `pg_class` between them says of a table that another host makes just then that it is not there yet.
 *
 * @throws StoreError (refused) if one has not the columns that it should: it belongs to someone else.
 */
export async function lookForTables(
  database: Database,
  schema: string | undefined,
  location: string,
): Promise<Found> {
  const tables = tablesIn(schema);
  const rows = await database.query<{ key: TableKey | 'schema'; columns: string[] | null }>(
    `SELECT t.key, (
       SELECT array_agg(attname || ' ' || format_type(atttypid, NULL)) FROM pg_attribute
       WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
     ) AS columns
     FROM unnest($1::text[], $2::text[]) AS t(key, name) JOIN pg_class AS c ON c.oid = to_regclass(t.name)
     UNION ALL SELECT 'schema', NULL WHERE ${schema === undefined ? 'current_schema()' : 'to_regnamespace($3)'} IS NOT NULL`,
    [TABLE_KEYS, TABLE_KEYS.map((key) => tables[key]), ...(schema === undefined ? [] : [quoted(schema)])],
  );
  const found = new Set<TableKey>();
  for (const { key, columns } of rows) {
    if (key === 'schema') continue;
    const missing = wantedColumns(key).filter((column) => !columns?.some((each) => sameColumn(each, column)));
    if (missing.length > 0) {
      const { kind, because, remedy } = otherTable(`${TABLES[key].name} has no column ${missing[0]}`);
      throw new StoreError(kind, `Cannot use ${location}: ${because}.`, remedy);
    }
    found.add(key);
  }
  return { schema: rows.some(({ key }) => key === 'schema'), tables: found };
}

/** Statements that make what is missing; a user who may not make anything can use what others made. */
export function creationOf(schema: string | undefined, found: Found): string[] {
  const tables = tablesIn(schema);
  return [
    ...(schema !== undefined && !found.schema ? [`CREATE SCHEMA IF NOT EXISTS ${quoted(schema)}`] : []),
    ...TABLE_KEYS.filter((key) => !found.tables.has(key)).map(
      (key) => `CREATE TABLE IF NOT EXISTS ${tables[key]} (${TABLES[key].columns})`,
    ),
  ];
}

/** `id text`, `content jsonb` ... */
function wantedColumns(key: TableKey): string[] {
  return [...TABLES[key].columns.matchAll(/^\s+([a-z_]+) ([A-Z]+(?:\[\])?)/gm)].map(([, name, type = '']) => {
    return `${name} ${(TYPE_NAMES[type] ?? type).toLowerCase()}`;
  });
}

const TYPE_NAMES: Readonly<Record<string, string>> = { TIMESTAMPTZ: 'timestamp with time zone' };

function sameColumn(found: string, wanted: string): boolean {
  return (
    found.replace(/ character varying$/, ' text').replace(/ timestamp without/, ' timestamp with') === wanted
  );
}
