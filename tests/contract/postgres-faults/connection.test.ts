/** The PostgreSQL store: connections that break, a server that ends, and round trips. */
import { describe, expect, test } from 'vitest';
import type { PostgresOptions } from '../../../ts/src/stores/postgres/store.ts';
import type { Fault, NetworkOptions, PostgresNetwork } from '../../support/postgres-network.ts';
import { postgresServer, schemaFromOutside } from '../../support/postgres-outside.ts';
import { create, credential, current, MARKER, named, readAll } from '../vocabulary.ts';
import {
  admin,
  dsn,
  failure,
  networkWith,
  open,
  outsideName,
  preparedSchema,
  QUICK,
  server,
} from './server.ts';

describe.skipIf(!postgresServer)(
  'the PostgreSQL store, with connections that break, a server that ends, and round trips',
  () => {
    describe('a connection that breaks', () => {
      async function through(options?: NetworkOptions, more: Partial<PostgresOptions> = {}) {
        const { schema, outside } = await preparedSchema();
        const network = await networkWith(options);
        const store = open(dsn({ port: network.port }), schema, more);
        await store.list();
        network.forget();
        return { network, store, outside, schema };
      }
      const once = (network: PostgresNetwork, fault: Fault) => {
        let left = 1;
        network.spoil(() => (left-- > 0 ? fault : undefined));
      };

      test.each(['lost', 'lost-answer'] as const)(
        '(%s) in a commit: it is carried out once',
        async (fault) => {
          const { network, store, outside } = await through();
          once(network, fault);
          const [outcome] = await store.commit([create('a.json', credential('a'))]);
          expect(outcome).toMatchObject({
            kind: 'done',
            current: expect.any(String),
            backup: expect.any(String),
          });
          expect(network.asked).toHaveLength(2);
          expect(await outside.query('SELECT id FROM sync_history')).toHaveLength(1);
        },
      );

      test('as the server goes on with a commit: what it made is known for our own', async () => {
        const { network, store, outside } = await through(undefined, {
          timeouts: { ...QUICK, statement: 5_000 },
        });
        await outside.query(
          'CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$',
        );
        await outside.query(
          'CREATE TRIGGER slow AFTER INSERT ON auth_store FOR EACH ROW EXECUTE FUNCTION slow()',
        );
        once(network, 'lost-midway');
        const [outcome] = await store.commit([create('a.json', credential('a'))]);
        expect(outcome).toMatchObject({ kind: 'done', current: expect.any(String) });
      });

      test('a removal whose answer was lost is done', async () => {
        const { network, store } = await through();
        const [made] = await store.commit([create('a.json', credential('a'))]);
        if (made?.kind !== 'done' || !made.current || !made.backup) throw new Error(made?.kind);
        once(network, 'lost-answer');
        const [outcome] = await store.commit([
          {
            name: named('a.json'),
            keep: [],
            tombstone: { kind: 'put', bytes: Buffer.from('{}'), seen: undefined },
            current: { kind: 'remove', seen: made.current },
            backup: { kind: 'remove', seen: made.backup },
          },
        ]);
        expect(outcome).toMatchObject({ kind: 'done', tombstone: expect.any(String) });
      });

      test.each(['lost', 'lost-answer'] as const)(
        '(%s) in a change of the config: it is carried out once',
        async (fault) => {
          const { network, store } = await through();
          once(network, fault);
          const change = { bytes: Buffer.from('port: 1\n'), seen: undefined, keep: [] };
          expect((await store.commitConfig(change)).kind).toBe('done');
        },
      );

      test('while nothing is under way is not noticed', async () => {
        const { network, store } = await through();
        network.cut();
        await new Promise((resolve) => setTimeout(resolve, 50));
        expect((await store.list()).present).toBe(true);
        network.cut();
        expect((await store.list()).present).toBe(true);
      });

      test('for good is said, after a while that is bounded', async () => {
        const { network, store, outside } = await through(undefined, {
          timeouts: { ...QUICK, patience: 1_000 },
        });
        network.spoil(() => 'lost');
        const error = await failure(() => store.commit([create('a.json', credential('a'))]));
        expect(error).toMatchObject({ kind: 'unreachable' });
        expect(await outside.query('SELECT id FROM auth_store')).toEqual([]);
      });

      test('silence ends with the time limit', async () => {
        const { network, store } = await through(undefined, { timeouts: { ...QUICK, statement: 300 } });
        network.spoil(() => 'silence');
        const begun = Date.now();
        const error = await failure(() => store.list());
        expect(error).toMatchObject({ kind: 'unreachable' });
        expect(error.message).toMatch(/did not answer in time/);
        expect(Date.now() - begun).toBeLessThan(8_000);
        network.spoil(() => undefined);
        expect((await store.list()).present).toBe(true);
      });

      test('a pooler that takes no time limit from us is asked without', async () => {
        const { network, store } = await through({
          startupParameters: ['user', 'database', 'application_name', 'client_encoding'],
        });
        expect((await store.commit([create('a.json', credential('a'))]))[0]?.kind).toBe('done');
        expect(network.startups.map((parameters) => 'statement_timeout' in parameters)).toEqual([
          true,
          false,
        ]);
      });

      test('a lock that someone holds ends with the time limit, and nothing is half-written', async () => {
        const { store, outside, schema } = await through();
        await store.commit([create('b.json', credential('b'))]);
        const tag = (await store.list()).current.get('b.json')?.tag;
        const holder = schemaFromOutside(schema, server.uri);
        // A transaction of its own, held by waiting.
        const held = holder
          .query(
            "WITH l AS (SELECT id FROM auth_store WHERE id = 'b.json' FOR UPDATE) SELECT pg_sleep(3) FROM l",
          )
          .catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 300));
        const change = create('b.json', credential('mine'), tag);
        const error = await failure(() => store.commit([create('a.json', credential('a')), change]));
        expect(error).toMatchObject({ kind: 'unreachable' });
        expect(error.message).toMatch(/something else holds a lock/);
        expect(await outside.query('SELECT id FROM auth_store')).toEqual([{ id: 'b.json' }]);
        expect(await outside.query('SELECT id FROM sync_history')).toHaveLength(1);
        await held;
        await holder.remove();
      });

      test('an administrator who ends our connection is not noticed', async () => {
        const { store } = await through();
        for (let round = 0; round < 3; round++) {
          await admin.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cliproxyapi-sync'",
          );
          expect((await store.commit([create(`${round}.json`, credential('a'))]))[0]?.kind).toBe('done');
        }
      });
    });

    describe('a server that ends', () => {
      test.each(['kill', 'shutDown'] as const)(
        '(%s) in the middle of many commits and comes back: each is done, whole, and once',
        async (way) => {
          const { schema } = await preparedSchema();
          const store = open(server.uri, schema);
          let stop = false;
          const made: string[] = [];
          const writing = (async () => {
            for (let round = 0; !stop; round++) {
              const names = Array.from({ length: 20 }, (_, index) => `${round}-${index}.json`);
              const outcomes = await store.commit(names.map((name) => create(name, credential(name))));
              expect(outcomes.map(({ kind }) => kind)).toEqual(names.map(() => 'done'));
              made.push(...names);
            }
          })();
          for (let round = 0; round < 2; round++) {
            await new Promise((resolve) => setTimeout(resolve, 150));
            await server[way]();
            await server.start();
          }
          await new Promise((resolve) => setTimeout(resolve, 200));
          stop = true;
          await writing;
          const listing = await open(server.uri, schema).list();
          expect([...listing.current.keys()].sort()).toEqual(made.sort());
          expect([...listing.backup.keys()].sort()).toEqual(made);
          expect(await open(server.uri, schema).history()).toHaveLength(made.length);
        },
      );

      test('in the middle of a commit and stays away is unreachable, and nothing is half-written', async () => {
        const { schema, outside } = await preparedSchema();
        const store = open(server.uri, schema, { timeouts: { ...QUICK, patience: 500 } });
        const [made] = await store.commit([create('z.json', credential('z'))]);
        if (made?.kind !== 'done') throw new Error(made?.kind);
        // What holds a row that comes late in the commit keeps it in the middle.
        const held = outside
          .query(
            "WITH l AS (SELECT FROM auth_store WHERE id = 'z.json' FOR UPDATE) SELECT pg_sleep(9) FROM l",
          )
          .catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 200));
        const names = Array.from({ length: 100 }, (_, index) => `${index}.json`);
        const changes = names.map((name) => create(name, credential(name)));
        const writing = failure(() =>
          store.commit([...changes, create('z.json', credential('y'), made.current)]),
        );
        const [error] = await Promise.all([
          writing,
          new Promise((resolve) => setTimeout(resolve, 300)).then(server.kill),
        ]);
        await held;
        await server.start();
        expect(error).toMatchObject({ kind: 'unreachable' });
        const other = open(server.uri, schema);
        const listing = await other.list();
        expect([...listing.current.keys(), ...listing.backup.keys()]).toEqual(['z.json', 'z.json']);
        expect(await other.history()).toHaveLength(1);
      });
    });

    test('a listing, and a hundred changes, are one round trip each', async () => {
      const { schema } = await preparedSchema();
      const network = await networkWith();
      const store = open(dsn({ port: network.port }), schema);
      const trips = async (run: () => Promise<unknown>) => {
        network.forget();
        await run();
        return network.asked.length;
      };
      const names = Array.from({ length: 100 }, (_, index) => `${index}.json`);
      expect(await trips(() => store.list())).toBe(1);
      expect(await trips(() => store.prepare(MARKER))).toBe(0);
      expect(await trips(() => store.commit(names.map((name) => create(name, credential(name)))))).toBe(1);
      expect(await trips(() => store.list())).toBe(1);
      expect(await trips(() => readAll(store, names.map(current)))).toBe(1);
      expect(await trips(() => store.history(names.map(named)))).toBe(1);
      expect(await trips(() => store.readConfig())).toBe(1);
      expect(network.startups).toHaveLength(1);
      // A new store: a try, and a look at what is missing; then all that is made at once.
      const fresh = open(dsn({ port: network.port }), outsideName());
      expect(await trips(() => fresh.list())).toBe(2);
      expect(await trips(() => fresh.prepare(MARKER))).toBe(1);
    });

    test('a thousand changes are done in a few portions, and a name that comes twice in its order', async () => {
      const { schema } = await preparedSchema();
      const store = open(server.uri, schema, { timeouts: {} });
      const names = Array.from({ length: 1_000 }, (_, index) => `${index}.json`);
      const changes = names.map((name) => create(name, credential(name)));
      const twice = create('0.json', credential('late'));
      const outcomes = await store.commit([...changes, twice]);
      expect(outcomes.filter(({ kind }) => kind === 'done')).toHaveLength(1_000);
      expect(outcomes.at(-1)).toEqual({ kind: 'lost', step: 'current' });
      const answers = await readAll(store, names.map(current));
      expect(answers.filter(({ kind }) => kind === 'object')).toHaveLength(1_000);
    });
  },
);
