import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { postgresTarget } from '../../ts/src/settings/postgres-target.ts';
import { type PostgresOptions, postgresStore } from '../../ts/src/stores/postgres/store.ts';
import { type Store, StoreError } from '../../ts/src/stores/store.ts';
import { memoryInMemory } from '../support/memory.ts';
import { findPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';
import {
  type Certificates,
  type Fault,
  makeCertificates,
  type NetworkOptions,
  type PostgresNetwork,
  startPostgresNetwork,
} from '../support/postgres-network.ts';
import {
  freshSchema,
  type OutsideSchema,
  postgresServer,
  schemaFromOutside,
} from '../support/postgres-outside.ts';
import { create, credential, current, entry, named, readAll, versionIn } from './suite.ts';

const MARKER = { id: 'the-marker', format: 1 };
const QUICK = { connect: 1_500, statement: 1_500, patience: 8_000 };

// A server of its own: it is killed, and its roles are bent.
describe.skipIf(!postgresServer)('the PostgreSQL store, when things go wrong', () => {
  let server: PostgresServer;
  let admin: OutsideSchema;
  let certificates: Certificates;
  const cleanUps: (() => unknown)[] = [];
  beforeAll(async () => {
    const programs = findPostgres();
    if (!programs) throw new Error('there is no PostgreSQL');
    server = await startPostgres(programs);
    certificates = await makeCertificates();
    admin = schemaFromOutside('public', server.uri);
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });
  afterAll(async () => {
    await admin?.remove();
    await server?.stop();
    await certificates?.remove();
  });

  // --- What tests are made of ---------------------------------------------------------------------------------

  const after = <T extends { close(): unknown } | { stop(): unknown } | { remove(): unknown }>(it: T): T => {
    cleanUps.push(() => ('close' in it ? it.close() : 'stop' in it ? it.stop() : it.remove()));
    return it;
  };
  const outsideOf = (schema: string) => after(schemaFromOutside(schema, server.uri));
  const networkWith = async (options?: NetworkOptions) =>
    after(await startPostgresNetwork(server.port, options));
  const dsn = (
    parts: {
      user?: string;
      password?: string;
      host?: string;
      port?: number;
      database?: string;
      query?: string;
    } = {},
  ) => {
    const { user = server.user, password = server.password, host = 'localhost', port = server.port } = parts;
    return `postgres://${user}:${password}@${host}:${port}/${parts.database ?? 'postgres'}?${parts.query ?? ''}`;
  };
  function open(url: string, schema: string | undefined, more: Partial<PostgresOptions> = {}): Store {
    const target = postgresTarget(url, () => undefined);
    return after(postgresStore({ target, schema, timeouts: QUICK, ...more }, memoryInMemory()));
  }
  async function preparedSchema() {
    const schema = freshSchema();
    const outside = outsideOf(schema);
    await open(server.uri, schema).prepare(MARKER);
    return { schema, outside };
  }
  /** A role that may log in, with what else is said. */
  async function role(more = '') {
    const user = `r${randomBytes(4).toString('hex')}`;
    const password = `pw-${randomBytes(4).toString('hex')}`;
    await admin.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}' ${more}`);
    return { user, password };
  }
  async function failure(run: () => Promise<unknown>): Promise<StoreError> {
    try {
      await run();
    } catch (error) {
      if (error instanceof StoreError) return decent(error);
      throw error;
    }
    throw new Error('it did not fail');
  }
  /** What holds for every message. */
  function decent(error: StoreError): StoreError {
    const text = `${error.message} ${error.remedy} ${String(error.cause ?? '')}`;
    expect(text).not.toMatch(/admin-secret|pw-[0-9a-f]|access_token|undefined|\[object/);
    expect(error.message).toMatch(/^(Cannot|No server|Row level|The config)/);
    expect(error.remedy).not.toBe('');
    return error;
  }

  // --- Ways in ------------------------------------------------------------------------------------------------

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

  // --- Rights, and other people's tables ----------------------------------------------------------------------

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

  // --- Contents -----------------------------------------------------------------------------------------------

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
      const [kept] = await readAll(store, [{ area: 'history', name: named('bad.json'), id: versionIn(bad) }]);
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

  // --- The network, and the server's end ----------------------------------------------------------------------

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

    test.each(['lost', 'lost-answer'] as const)('(%s) in a commit: it is carried out once', async (fault) => {
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
    });

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
      expect(network.startups.map((parameters) => 'statement_timeout' in parameters)).toEqual([true, false]);
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
        .query("WITH l AS (SELECT FROM auth_store WHERE id = 'z.json' FOR UPDATE) SELECT pg_sleep(9) FROM l")
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

  // --- Others who write ---------------------------------------------------------------------------------------

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

  // --- Round trips --------------------------------------------------------------------------------------------

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

  function outsideName(): string {
    const schema = freshSchema();
    outsideOf(schema);
    return schema;
  }

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
});
