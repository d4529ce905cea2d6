/** What a PostgreSQL server holds, allows and answers that is not as it should be, and ways to reach it. */
import { randomBytes } from 'node:crypto';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { postgresTarget } from '../../ts/src/settings/postgres-target.ts';
import { type PostgresOptions, postgresStore } from '../../ts/src/stores/postgres/store.ts';
import type { Store } from '../../ts/src/stores/store.ts';
import { memoryInMemory } from '../support/memory.ts';
import {
  type Certificates,
  makeCertificates,
  type NetworkOptions,
  startPostgresNetwork,
} from '../support/postgres-network.ts';
import {
  freshSchema,
  type OutsideSchema,
  postgres,
  postgresServer,
  schemaFromOutside,
} from '../support/postgres-outside.ts';
import {
  create,
  credential,
  current,
  entry,
  errorOf,
  MARKER,
  named,
  readAll,
  versionIn,
} from './vocabulary.ts';

const QUICK = { connect: 1_500, statement: 3_000, patience: 500 };
const TABLES =
  'auth_store, config_store, sync_marker, sync_tombstones, sync_backup, sync_written, sync_history, sync_pruned, sync_rejected, sync_config_history';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function open(url: string, schema: string | undefined, more: Partial<PostgresOptions> = {}): Store {
  const target = postgresTarget(url, () => undefined);
  const store = postgresStore({ target, schema, timeouts: QUICK, ...more }, memoryInMemory());
  cleanUps.push(() => store.close());
  return store;
}

async function prepared(): Promise<{ store: Store; schema: string; outside: OutsideSchema }> {
  const schema = freshSchema();
  const outside = schemaFromOutside(schema);
  cleanUps.push(() => outside.remove());
  const store = open(postgres().uri, schema);
  await store.prepare(MARKER);
  return { store, schema, outside };
}

const dsn = (
  parts: { user?: string; password?: string; host?: string; port?: number; query?: string } = {},
) => {
  const { user, password, port } = { ...postgres(), ...parts };
  return `postgres://${user}:${password}@${parts.host ?? 'localhost'}:${port}/postgres?${parts.query ?? ''}`;
};

async function network(options?: NetworkOptions) {
  const made = await startPostgresNetwork(postgres().port, options);
  cleanUps.push(() => made.stop());
  return made;
}

/** A role that may log in and has these rights. */
async function role(outside: OutsideSchema, ...grants: readonly string[]) {
  const user = `r${randomBytes(4).toString('hex')}`;
  const password = `pw-${randomBytes(4).toString('hex')}`;
  await outside.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
  for (const grant of grants) await outside.query(`GRANT ${grant} TO ${user}`);
  return { user, password };
}
const usage = (schema: string) => `USAGE ON SCHEMA "${schema.replaceAll('"', '""')}"`;

describe.skipIf(!postgresServer)('the tables', () => {
  test('that this user may not read are not taken for empty ones', async () => {
    const { schema, outside } = await prepared();
    const store = open(dsn(await role(outside, usage(schema))), schema);
    for (const look of [
      () => store.glance?.() ?? Promise.resolve(),
      () => store.history(),
      () => store.pruned(),
      () => store.readConfig(),
      () => store.configHistory(),
      () => readAll(store, [current('a.json')]),
    ])
      expect(await errorOf(look())).toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/has no right to do so/),
      });
  });

  test('that are not there are empty', async () => {
    const store = open(postgres().uri, freshSchema());
    expect(await store.configHistory()).toEqual([]);
    expect(await store.pruned()).toEqual(new Map());
    expect(await store.history()).toEqual([]);
    expect(await store.glance?.()).toBe('absent');
  });

  test('may hold anything: what is no name and no version is none of ours', async () => {
    const { store, outside } = await prepared();
    const id = versionIn(credential('a'));
    await store.commit([create('a.json', credential('a'))]);
    await store.prune([{ name: named('a.json'), versions: [], superseded: [id] }]);
    await outside.query(
      `INSERT INTO sync_history (id, version, content, host, reason, replaces) VALUES ('../x.json', '${id}', '', '', '', '{}'), ('a.json', 'none', '', '', '', '{}')`,
    );
    await outside.query(`INSERT INTO sync_pruned (id, version, position) VALUES ('../x.json', '${id}', 1)`);
    expect((await store.history()).map(({ name }) => name)).toEqual(['a.json']);
    expect(await store.pruned()).toEqual(new Map([['a.json', [id]]]));
  });

  test('hold a config that is too large for one, or are given one that they cannot hold', async () => {
    const { store, outside } = await prepared();
    await outside.upsert('config_store', 'config', '#'.repeat(1024 * 1024 + 1));
    expect((await errorOf(store.readConfig())).message).toMatch(/has 1048577 bytes, which is no config/);
    for (const bytes of [Buffer.from('port: \0'), Buffer.from([0xff])])
      expect((await errorOf(store.commitConfig({ bytes, seen: undefined, keep: [] }))).message).toMatch(
        /is not UTF-8 text without NUL/,
      );
  });
});

describe.skipIf(!postgresServer)('a try-out', () => {
  test('where some tables are missing is refused to who may not make them', async () => {
    const { store, schema, outside } = await prepared();
    await outside.query('DROP TABLE sync_rejected');
    await store.tryOut?.();
    const user = await role(outside, usage(schema), `ALL ON ${TABLES.replace('sync_rejected, ', '')}`);
    expect((await errorOf(open(dsn(user), schema).tryOut?.() ?? Promise.resolve())).message).toMatch(
      /lacks some of our tables, and this user may not make them/,
    );
  });
});

