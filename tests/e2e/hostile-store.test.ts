/** Whoever may write to the store: what that must not give them on the hosts that share it. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { parseCredential } from '../../ts/src/credential/version.ts';
import { ownCache } from '../support/bundle.ts';
import { freshSchema, postgres, postgresServer, schemaFromOutside } from '../support/postgres-outside.ts';
import {
  credential,
  credentials,
  decent,
  done,
  expectInStep,
  type Home,
  held,
  KINDS,
  put,
  run,
  stored,
  sync,
  test,
  texts,
  tree,
  type World,
} from './world.ts';

const EVIL = credential('evil@example.com');
const ID = idOf(EVIL);

function idOf(bytes: Buffer): string {
  const parsed = parseCredential(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.version.id;
}

/** Commands that show what the store holds, each as lines and as JSON. */
const SHOWING = [['status'], ['history'], ['doctor'], ['sync', '--dry-run']].flatMap((command) => [
  command,
  [...command, '--json'],
]);

/** Nothing named so lies outside the auth dirs, the store and what this test itself made. */
async function expectNothingOutside(world: World, home: Home, name: string): Promise<void> {
  const paths = (await tree(world.root)).map((line) => line.split(' ')[0] ?? '');
  const store = join(world.root, 'store');
  expect(paths.filter((path) => path.includes(name) && !path.startsWith(store))).toEqual([]);
  expect(Object.keys(held(home.authDir)).filter((path) => path.includes(name))).toEqual([]);
}

describe.each(KINDS)('a hostile store (%s)', (kind) => {
  test.override({ kind });

  test('whose history has names that climb out heals nothing outside the auth dir', async ({ world }) => {
    const home = await world.home();
    await done(run(home, 'backup'));
    const names = ['../../../evil.json', '../evil.json', '..\\evil.json', 'a/../../evil.json'];
    for (const name of names) {
      const key = `sync/history/${name}/${ID}`;
      // Not every store takes such a name.
      const write = (end: string, bytes: Buffer) =>
        world.store.write(`${key}${end}`, bytes).catch(() => undefined);
      if (kind === 'directory' && name.includes('../')) continue;
      await write('.json', EVIL);
      await write('.meta.json', Buffer.from('{"host":"h","reason":"r","replaces":[]}'));
    }
    for (const program of ['hydrate', 'backup'] as const) {
      const { code, stderr } = await run(home, program);
      expect([0, 1], stderr).toContain(code);
    }
    await expectNothingOutside(world, home, 'evil');
  });

  test('moves no cursor, and ends no command, with what it says of versions and deletions', async ({
    world,
  }) => {
    const home = await world.home();
    const files = credentials('a', 'b', 'c');
    await put(home.authDir, files);
    await done(sync(home));
    const odd = '\u001b[2J\u001b]0;owned\u0007\u202e\r\n\u009b';
    const shown = credential(odd, 0, { type: odd, account_id: odd, odd: { [odd]: odd } });
    await world.store.write('auths/odd.json', shown);
    const buried = {
      format: 1,
      name: 'dead.json',
      version: ID,
      lastRefreshMs: 1e300,
      host: odd,
      time: '2026-01-01T00:00:00Z',
    };
    await world.store.write('sync/tombstones/dead.json', Buffer.from(JSON.stringify(buried)));
    await world.store.write(`sync/history/dead.json/${ID}.json`, EVIL);
    const said = { host: odd, reason: odd, replaces: ['x', ID], arrived: 1e300 };
    await world.store.write(`sync/history/dead.json/${ID}.meta.json`, Buffer.from(JSON.stringify(said)));
    for (const command of SHOWING) {
      const ended = decent(await run(home, 'cliproxyapi-sync', command));
      expect([0, 1], `${command.join(' ')}: ${ended.stderr}`).toContain(ended.code);
    }
    await sync(home);
    expect(held(home.authDir)).toMatchObject(texts(files));
  });

  test.for([
    ['a tombstone', {}],
    ['a tombstone that says it was on purpose', { forgotten: true }],
  ] as const)(
    'with %s for everything deletes nothing, and says how to go on',
    async ([, more], { world }) => {
      const home = await world.home();
      const files = credentials('a', 'b', 'c', 'd');
      await put(home.authDir, files);
      await done(sync(home));
      for (const [name, bytes] of Object.entries(files)) {
        const version = idOf(bytes);
        const refreshed = Date.parse('2026-03-01T23:00:00Z');
        const record = {
          format: 1,
          name,
          version,
          lastRefreshMs: refreshed,
          host: 'x',
          time: '2026-03-02T00:00:00Z',
          ...more,
        };
        await world.store.write(`sync/tombstones/${name}`, Buffer.from(JSON.stringify(record)));
      }
      for (const program of ['hydrate', 'backup'] as const) {
        const { code, stderr } = await run(home, program);
        expect(code, stderr).toBe(1);
        expect(stderr).toMatch(/guard held/);
        expect(held(home.authDir)).toEqual(texts(files));
      }
      await done(run(home, 'cliproxyapi-sync', ['forget', '--yes', ...Object.keys(files)]));
      expect(held(home.authDir)).toEqual({});
    },
  );

  test('with objects without end is read in bounded memory', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    await world.store.write('auths/huge.json', Buffer.alloc(64 * 1024 * 1024, ' '));
    await world.store.write('sync/tombstones/huge.json', Buffer.alloc(8 * 1024 * 1024, '['));
    await world.store.write('auths/deep.json', Buffer.from('['.repeat(1_000_000)));
    const options = { env: { NODE_OPTIONS: '--max-old-space-size=96' } };
    for (const program of ['hydrate', 'backup'] as const) {
      const { code, stderr } = await run(home, program, [], options);
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(/huge\.json/);
      expect(stderr).toMatch(/deep\.json/);
    }
    expect(Object.keys(held(home.authDir))).toEqual(['a.json']);
  });
});

