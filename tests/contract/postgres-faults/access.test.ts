/** The PostgreSQL store: a server that lets us in not at all, or not everywhere. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freshSchema, postgresServer } from '../../support/postgres-outside.ts';
import { create, credential, MARKER } from '../vocabulary.ts';
import {
  certificates,
  decent,
  dsn,
  failure,
  networkWith,
  open,
  preparedSchema,
  role,
  server,
} from './server.ts';

describe.skipIf(!postgresServer)(
  'the PostgreSQL store, with a server that does not let us in, or not everywhere',
  () => {
    describe('a server that does not let us in', () => {
      test('a wrong password is refused, and not told', async () => {
        const error = await failure(() => open(dsn({ password: 'pw-0badbad0' }), 'x').list());
        expect(error).toMatchObject({ kind: 'refused' });
        expect(error.message).toBe(
          `Cannot list what is in postgres://postgres@localhost:${server.port}/postgres, schema x: the password for the user postgres is wrong, or there is no such user.`,
        );
      });

      test('no password is said to be missing', async () => {
        const url = `postgres://postgres@localhost:${server.port}/postgres?passfile=/nonexistent`;
        const error = await failure(() => open(url, 'x').list());
        expect(error).toMatchObject({ kind: 'refused' });
        expect(error.message).toMatch(/asks for a password, and there is none/);
      });

      test('the password may be in a password file', async () => {
        const path = join(server.socketDirectory, `pgpass-${randomBytes(4).toString('hex')}`);
        await writeFile(
          path,
          `# comment\nelsewhere:*:*:*:wrong\nlocalhost:${server.port}:post\\gres:postgres:${server.password}\n*:*:*:*:wrong\n`,
        );
        const url = `postgres://postgres@localhost:${server.port}/postgres?passfile=${encodeURIComponent(path)}`;
        expect((await open(url, 'x').list()).present).toBe(false);
      });

      test.each([
        ['an unknown database', { database: 'nosuch' }, 'refused', /no database nosuch/],
        [
          'an unknown host',
          { host: 'nosuch.invalid' },
          'unreachable',
          /host name of nosuch\.invalid:\d+ is not known/,
        ],
        [
          'a port where nothing listens',
          { port: 1 },
          'unreachable',
          /nothing listens at localhost:1 \(connection refused\)/,
        ],
        [
          'a socket that is not there',
          { host: '', query: 'host=/nonexistent' },
          'unreachable',
          /the socket in \/nonexistent \(no such socket\)/,
        ],
        [
          'a setting that the server does not know',
          { query: 'sslmoed=require' },
          'configuration',
          /does not know a parameter/,
        ],
      ] as const)('%s', async (_, parts, kind, message) => {
        const begun = Date.now();
        const error = await failure(() => open(dsn(parts), 'x').list());
        expect(error).toMatchObject({ kind });
        expect(error.message).toMatch(message);
        expect(Date.now() - begun).toBeLessThan(5_000);
      });

      test('too many connections may be fewer later', async () => {
        const limited = await role('CONNECTION LIMIT 0');
        const error = await failure(() => open(dsn(limited), 'x').list());
        expect(error).toMatchObject({ kind: 'unreachable' });
        expect(error.message).toMatch(/no connection left/);
      });

      test.each([
        ['53300', 'sorry, too many clients already', 'unreachable', /no connection left/],
        ['57P03', 'the database system is starting up', 'unreachable', /started or stopped/],
        ['28000', 'no pg_hba.conf entry for host', 'refused', /does not let the user postgres in/],
        ['XX000', 'Tenant or user not found', 'refused', /the pooler .* does not know the user/],
        [
          '08P01',
          'unsupported startup parameter: geqo',
          'configuration',
          /does not take a parameter in PGSTORE_DSN/,
        ],
        ['08P01', 'no such database: postgres', 'refused', /no database postgres/],
      ] as const)('the answer %s (%s)', async (code, message, kind, expected) => {
        const { port } = await networkWith({ refuse: { code, message } });
        const error = await failure(() => open(dsn({ port }), 'x').list());
        expect(error).toMatchObject({ kind });
        expect(error.message).toMatch(expected);
      });
    });

    describe('TLS, with the meaning that libpq gives sslmode', () => {
      const rows = [
        // What the server has, host, sslmode, authority: what comes of it.
        [true, 'localhost', 'disable', undefined, 'plain'],
        [true, 'localhost', 'prefer', undefined, 'tls'],
        [false, 'localhost', 'prefer', undefined, 'plain'],
        [true, 'localhost', 'allow', undefined, 'plain'],
        [true, '127.0.0.1', 'require', undefined, 'tls'],
        [true, '127.0.0.1', 'require', 'ca', 'tls'],
        [true, 'localhost', 'require', 'otherCa', 'refused'],
        [true, '127.0.0.1', 'verify-ca', 'ca', 'tls'],
        [true, 'localhost', 'verify-ca', 'otherCa', 'refused'],
        [true, 'localhost', 'verify-full', 'ca', 'tls'],
        [true, 'localhost', 'verify-full', 'otherCa', 'refused'],
        [true, 'localhost', 'verify-full', undefined, 'refused'],
        [true, '127.0.0.1', 'verify-full', 'ca', 'refused'],
        [false, 'localhost', 'require', undefined, 'configuration'],
        [false, 'localhost', 'verify-full', 'ca', 'configuration'],
      ] as const;
      test.each(rows)(
        'server with TLS %s, host %s, sslmode=%s, sslrootcert %s: %s',
        async (has, host, mode, root, expected) => {
          const network = await networkWith(has ? { tls: certificates } : {});
          const query = `sslmode=${mode}${root ? `&sslrootcert=${encodeURIComponent(certificates[root])}` : ''}`;
          const store = open(dsn({ host, port: network.port, query }), 'x');
          if (expected === 'tls' || expected === 'plain') {
            expect((await store.list()).present).toBe(false);
            expect(network.encrypted()).toBe(expected === 'tls');
            return;
          }
          const error = await failure(() => store.list());
          expect(error.kind).toBe(expected);
          expect(error.message).toMatch(
            expected === 'configuration'
              ? /has no TLS, which the sslmode in PGSTORE_DSN demands/
              : host === '127.0.0.1'
                ? /is for another host name/
                : /comes from an authority that is not trusted here/,
          );
          expect(network.asked).toEqual([]);
        },
      );

      test('a certificate file that is not there', async () => {
        const network = await networkWith({ tls: certificates });
        const store = open(
          dsn({ port: network.port, query: 'sslmode=verify-full&sslrootcert=/nosuch.pem' }),
          'x',
        );
        const error = await failure(() => store.list());
        expect(error).toMatchObject({ kind: 'configuration' });
        expect(error.message).toMatch(/Cannot read \/nosuch\.pem, which is the sslrootcert/);
      });

      test('an address with the name that the certificate is for', async () => {
        const network = await networkWith({ tls: certificates });
        const url = `host=localhost hostaddr=127.0.0.1 port=${network.port} user=postgres password=${server.password} dbname=postgres sslmode=verify-full sslrootcert=${certificates.ca}`;
        expect((await open(url, 'x').list()).present).toBe(false);
      });
    });

    describe('rights', () => {
      test('none on the schema: refused, in words', async () => {
        const { schema } = await preparedSchema();
        const error = await failure(async () => open(dsn(await role()), schema).list());
        expect(error).toMatchObject({ kind: 'refused' });
        expect(error.message).toMatch(/has no right to do so \("permission denied for schema/);
      });

      test('none to make the schema: refused, and nothing is there', async () => {
        const schema = freshSchema();
        const store = open(dsn(await role()), schema);
        expect((await store.list()).present).toBe(false);
        const error = await failure(() => store.prepare(MARKER));
        expect(error).toMatchObject({ kind: 'refused' });
        expect(error.message).toMatch(/has no right to do so/);
      });

      test('to read alone: a look works, each change is refused', async () => {
        const { schema, outside } = await preparedSchema();
        const reader = await role();
        await outside.query(`GRANT USAGE ON SCHEMA "${schema.replaceAll('"', '""')}" TO ${reader.user}`);
        await outside.query(
          `GRANT SELECT ON auth_store, config_store, sync_marker, sync_tombstones, sync_backup, sync_written, sync_history, sync_pruned, sync_rejected, sync_config_history TO ${reader.user}`,
        );
        const store = open(dsn(reader), schema);
        expect(await store.prepare(MARKER)).toEqual(MARKER);
        const outcomes = await store.commit([
          create('a.json', credential('a')),
          create('b.json', credential('b')),
        ]);
        for (const outcome of outcomes) {
          if (outcome.kind !== 'failed') throw new Error(outcome.kind);
          expect(decent(outcome.error)).toMatchObject({ kind: 'refused' });
        }
        expect((await store.list()).current.size).toBe(0);
      });

      test('to use the tables and not to make any suffices once they are there', async () => {
        const { schema, outside } = await preparedSchema();
        const user = await role();
        await outside.query(`GRANT USAGE ON SCHEMA "${schema.replaceAll('"', '""')}" TO ${user.user}`);
        await outside.query(
          `GRANT SELECT, INSERT, UPDATE, DELETE ON auth_store, config_store, sync_marker, sync_tombstones, sync_backup, sync_written, sync_history, sync_pruned, sync_rejected, sync_config_history TO ${user.user}`,
        );
        const store = open(dsn(user), schema);
        expect(await store.prepare({ id: 'other', format: 1 })).toEqual(MARKER);
        expect((await store.commit([create('a.json', credential('a'))]))[0]?.kind).toBe('done');
      });

      test('rows that a policy may hide are not taken for deleted', async () => {
        const { schema, outside } = await preparedSchema();
        const user = await role();
        await outside.query(`GRANT USAGE ON SCHEMA "${schema.replaceAll('"', '""')}" TO ${user.user}`);
        await outside.query(
          `GRANT SELECT ON auth_store, config_store, sync_marker, sync_tombstones, sync_backup, sync_written, sync_history, sync_pruned, sync_rejected, sync_config_history TO ${user.user}`,
        );
        await outside.query('ALTER TABLE auth_store ENABLE ROW LEVEL SECURITY');
        const error = await failure(() => open(dsn(user), schema).list());
        expect(error).toMatchObject({ kind: 'refused' });
        expect(error.message).toMatch(/Row level security/);
      });

      test('a server that only lets us read refuses, and nothing is half-written', async () => {
        const { schema } = await preparedSchema();
        const url = dsn({ query: 'default_transaction_read_only=on' });
        const [outcome] = await open(url, schema).commit([create('a.json', credential('a'))]);
        if (outcome?.kind !== 'failed') throw new Error(outcome?.kind);
        expect(decent(outcome.error)).toMatchObject({ kind: 'refused' });
        expect(outcome.error.message).toMatch(/only lets us read/);
        const error = await failure(() => open(url, freshSchema()).prepare(MARKER));
        expect(error.message).toMatch(/only lets us read/);
      });
    });
  },
);