describe.skipIf(!postgresServer)('a commit', () => {
  test('of thousands, while the server goes away, tells what was done, and tries the others no more', async () => {
    const { schema, outside } = await prepared();
    const { port, spoil, asked } = await network();
    const store = open(dsn({ port }), schema);
    await store.list();
    let commits = 0;
    spoil((text) => (text.includes('sync_history') && ++commits > 1 ? 'lost' : undefined));
    const before = asked.length;
    const names = Array.from({ length: 2_001 }, (_, index) => `${index}.json`);
    const outcomes = await store.commit(
      names.map((name) => ({ name: named(name), keep: [entry(credential(name))] })),
    );
    const kinds = outcomes.map(({ kind }) => kind);
    expect([kinds.indexOf('failed'), kinds.lastIndexOf('done')]).toEqual([500, 499]);
    expect(await outside.query('SELECT id FROM sync_history')).toHaveLength(500);
    // The first portion, and the second with its retries.
    expect(asked.length - before).toBeLessThan(12);
  });

  /** So long, and so random, that no index takes it. */
  const LONG = `${randomBytes(6_000).toString('hex')}.json`;

  test('of a name that the server cannot hold even in history fails alone', async () => {
    const { store } = await prepared();
    const outcomes = await store.commit([create(LONG, credential('x')), create('a.json', credential('a'))]);
    expect(outcomes).toMatchObject([
      { kind: 'failed', step: 'keep', error: { kind: 'refused' } },
      { kind: 'done' },
    ]);
  });

  test('whose content the server cannot hold, and that it goes away from then, says what happened', async () => {
    const { schema } = await prepared();
    const { port, spoil } = await network();
    const store = open(dsn({ port }), schema);
    await store.list();
    let commits = 0;
    spoil((text) => (text.includes('sync_history') && ++commits > 1 ? 'lost' : undefined));
    const bad = Buffer.from('{"type":"claude","access_token":"a\\u0000b"}');
    expect((await errorOf(store.commit([create('bad.json', bad)]))).kind).toBe('unreachable');
  });
});

describe.skipIf(!postgresServer)('pruning', () => {
  test('takes several credentials at once, one that comes twice in its order, and thousands in portions', async () => {
    const { store, outside } = await prepared();
    const versions = (text: string, count: number) =>
      Array.from({ length: count }, (_, index) => versionIn(credential(`${text} ${index}`)));
    const [one, two, many] = [versions('one', 2), versions('two', 1), versions('many', 15_000)] as const;
    await store.commit([
      { name: named('a.json'), keep: [entry(credential('one 0')), entry(credential('one 1'))] },
      { name: named('b.json'), keep: [entry(credential('two 0'))] },
    ]);
    const prune = (name: string, ids: typeof one, superseded = ids) => ({
      name: named(name),
      versions: ids,
      superseded,
    });
    const entries = [
      prune('a.json', one.slice(0, 1)),
      prune('b.json', two),
      prune('a.json', one.slice(1)),
      prune('c.json', [], many.slice(0, 9_000)),
      prune('d.json', many, []),
    ];
    expect(await store.prune(entries)).toBe(3);
    const pruned = await store.pruned();
    expect([pruned.get(named('a.json')), pruned.get(named('b.json'))]).toEqual([one, two]);
    expect(pruned.get(named('c.json'))).toEqual(many.slice(0, 9_000));
    expect(await outside.query('SELECT id FROM sync_history')).toEqual([]);
  });
});

describe.skipIf(!postgresServer)('the way to the server', () => {
  let certificates: Certificates;
  beforeAll(async () => {
    certificates = await makeCertificates();
  });
  afterAll(() => certificates?.remove());

  test.each(['read-only', 'primary', 'prefer-standby'] as const)(
    'leads to one that is %s, as target_session_attrs asks',
    async (wanted) => {
      const { outside, schema } = await prepared();
      const user = await role(outside, usage(schema), `SELECT ON ${TABLES}`);
      await outside.query(`ALTER ROLE ${user.user} SET default_transaction_read_only = on`);
      const store = open(dsn({ ...user, query: `target_session_attrs=${wanted}` }), schema);
      expect((await store.list()).marker).toEqual(MARKER);
    },
  );

  test.each(['read-only', 'standby'] as const)('leads nowhere where none is %s', async (wanted) => {
    const store = open(dsn({ query: `target_session_attrs=${wanted}&connect_timeout=5` }), freshSchema());
    expect((await errorOf(store.list())).message).toBe(
      `No server that PGSTORE_DSN names is ${wanted}, as its target_session_attrs asks.`,
    );
  });

  test('is the socket of this machine where no host is named, and localhost where there is none', async () => {
    const { port, password, socketDirectory } = postgres();
    const store = () => open(`postgres://postgres:${password}@/postgres?port=${port}`, freshSchema());
    expect((await store().list()).present).toBe(false);
    const socket = join('/tmp', `.s.PGSQL.${port}`);
    await symlink(join(socketDirectory, `.s.PGSQL.${port}`), socket);
    cleanUps.push(() => rm(socket));
    expect((await store().list()).present).toBe(false);
  });

  test('is named in a failure as a person would write it', async () => {
    const failing = async (target: string) => (await errorOf(open(target, 'x').list())).message;
    expect(await failing('hostaddr=::1 port=1 user=ada password=x dbname=x')).toMatch(/ \[::1\]:1/);
    expect(await failing('postgres://ada:x@/x?port=1')).toMatch(/nothing listens at this machine/);
  });

  test('has TLS from its first byte where sslnegotiation=direct asks for that', async () => {
    const made = await network({ tls: certificates });
    const query = `sslmode=require&sslnegotiation=direct`;
    expect((await open(dsn({ port: made.port, query }), freshSchema()).list()).present).toBe(false);
    expect(made.encrypted()).toBe(true);
  });
});