describe.skipIf(!postgresServer)('a hostile store (postgres)', () => {
  test('whose tables hold what is no name and no version writes nothing outside, and spoils no state', async ({
    world,
  }) => {
    const schema = freshSchema().replaceAll(/\W/g, '_');
    const outside = schemaFromOutside(schema);
    world.after(outside.remove);
    const variables = { PGSTORE_DSN: postgres().uri, PGSTORE_SCHEMA: schema };
    const home = await world.home('laptop', { store: { kind: 'variables', variables } });
    await done(run(home, 'backup'));
    const insert =
      'INSERT INTO sync_history (id, version, content, host, reason, replaces) VALUES ($1, $2, $3, $4, $4, $5)';
    for (const name of ['../../../evil.json', '/tmp/evil.json', 'evil\u001b[2J.json'])
      await outside.query(insert, [name, ID, EVIL, '\u001b[2J', ['../../x', 'y']]);
    await outside.query('INSERT INTO sync_pruned (id, version, position) VALUES ($1, $2, 1)', [
      '../evil.json',
      '../x',
    ]);
    for (const program of ['hydrate', 'backup'] as const) await run(home, program);
    await expectNothingOutside(world, home, 'evil');

    // Nor does a version that is none get into what this host remembers, which would make each run a first join.
    const files = credentials('a', 'b', 'c');
    await put(home.authDir, files);
    await done(sync(home));
    const [row] = await outside.query<{ version: string }>(
      "SELECT version FROM sync_history WHERE id = 'a.json'",
    );
    await outside.query("UPDATE sync_history SET replaces = '{x,../y}' WHERE id = 'a.json'");
    await outside.query('INSERT INTO sync_pruned (id, version, position) VALUES ($1, $2, 1)', [
      'a.json',
      'no version',
    ]);
    await outside.upsert('auth_store', 'a.json', String(credential('a@example.com', 7)));
    await done(sync(home));
    const { stderr } = await done(sync(home));
    expect(stderr).not.toMatch(/damaged/);
    expect(row?.version).toMatch(/^[0-9a-f]{64}$/);
    for (const command of SHOWING) decent(await run(home, 'cliproxyapi-sync', command));
  });
});

test('whatever the umask, and wherever: nobody else may read what our programs make', async ({ world }) => {
  const home = await world.home('laptop', { ccs: true, template: 'port: 1\n', proxy: '/bin/true' });
  const server = await world.home('server', { proxy: '/bin/true' });
  await put(home.authDir, { ...credentials('a', 'b', 'c'), 'team/deep/d.json': credential('d') });
  const open = async (each: Home, program: 'sync' | 'hydrate' | 'start') =>
    done(
      run(each, 'cliproxyapi-sync', [program], {
        node: await opener(world),
        env: { XDG_CACHE_HOME: ownCache(each.path) },
      }),
    );
  await open(home, 'sync');
  await open(server, 'hydrate');
  await open(home, 'start');
  await put(home.authDir, { 'a.json': credential('a@example.com', 7) });
  await open(home, 'sync');
  await put(server.authDir, { 'b.json': Buffer.from('no credential') });
  await run(server, 'backup');
  const made = [
    ...(await modes(home.path)),
    ...(await modes(server.path)),
    ...(await modes(join(world.root, 'store'))),
  ];
  // What the test itself made, as a user's own tools would.
  const ours = made.filter(
    ([path]) =>
      !/\/(dotfiles|config\.template\.yaml)|\/(laptop|server)(\/\.[\w-]+){0,1}$|\/objectstore$|cliproxy$|team(\/deep)?$/.test(
        path,
      ),
  );
  const open_ = ours.filter(([, mode]) => (mode & 0o077) !== 0);
  expect(open_.map(([path, mode]) => `${mode.toString(8)} ${path}`)).toEqual([]);
  expect(
    ours.filter(
      ([path, mode]) => /\.json$/.test(path) && (mode & 0o111) !== 0 && !path.includes('/store/sync/'),
    ),
  ).toEqual([]);
  await expectInStep(
    world,
    [home],
    Object.fromEntries(Object.entries(held(home.authDir)).map(([name, text]) => [name, Buffer.from(text)])),
  );
  expect(Object.keys(await stored(world.store, 'auths/'))).toHaveLength(4);
});

/** A Node that is started with umask 000. */
async function opener(world: World): Promise<string> {
  const path = join(world.root, 'open-node');
  const { writeFile } = await import('node:fs/promises');
  await writeFile(path, `#!/bin/sh\numask 000\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  return path;
}

async function modes(directory: string): Promise<(readonly [path: string, mode: number])[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return Promise.all(
    entries.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, (await lstat(path)).mode & 0o7777] as const;
    }),
  );
}
