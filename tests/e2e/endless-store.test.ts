/** A store that somebody filled up: a run ends soon, in little memory, says so in few lines, and nothing is lost. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { git, makeRepository } from '../support/git.ts';
import { freshSchema, postgres, postgresServer, schemaFromOutside } from '../support/postgres-outside.ts';
import {
  credential,
  credentials,
  done,
  type Fault,
  type Home,
  held,
  put,
  run,
  s3Server,
  sync,
  test,
  texts,
  type World,
} from './world.ts';

/** One more than a store may have. */
const TOO_MANY = 100_001;

/** `make test` tries what is quick; STORE_FAULTS=all tries all. */
const ALL = process.env.STORE_FAULTS === 'all';
const rarer = test.skipIf(!ALL);
const MILLION = ALL ? 1_000_000 : TOO_MANY;

/** Node itself takes some 40 MB; with less than this even a store of a few credentials would be too much. */
const LITTLE_MEMORY = { env: { NODE_OPTIONS: '--max-old-space-size=256' }, timeoutMs: 120_000 };

/** Every program leaves a home alone whose store is endless, and says so once. */
async function expectLeftAlone(home: Home, said = /more than 100,000 objects below/): Promise<void> {
  const before = held(home.authDir);
  for (const program of ALL ? (['hydrate', 'backup'] as const) : (['backup'] as const)) {
    const { code, stderr } = await run(home, program, [], LITTLE_MEMORY);
    expect(code, stderr.slice(0, 2_000)).toBe(1);
    expect(stderr).toMatch(said);
    expect(stderr.length).toBeLessThan(2_000);
    expect(held(home.authDir)).toEqual(before);
  }
}

describe('a directory store', () => {
  async function filled(world: World, below: string, count: number, name: (index: number) => string) {
    const home = await world.home();
    await put(home.authDir, credentials('a', 'b'));
    await done(sync(home));
    const directory = join(world.root, 'store', below);
    await mkdir(directory, { recursive: true });
    for (let index = 0; index < count; index += 500)
      await Promise.all(
        Array.from({ length: Math.min(500, count - index) }, (_, step) =>
          writeFile(join(directory, name(index + step)), ''),
        ),
      );
    return home;
  }

  rarer('of a hundred thousand files', { timeout: 180_000 }, async ({ world }) => {
    const home = await filled(world, 'auths', TOO_MANY, (index) => `${index}.json`);
    await expectLeftAlone(home);
  });

  test('of names that no file should have is told in a few lines', async ({ world }) => {
    const home = await filled(world, 'auths', 300, (index) => `\u001b[2J${index}.json`);
    const { code, stderr, stdout } = await sync(home, [], LITTLE_MEMORY);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^warning: 200 more like these; `--json` has all of them\.$/m);
    expect(stderr.split('\n').length).toBeLessThan(150);
    expect(stdout).toBe('');
    const json = JSON.parse((await sync(home, ['--json'], LITTLE_MEMORY)).stdout);
    expect(json.problems).toHaveLength(300);
  });
});

describe.skipIf(!postgresServer)('a PostgreSQL store', () => {
  async function filled(world: World, fill: string): Promise<Home> {
    const schema = freshSchema().replaceAll(/\W/g, '_');
    const outside = schemaFromOutside(schema);
    world.after(outside.remove);
    const variables = { PGSTORE_DSN: postgres().uri, PGSTORE_SCHEMA: schema };
    const home = await world.home('laptop', { store: { kind: 'variables', variables } });
    await put(home.authDir, credentials('a', 'b'));
    await done(sync(home));
    await outside.query(fill);
    return home;
  }
  const rows = (count: number) => `FROM generate_series(1, ${count}) AS n`;

  test('of a million rows', { timeout: 180_000 }, async ({ world }) => {
    const home = await filled(
      world,
      `INSERT INTO auth_store (id, content) SELECT n || '.json', '{"type":"x"}' ${rows(MILLION)}`,
    );
    await expectLeftAlone(home);
  });

  rarer('of a million tombstones', { timeout: 180_000 }, async ({ world }) => {
    const home = await filled(
      world,
      `INSERT INTO sync_tombstones (id, content) SELECT n || '.json', '{}' ${rows(MILLION)}`,
    );
    await expectLeftAlone(home);
  });

  rarer('with a million versions of one credential', { timeout: 180_000 }, async ({ world }) => {
    const home = await filled(
      world,
      `INSERT INTO sync_history (id, version, content, host, reason, replaces)
       SELECT 'a.json', encode(sha256(n::text::bytea), 'hex'), '', 'h', 'r', '{}' ${rows(MILLION)};
       UPDATE auth_store SET content = content || '{"disabled": true}' WHERE id = 'a.json'`,
    );
    await expectLeftAlone(home, /more than 250,000 objects below/);
  });

  test('with words and names of megabytes', async ({ world }) => {
    const home = await filled(
      world,
      `WITH words AS (
         INSERT INTO sync_history (id, version, content, host, reason, replaces)
         SELECT 'a.json', encode(sha256(n::text::bytea), 'hex'), '', repeat('h', 10000000), repeat('r', 10000000),
           array_fill('x'::text, ARRAY[100000])
         ${rows(30)})
       INSERT INTO auth_store (id, content) SELECT repeat('n', 200000) || n || '.json', '{"type":"x"}' ${rows(300)}`,
    );
    const fresh = credential('a@example.com', 5);
    await put(home.authDir, { 'a.json': fresh });
    const { code, stderr } = await sync(home, [], LITTLE_MEMORY);
    expect(code, stderr.slice(0, 2_000)).toBe(1);
    expect(stderr).toMatch(/has a part of more than 255 bytes/);
    expect(stderr.length).toBeLessThan(200_000);
    expect(held(home.authDir)['a.json']).toBe(String(fresh));
    const history = await run(home, 'cliproxyapi-sync', ['history', 'a.json'], LITTLE_MEMORY);
    expect(history.code, history.stderr.slice(0, 2_000)).toBe(0);
  });
});

