import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { canonicalJson, type Json } from '../../ts/src/credential/json.ts';
import { postgresTarget } from '../../ts/src/settings/postgres-target.ts';
import { type PostgresOptions, postgresStore } from '../../ts/src/stores/postgres/store.ts';
import type { StoreFixture } from '../contract/suite.ts';
import type { OutsideStore } from './outside.ts';
import type { PostgresAddress } from './postgres.ts';

/** The PostgreSQL server of this run; undefined if it is not installed: then skip, which the set-up has said. */
export const postgresServer = inject('postgres');

/** The server, in a test that is skipped without one. */
export function postgres(): PostgresAddress {
  if (!postgresServer) throw new Error('there is no PostgreSQL server');
  return postgresServer;
}

/** The name of a schema that is not there yet. */
export function freshSchema(): string {
  return `Test "${randomBytes(6).toString('hex')}"`;
}

/** As the settings read `PGSTORE_DSN` and `PGSTORE_SCHEMA`. */
export function optionsFrom(dsn: string, schema: string | undefined): PostgresOptions {
  return { target: postgresTarget(dsn, () => undefined), schema };
}

/** A schema seen from outside, through the driver alone. */
export interface OutsideSchema {
  /** Runs a statement in which the tables need no schema in front. */
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** As CLIProxyAPI's native store writes one (internal/store/postgresstore.go). */
  upsert(table: 'auth_store' | 'config_store', id: string, content: string): Promise<void>;
  /** Tables, and everything in them. */
  fingerprint(): Promise<string>;
  /** Takes the schema away, and lets go of the server. */
  remove(): Promise<void>;
}

export function schemaFromOutside(schema: string, uri = postgres().uri): OutsideSchema {
  const pool = new pg.Pool({
    connectionString: uri,
    max: 2,
    allowExitOnIdle: true,
    options: `-c search_path=${pg.escapeIdentifier(schema).replaceAll(/[\\\s]/g, '\\$&')}`,
  });
  // A server that is stopped on purpose.
  pool.on('error', () => undefined);
  const query = async (text: string, values: readonly unknown[] = []) =>
    (await pool.query(text, [...values])).rows;
  return {
    query,
    async upsert(table, id, content) {
      await query(
        `INSERT INTO ${table} (id, content, created_at, updated_at) VALUES ($1, $2, NOW(), NOW())
         ON CONFLICT (id) DO UPDATE SET content = EXCLUDED.content, updated_at = NOW()`,
        [id, content],
      );
    },
    async fingerprint() {
      const tables = await query('SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY tablename', [
        schema,
      ]);
      const contents = tables.map(async ({ tablename }) => {
        const rows = await query(
          `SELECT t::text, xmin FROM ${pg.escapeIdentifier(tablename)} AS t ORDER BY 1`,
        );
        return `${tablename} ${JSON.stringify(rows)}`;
      });
      return (await Promise.all(contents)).join('\n');
    },
    async remove() {
      await query(`DROP SCHEMA IF EXISTS ${pg.escapeIdentifier(schema)} CASCADE`).catch(() => undefined);
      await pool.end();
    },
  };
}

/**
 * A schema as the other stores are seen: keys as in the S3 layout. JSONB keeps neither white space nor the order of keys,
 * so what CLIProxyAPI's table holds is given in canonical form.
 */
export function postgresFromOutside(schema: string): OutsideStore {
  const outside = schemaFromOutside(schema);
  const missing = (error: unknown): [] => {
    // 42P01: no such table; 3F000: no such schema.
    if (error instanceof Error && 'code' in error && /^(42P01|3F000)$/.test(String(error.code))) return [];
    throw error;
  };
  const areas: readonly (readonly [prefix: string, select: string])[] = [
    ['auths/', "SELECT id AS key, convert_to(content::text, 'UTF8') AS content FROM auth_store"],
    ['backup/auths/', 'SELECT id AS key, content FROM sync_backup'],
    ['sync/tombstones/', 'SELECT id AS key, content FROM sync_tombstones'],
    ['sync/history/', "SELECT id || '/' || version || '.json' AS key, content FROM sync_history"],
    ['sync/rejected/', "SELECT id || '/' || digest AS key, content FROM sync_rejected"],
    ['sync/store.json', "SELECT '' AS key, content FROM sync_marker"],
  ];
  const rows = async (wanted: string) => {
    const found = await Promise.all(
      areas
        .filter(([prefix]) => prefix.startsWith(wanted) || wanted.startsWith(prefix))
        .map(async ([prefix, select]) => {
          const all = await outside.query<{ key: string; content: Buffer }>(select).catch(missing);
          return all.map(
            ({ key, content }) => [prefix + key, prefix === 'auths/' ? canonical(content) : content] as const,
          );
        }),
    );
    return new Map(found.flat().filter(([key]) => key.startsWith(wanted)));
  };
  return {
    make: async () => undefined,
    keys: async (prefix = '') => [...(await rows(prefix)).keys()].sort(),
    read: async (key) => (await rows(key)).get(key),
    async write(key, bytes) {
      const name = /^auths\/(.*)$/.exec(key)?.[1];
      if (name === undefined) throw new Error(`no program but ours writes ${key}`);
      await outside.upsert('auth_store', name, String(bytes));
    },
    async remove(key) {
      const name = /^auths\/(.*)$/.exec(key)?.[1];
      if (name === undefined) throw new Error(`no program but ours removes ${key}`);
      await outside.query('DELETE FROM auth_store WHERE id = $1', [name]);
    },
    fingerprint: outside.fingerprint,
    close: outside.remove,
  };
}

function canonical(content: Buffer): Buffer {
  const value: Json = JSON.parse(String(content));
  return Buffer.from(canonicalJson(value));
}

/** A fresh schema on the server that this `PGSTORE_DSN` leads to, for the contract. */
export async function postgresFixture(dsn: string): Promise<StoreFixture> {
  const schema = freshSchema();
  return fixture(schema, optionsFrom(dsn, schema));
}

/** The same, where `PGSTORE_SCHEMA` is not set, and the DSN says in which schema the tables are. */
export async function searchPathFixture(): Promise<StoreFixture> {
  const schema = freshSchema().replaceAll(/\W/g, '_').toLowerCase();
  const client = new pg.Client(postgres().uri);
  await client.connect();
  await client.query(`CREATE SCHEMA ${schema}`);
  await client.end();
  return fixture(schema, optionsFrom(`${postgres().uri}?search_path=${schema}`, undefined));
}

function fixture(schema: string, options: PostgresOptions): StoreFixture {
  const outside = schemaFromOutside(schema);
  return {
    open: (memory) => postgresStore(options, memory),
    async writeForeign(area, name, bytes) {
      if (area === 'current') return outside.upsert('auth_store', name, String(bytes));
      await outside.query(
        `INSERT INTO sync_backup (id, content) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET content = EXCLUDED.content`,
        [name, bytes],
      );
    },
    writeConfig: (bytes) => outside.upsert('config_store', 'config', String(bytes)),
    async readAside(name) {
      const rows = await outside.query<{ content: Buffer }>(
        'SELECT content FROM sync_rejected WHERE id = $1',
        [name],
      );
      return rows.map(({ content }) => content);
    },
    fingerprint: outside.fingerprint,
    keeps: (bytes) => {
      const content: Json = JSON.parse(String(bytes).replace(/^\ufeff/, ''));
      return Buffer.from(canonicalJson(content));
    },
    remove: outside.remove,
  };
}
