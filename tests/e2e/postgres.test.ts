import { appendFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import {
  freshSchema,
  type OutsideSchema,
  postgres,
  postgresServer,
  schemaFromOutside,
} from '../support/postgres-outside.ts';
import {
  credential,
  credentials,
  done,
  type Home,
  held,
  nodes,
  put,
  run,
  sync,
  test,
  texts,
  type World,
} from './world.ts';

const CLAUDE = 'claude-me@example.com.json';

describe.skipIf(!postgresServer)('with a PostgreSQL server between two machines', () => {
  interface Schema {
    readonly name: string;
    readonly outside: OutsideSchema;
  }
  function schemaFor(world: World): Schema {
    const name = freshSchema().replaceAll(/\W/g, '_');
    const outside = schemaFromOutside(name);
    world.after(outside.remove);
    return { name, outside };
  }
  async function home(world: World, name: string, schema: Schema, dsn = postgres().uri): Promise<Home> {
    const made = await world.home(name, { store: undefined });
    await appendFile(made.envFile, `PGSTORE_DSN='${dsn}'\nPGSTORE_SCHEMA='${schema.name}'\n`);
    return made;
  }
  /** Contents by name: JSONB keeps neither white space nor the order of keys. */
  const contents = (files: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(files).map(([name, text]) => [name, JSON.parse(text)]));
  async function stored({ outside }: Schema, table = 'auth_store') {
    const rows = await outside.query<{ id: string; content: string }>(
      `SELECT id, ${table === 'auth_store' ? 'content::text' : "convert_from(content, 'UTF8')"} AS content FROM ${table}`,
    );
    return contents(Object.fromEntries(rows.map(({ id, content }) => [id, content])));
  }
  async function expectInStep(
    homes: readonly Home[],
    schema: Schema,
    files: Readonly<Record<string, Uint8Array>>,
  ) {
    const expected = contents(texts(files));
    for (const each of homes) expect(contents(held(each.authDir)), each.name).toEqual(expected);
    expect(await stored(schema)).toEqual(expected);
    expect(await stored(schema, 'sync_backup')).toEqual(expected);
  }

  test('a login made on one is brought to the other, whose rotation comes back; a second run changes nothing', async ({
    world,
  }) => {
    const schema = schemaFor(world);
    const laptop = await home(world, 'laptop', schema);
    const server = await home(world, 'server', schema);
    await done(run(laptop, 'wrapper', ['-claude-login']));
    const files = { [CLAUDE]: Buffer.from(held(laptop.authDir)[CLAUDE] ?? '') };
    await expectInStep([laptop], schema, files);

    const before = await schema.outside.fingerprint();
    await done(run(server, 'hydrate'));
    await expectInStep([laptop, server], schema, files);
    expect((await stat(join(server.authDir, CLAUDE))).mode & 0o777).toBe(0o600);
    await done(sync(laptop));
    await done(sync(server));
    expect(await schema.outside.fingerprint()).toBe(before);

    const soon = new Date(Date.now() + 60_000).toISOString();
    const rotated = { [CLAUDE]: credential('me@example.com', 0, { last_refresh: soon }) };
    await put(server.authDir, rotated);
    await done(run(server, 'backup'));
    await done(sync(laptop));
    await expectInStep([laptop, server], schema, rotated);
  });

  test('what a proxy with its native store on writes is taken over; a deletion is one everywhere', async ({
    world,
  }) => {
    const schema = schemaFor(world);
    const laptop = await home(world, 'laptop', schema);
    const server = await home(world, 'server', schema);
    const files = credentials('a', 'b', 'c', 'd');
    await put(laptop.authDir, files);
    await done(sync(laptop));
    await done(sync(server));
    const rotated = credential('a@example.com', 30);
    const native: Record<string, Buffer> = { ...files, 'a.json': rotated };
    await schema.outside.upsert('auth_store', 'a.json', String(rotated));
    await done(sync(laptop));
    await done(sync(server));
    await expectInStep([laptop, server], schema, native);
    const kept = await schema.outside.query('SELECT version FROM sync_history WHERE id = $1', ['a.json']);
    expect(kept).toHaveLength(2);

    await unlink(join(server.authDir, 'b.json'));
    await done(sync(server));
    await done(sync(laptop));
    const { 'b.json': _, ...left } = native;
    await expectInStep([laptop, server], schema, left);
    expect(await schema.outside.query('SELECT id FROM sync_tombstones')).toEqual([{ id: 'b.json' }]);
  });

  test('a credential that JSONB cannot hold is named, kept in history, and stops no other', async ({
    world,
  }) => {
    const schema = schemaFor(world);
    const laptop = await home(world, 'laptop', schema);
    const bad = Buffer.from('{"type":"claude","access_token":"S3CR3T\\u0000"}');
    const files = credentials('a', 'b');
    await put(laptop.authDir, { ...files, 'bad.json': bad });
    const { code, stderr } = await sync(laptop);
    expect(code).toBe(1);
    expect(stderr).toMatch(/bad\.json/);
    expect(stderr).toMatch(/a JSONB column cannot hold it, since it has a NUL/);
    expect(stderr).toMatch(/Take out of it what is at fault/);
    expect(Object.keys(await stored(schema)).sort()).toEqual(['a.json', 'b.json']);
    expect(held(laptop.authDir)['bad.json']).toBe(String(bad));
    const kept = await schema.outside.query<{ content: Buffer }>(
      "SELECT content FROM sync_history WHERE id = 'bad.json'",
    );
    expect(kept.map(({ content }) => String(content))).toEqual([String(bad)]);
  });

  test.for([
    [
      'a wrong password',
      (uri: string) => uri.replace('admin-secret', 'S3CR3T'),
      1,
      /the password for the user postgres is wrong/,
    ],
    [
      'an unknown database',
      (uri: string) => uri.replace(/postgres$/, 'nosuch'),
      1,
      /there is no database nosuch/,
    ],
    [
      'a server that is down',
      (uri: string) => uri.replace(/:\d+\/postgres$/, ':1/postgres'),
      75,
      /nothing listens at localhost:1 \(connection refused\)/,
    ],
    [
      'no TLS where it is demanded',
      (uri: string) => `${uri}?sslmode=require`,
      78,
      /has no TLS, which the sslmode in PGSTORE_DSN demands/,
    ],
    [
      'a slash in the password',
      (uri: string) => uri.replace('admin-secret', 'S3/CR3T'),
      78,
      /PGSTORE_DSN has an "@" behind its host/,
    ],
    ['words that are none', () => 'host=localhost password=my S3CR3T', 78, /PGSTORE_DSN is neither a URI/],
    [
      'another kind of database',
      () => 'mysql://root:S3CR3T@localhost/x',
      78,
      /PGSTORE_DSN has a scheme other than/,
    ],
  ] as const)(
    '%s: said with its remedy, without the password',
    async ([, change, expected, message], { world }) => {
      const schema = schemaFor(world);
      const files = credentials('a');
      const laptop = await home(world, 'laptop', schema, change(postgres().uri));
      await put(laptop.authDir, files);
      for (const program of ['backup', 'hydrate'] as const) {
        const begun = Date.now();
        const { code, stderr, stdout } = await run(laptop, program);
        expect(stderr).toMatch(message);
        expect(stderr + stdout).not.toMatch(/CR3T/);
        expect(code, stderr).toBe(expected);
        expect(Date.now() - begun).toBeLessThan(10_000);
      }
      expect(held(laptop.authDir)).toEqual(texts(files));
    },
  );

  test.for(nodes('the PostgreSQL store'))('on %s: backup and hydrate', async ([, node], { world }) => {
    const schema = schemaFor(world);
    const files = credentials('a', 'b');
    const laptop = await home(world, 'laptop', schema);
    await put(laptop.authDir, files);
    const { stderr } = await done(run(laptop, 'backup', [], { node }));
    expect(stderr).not.toMatch(/Warning|deprecat/i);
    const server = await home(world, 'server', schema);
    await done(run(server, 'hydrate', [], { node }));
    await expectInStep([laptop, server], schema, files);
  });
});