describe('a Git store', () => {
  /** A repository whose branch has this tree; `make` gives the tree's id. */
  async function filled(world: World, make: (repository: string, blob: string) => string): Promise<Home> {
    const repository = join(world.root, 'logins.git');
    await makeRepository(repository);
    const variables = { GITSTORE_GIT_URL: `file://${repository}` };
    const home = await world.home('laptop', { store: { kind: 'variables', variables } });
    await put(home.authDir, credentials('a', 'b'));
    await done(sync(home));
    const word = (bytes: Buffer) => bytes.toString().trim();
    const blob = word(git(repository, ['hash-object', '-w', '--stdin'], { input: Buffer.from('{}') }));
    const auths = make(repository, blob);
    const tree = word(git(repository, ['mktree'], { input: Buffer.from(`040000 tree ${auths}\tauths\n`) }));
    const commit = word(git(repository, ['commit-tree', '-m', 'many', tree]));
    git(repository, ['update-ref', 'refs/heads/master', commit]);
    return home;
  }
  const treeOf = (repository: string, lines: readonly string[]) =>
    git(repository, ['mktree'], { input: Buffer.from(`${lines.join('\n')}\n`) })
      .toString()
      .trim();

  rarer('of a hundred thousand files', { timeout: 180_000 }, async ({ world }) => {
    const home = await filled(world, (repository, blob) =>
      treeOf(
        repository,
        Array.from({ length: TOO_MANY }, (_, index) => `100644 blob ${blob}\t${index}.json`),
      ),
    );
    await expectLeftAlone(home);
  });

  test('that takes a kilobyte and lists without end', { timeout: 180_000 }, async ({ world }) => {
    const home = await filled(world, (repository, blob) => {
      let tree = treeOf(repository, [`100644 blob ${blob}\tx.json`]);
      // Ten times itself, twelve times over.
      for (let depth = 0; depth < 12; depth++) {
        const below = tree;
        tree = treeOf(
          repository,
          Array.from({ length: 10 }, (_, index) => `040000 tree ${below}\t${index}`),
        );
      }
      return tree;
    });
    await expectLeftAlone(home, /lists more files than any store of credentials has/);
  });
});

describe.skipIf(!s3Server)('an S3 store', () => {
  /** Page after page of a thousand keys that are nowhere. */
  function page(prefix: string, token: string | undefined): Fault {
    const start = Number(token ?? 0);
    const contents = Array.from(
      { length: 1_000 },
      (_, index) =>
        `<Contents><Key>${prefix}${start + index}.json</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>` +
        `<ETag>"${String(start + index).padStart(32, '0')}"</ETag><Size>10</Size></Contents>`,
    );
    return {
      kind: 'body',
      type: 'application/xml',
      body:
        `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>true</IsTruncated>` +
        `<NextContinuationToken>${start + 1_000}</NextContinuationToken>${contents.join('')}</ListBucketResult>`,
    };
  }

  const prefixes = ['auths/', 'backup/auths/', 'sync/tombstones/', 'sync/history/a.json/'];
  test.for(ALL ? prefixes : prefixes.slice(-1))(
    'with pages without end below %s',
    { timeout: 180_000 },
    async (prefix, { s3 }) => {
      const home = await s3.home('laptop', { store: s3.throughNetwork });
      const files = credentials('a', 'b');
      await put(home.authDir, files);
      await done(sync(home));
      // So that its history is looked at.
      await s3.store.write('auths/a.json', credential('a@example.com', 5));
      s3.network.spoil(({ kind, key, query }) =>
        kind === 'LIST' && key === prefix ? page(prefix, query['continuation-token']) : undefined,
      );
      await expectLeftAlone(home);
      s3.network.spoil(() => undefined);
      await done(sync(home));
      expect(held(home.authDir)['b.json']).toEqual(texts(files)['b.json']);
    },
  );
});
