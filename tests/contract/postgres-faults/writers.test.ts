/** The PostgreSQL store: other hosts, and a native proxy, that write at the same time. */
import { describe, expect, test } from 'vitest';
import type { Store } from '../../../ts/src/stores/store.ts';
import { postgresServer } from '../../support/postgres-outside.ts';
import { create, credential, current, entry, named, readAll, versionIn } from '../vocabulary.ts';
import { admin, dsn, failure, open, preparedSchema, role, server } from './server.ts';

describe.skipIf(!postgresServer)(
  'the PostgreSQL store, with other hosts, and a native proxy, that write at the same time',
  () => {
    describe('several hosts', () => {
      test('the first that answers is taken', async () => {
        const url = `postgres://postgres:${server.password}@localhost:1,nosuch.invalid:2,localhost:${server.port}/postgres`;
        expect((await open(url, 'x').list()).present).toBe(false);
      });

      test('with target_session_attrs=read-write, the first that can be written to; none is no success', async () => {
        const url = `postgres://postgres:${server.password}@localhost:${server.port},localhost:${server.port}/postgres?target_session_attrs=read-write`;
        expect((await open(url, 'x').list()).present).toBe(false);
        const readOnly = await role();
        await admin.query(`ALTER ROLE ${readOnly.user} SET default_transaction_read_only = on`);
        const none = dsn({ ...readOnly, query: 'target_session_attrs=read-write' });
        const error = await failure(() => open(none, 'x').list());
        expect(error).toMatchObject({ kind: 'unreachable' });
        expect(error.message).toMatch(/No server that PGSTORE_DSN names is read-write/);
      });
    });

    describe('CLIProxyAPI with its native store on, writing whenever it likes', () => {
      test.each([
        // Milliseconds between its writes: the stricter ones are ended by each, and then tried again.
        ['read committed', 3],
        ['repeatable read', 30],
        ['serializable', 30],
      ] as const)(
        'loses us no version that a plan saw, and we overwrite none that it did not see (%s)',
        async (level, pause) => {
          const { schema, outside } = await preparedSchema();
          const user = await role('SUPERUSER');
          await admin.query(`ALTER ROLE ${user.user} SET default_transaction_isolation = '${level}'`);
          const ours = [open(dsn(user), schema), open(dsn(user), schema)] as const;
          const names = ['a.json', 'b.json', 'c.json'];
          /** Everything that was ever current, by who wrote it. */
          const native = new Set<string>();
          let stop = false;
          const proxy = (async () => {
            for (let round = 0; !stop; round++) {
              const name = names[round % names.length] ?? '';
              const bytes = credential(`native ${round}`);
              native.add(versionIn(bytes));
              await outside.upsert('auth_store', name, String(bytes));
              if (round % 7 === 0) await outside.query('DELETE FROM auth_store WHERE id = $1', [name]);
              await new Promise((resolve) => setTimeout(resolve, pause));
            }
          })();
          /** A plan: what it sees goes to history with what replaces it, on the condition that it is still there. */
          const replacedByUs: string[] = [];
          let done = 0;
          const sync = async (store: Store, host: number) => {
            for (let round = 0; round < 40; round++) {
              const answers = await readAll(store, names.map(current));
              const outcomes = await store.commit(
                names.map((name, index) => {
                  const seen = answers[index];
                  const bytes = credential(`ours ${host} ${round} ${index}`);
                  const keep = [entry(bytes)];
                  const tag = seen?.kind === 'object' ? seen.tag : undefined;
                  if (seen?.kind === 'object') keep.push(entry(seen.bytes));
                  return {
                    name: named(name),
                    keep,
                    current: { kind: 'put', bytes, seen: tag, version: versionIn(bytes) },
                  };
                }),
              );
              for (const [index, outcome] of outcomes.entries()) {
                if (outcome.kind === 'failed') throw outcome.error;
                const seen = answers[index];
                if (outcome.kind !== 'done') continue;
                done++;
                if (seen?.kind === 'object') replacedByUs.push(versionIn(seen.bytes));
              }
            }
          };
          // The database's own account of what replaced what.
          await outside.query(
            `CREATE TABLE log (seq bigserial, id text, old jsonb, new jsonb, app text DEFAULT current_setting('application_name'))`,
          );
          await outside.query(
            `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             EXECUTE format('INSERT INTO %I.log (id, old, new) VALUES ($1, $2, $3)', TG_TABLE_SCHEMA)
               USING COALESCE(NEW.id, OLD.id), OLD.content, NEW.content;
             RETURN NULL;
           END $$`,
          );
          await outside.query(
            'CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON auth_store FOR EACH ROW EXECUTE FUNCTION note()',
          );
          try {
            await Promise.all(ours.map(sync));
          } finally {
            stop = true;
            await proxy;
          }

          expect(done).toBeGreaterThan(10);
          const kept = new Set((await ours[0].history()).map(({ id }) => String(id)));
          for (const id of replacedByUs) expect(kept.has(id)).toBe(true);
          const log = await outside.query<{ old: unknown; app: string }>(
            "SELECT old::text AS old, app FROM log WHERE app = 'cliproxyapi-sync' AND old IS NOT NULL",
          );
          // Whatever the database says that we replaced was in history: no unseen version was overwritten.
          expect(log.length).toBeGreaterThan(0);
          for (const { old } of log) expect(kept.has(versionIn(Buffer.from(String(old))))).toBe(true);
          expect(log.length).toBeLessThanOrEqual(done);
        },
      );

      test('eight hosts that write all credentials at once, in any order, wait for each other', async () => {
        const { schema } = await preparedSchema();
        const names = Array.from({ length: 50 }, (_, index) => `${index}.json`);
        const stores = Array.from({ length: 8 }, () => open(server.uri, schema, { timeouts: {} }));
        const outcomes = await Promise.all(
          stores.map((store, host) => {
            const mixed = [...names].sort(() => Math.random() - 0.5);
            return store.commit(mixed.map((name) => create(name, credential(`${host} ${name}`))));
          }),
        );
        const kinds = outcomes.flat().map(({ kind }) => kind);
        expect(kinds.filter((kind) => kind === 'done')).toHaveLength(50);
        expect(kinds.filter((kind) => kind === 'lost')).toHaveLength(350);
      });
    });
  },
);
