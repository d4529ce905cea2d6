/** The PostgreSQL store: tables that are not as ours are, and what they cannot hold. */
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { Database } from '../../../ts/src/stores/postgres/connection.ts';
import { lookForTables, TABLE_KEYS } from '../../../ts/src/stores/postgres/tables.ts';
import { freshSchema, postgresServer } from '../../support/postgres-outside.ts';
import { create, credential, current, MARKER, named, readAll, versionIn } from '../vocabulary.ts';
import { after, decent, dsn, failure, open, outsideOf, preparedSchema, server } from './server.ts';

describe.skipIf(!postgresServer)(
  'the PostgreSQL store, with tables that are not as ours are, and what they cannot hold',
  () => {
    describe('a table of the right name that is someone else’s', () => {
      test.each([
        ['no content', 'auth_store', 'id text PRIMARY KEY, name text'],
        [
          'text in the place of JSONB',
          'auth_store',
          'id text PRIMARY KEY, content text, created_at timestamptz, updated_at timestamptz',
        ],
        [
          'numbers as ids',
          'auth_store',
          'id bigint PRIMARY KEY, content jsonb, created_at timestamptz, updated_at timestamptz',
        ],
        ['no times', 'auth_store', 'id text PRIMARY KEY, content jsonb'],
        ['other columns', 'config_store', 'name text, value text'],
        ['other columns', 'sync_history', 'version int'],
      ])('(%s in %s) is refused before anything is made, and not touched', async (_, table, columns) => {
        const schema = freshSchema();
        const outside = outsideOf(schema);
        await outside.query(`CREATE SCHEMA "${schema.replaceAll('"', '""')}"`);
        await outside.query(`CREATE TABLE ${table} (${columns})`);
        const before = await outside.fingerprint();
        const store = open(server.uri, schema);
        for (const run of [() => store.list(), () => store.prepare(MARKER)]) {
          const error = await failure(run);
          expect(error).toMatchObject({ kind: 'refused' });
          expect(error.message).toMatch(/right name and other columns/);
          expect(error.remedy).toMatch(/PGSTORE_SCHEMA/);
        }
        expect(await outside.fingerprint()).toBe(before);
      });

      test('is not what another host makes in the moment of the look', async () => {
        const schema = freshSchema();
        const outside = outsideOf(schema);
        await outside.query(`CREATE SCHEMA ${pg.escapeIdentifier(schema)}`);
        const client = new pg.Client(server.uri);
        await client.connect();
        after({ stop: () => client.end() });
        // What it sees from here on is what is there now.
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
        await client.query('SELECT 1');
        await open(server.uri, schema).prepare(MARKER);
        const database = {
          query: async (text: string, values: readonly unknown[]) =>
            (await client.query(text, [...values])).rows,
        } as unknown as Database;
        expect((await lookForTables(database, schema, 'here')).tables).toEqual(new Set());
        await client.query('COMMIT');
        expect((await lookForTables(database, schema, 'here')).tables).toEqual(new Set(TABLE_KEYS));
      });

      test('is noticed when it comes in the place of a good one', async () => {
        const { schema, outside } = await preparedSchema();
        await outside.query('ALTER TABLE auth_store ALTER content TYPE text');
        const error = await failure(() => open(server.uri, schema).list());
        expect(error).toMatchObject({ kind: 'refused' });
        expect(error.message).toMatch(/other columns/);
      });
    });

    test('one of our tables that is gone is made again, and what is left is listed', async () => {
      const { schema, outside } = await preparedSchema();
      await open(server.uri, schema).commit([create('a.json', credential('a'))]);
      await outside.query('DROP TABLE sync_history, auth_store');
      const store = open(server.uri, schema);
      const listing = await store.list();
      expect(listing).toMatchObject({ present: true, marker: MARKER });
      expect([listing.current.size, listing.backup.size]).toEqual([0, 1]);
      expect(await store.history()).toEqual([]);
      expect(await store.prepare({ id: 'other', format: 1 })).toEqual(MARKER);
      expect((await store.commit([create('b.json', credential('b'))]))[0]?.kind).toBe('done');
    });

    test('without PGSTORE_SCHEMA, and without a schema in the search path, it says what to set', async () => {
      const store = open(dsn({ query: 'search_path=nosuch' }), undefined);
      expect((await store.list()).present).toBe(false);
      const error = await failure(() => store.prepare(MARKER));
      expect(error).toMatchObject({ kind: 'refused' });
      expect(error.message).toMatch(/there is no schema to put the tables into/);
      expect(error.remedy).toMatch(/Set PGSTORE_SCHEMA/);
    });

    test('tables that CLIProxyAPI made are taken as they are', async () => {
      const schema = freshSchema();
      const outside = outsideOf(schema);
      await outside.query(`CREATE SCHEMA "${schema.replaceAll('"', '""')}"`);
      for (const [table, type] of [
        ['config_store', 'TEXT'],
        ['auth_store', 'JSONB'],
      ])
        await outside.query(
          `CREATE TABLE ${table} (id TEXT PRIMARY KEY, content ${type} NOT NULL, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW())`,
        );
      await outside.upsert('auth_store', 'a.json', String(credential('a')));
      const store = open(server.uri, schema);
      const listing = await store.list();
      expect(listing).toMatchObject({ present: true, marker: undefined });
      expect([...listing.current.keys()]).toEqual(['a.json']);
      expect(await store.prepare(MARKER)).toEqual(MARKER);
      expect((await store.list()).current.get('a.json')).toEqual(listing.current.get('a.json'));
    });

    describe('what JSONB cannot hold', () => {
      test.each([
        ['a NUL', '{"type":"claude","access_token":"a\\u0000b"}', /NUL/],
        ['half a surrogate pair', '{"type":"claude","access_token":"a\\ud800b"}', /half a surrogate pair/],
        ['a number beyond all numbers', '{"type":"claude","n":1e999999}', /number that is too large/],
      ])('(%s) fails that credential alone, and is kept in history', async (_, text, because) => {
        const { schema } = await preparedSchema();
        const store = open(server.uri, schema);
        const bad = Buffer.from(text);
        const changes = Array.from({ length: 20 }, (_each, index) =>
          create(`${index}.json`, credential(`${index}`)),
        );
        changes[13] = create('bad.json', bad);
        const outcomes = await store.commit(changes);
        expect(outcomes.map(({ kind }) => kind)).toEqual(
          changes.map((_each, index) => (index === 13 ? 'failed' : 'done')),
        );
        const [, , , , , , , , , , , , , failed] = outcomes;
        if (failed?.kind !== 'failed') throw new Error(failed?.kind);
        expect(failed).toMatchObject({ step: 'current', error: { kind: 'refused' } });
        expect(decent(failed.error).message).toMatch(because);
        expect(failed.error.message).toMatch(/Cannot write bad\.json in/);
        const listing = await store.list();
        expect([listing.current.size, listing.backup.has('bad.json')]).toEqual([19, false]);
        const [kept] = await readAll(store, [
          { area: 'history', name: named('bad.json'), id: versionIn(bad) },
        ]);
        expect(kept?.kind === 'object' && String(kept.bytes)).toBe(text);
      });

      test.each([
        '{"type":"claude","n":12345678901234567890.10,"m":1e-7,"z":-0,"deep":{"b":[1,{"é":"\\u00e9\\/"}],"a":null}}',
        '{"type":"claude","twice":1,"twice":2,"__proto__":{"x":1},"10":1,"9":2,"":"\\ud83d\\ude00"}',
        '\ufeff  {"type":"claude"}\r\n',
      ])('%s comes back as the same version', async (text) => {
        const { schema } = await preparedSchema();
        const store = open(server.uri, schema);
        const bytes = Buffer.from(text);
        expect((await store.commit([create('a.json', bytes)]))[0]?.kind).toBe('done');
        const [answer] = await readAll(store, [current('a.json')]);
        if (answer?.kind !== 'object') throw new Error(answer?.kind);
        expect(versionIn(answer.bytes)).toBe(versionIn(bytes));
        expect(answer.recorded).toBe(versionIn(bytes));
      });
    });

    test.each(['[1,2]', '"text"', 'null', '17', 'true', '{}'])(
      'a row that holds %s is listed, read, and replaced after it was kept',
      async (text) => {
        const { schema, outside } = await preparedSchema();
        await outside.upsert('auth_store', 'a.json', text);
        const store = open(server.uri, schema);
        const tag = (await store.list()).current.get('a.json')?.tag;
        const [answer] = await readAll(store, [current('a.json')]);
        if (answer?.kind !== 'object') throw new Error(answer?.kind);
        expect(JSON.parse(String(answer.bytes))).toEqual(JSON.parse(text));
        const change = { ...create('a.json', credential('a'), tag), keepAside: [answer.bytes] };
        expect((await store.commit([change]))[0]?.kind).toBe('done');
        const aside = await outside.query<{ content: Buffer }>('SELECT content FROM sync_rejected');
        expect(aside.map(({ content }) => String(content))).toEqual([String(answer.bytes)]);
      },
    );
  },
);
