import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import {
  asNobody,
  command,
  credential,
  credentials,
  done,
  expectInStep,
  type Home,
  held,
  isKept,
  KINDS,
  NOBODY,
  put,
  run,
  stored,
  sync,
  test,
  texts,
  tree,
} from './world.ts';

const login = (more: Readonly<Record<string, unknown>> = {}) => credential('me@example.com', 0, more);
const nested = (depth: number) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`) as unknown;

describe('beside a good login, a file that', () => {
  const invalid: readonly (readonly [string, Buffer, RegExp])[] = [
    ['was cut short', login().subarray(0, 200), /is not valid JSON \(cut short/],
    ['is empty', Buffer.alloc(0), /is empty/],
    ['has nothing but white space', Buffer.from(' \n'), /is empty/],
    ['is a list', Buffer.from('[{"type":"claude"}]'), /is not a JSON object/],
    ['is a number', Buffer.from('42'), /is not a JSON object/],
    ['is null', Buffer.from('null'), /is not a JSON object/],
    ['has no type', login({ type: undefined }), /has no "type"/],
    ['has a type that is no text', login({ type: 1 }), /has no "type"/],
    ['is binary', Buffer.from([0, 255, 254, 1, 2, 128]), /is not UTF-8 text/],
    ['is UTF-16', Buffer.from(`\ufeff${login()}`, 'utf16le'), /is not UTF-8 text/],
    ['is nested deep', login({ deep: nested(1_000) }), /nests deeper than \d+ levels/],
    ['is nested a hundred thousand deep', Buffer.from('['.repeat(100_000)), /nests deeper than \d+ levels/],
    ['is of 5 MB', login({ padding: 'x'.repeat(5_000_000) }), /is 5000\d+ bytes long, more than/],
  ];

  test.for(invalid)('%s is named, stays as it is, and goes nowhere', async ([, bytes, reason], { world }) => {
    const home = await world.home();
    const good = credentials('good');
    await put(home.authDir, { ...good, 'bad.json': bytes });
    const before = (await tree(join(home.authDir, 'bad.json'))).join();
    const { code, stderr } = await sync(home);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(new RegExp(`^warning: bad\\.json \\(auth dir\\) ${reason.source}`, 'm'));
    expect(stderr.match(/^.*bad\.json/gm)).toHaveLength(1);
    expect((await tree(join(home.authDir, 'bad.json'))).join()).toBe(before);
    expect(await stored(world.store, 'auths/')).toEqual(texts(good));
    expect(await stored(world.store, 'backup/auths/')).toEqual(texts(good));
  });

  const valid: readonly (readonly [string, Buffer])[] = [
    ['starts with a byte order mark', Buffer.from(`\ufeff${login()}\n`)],
    [
      'has CRLF and unknown fields in any order',
      Buffer.from('{\r\n"z":1.50,\r\n"type":"x","a":"\\u00e9"}\r\n'),
    ],
    ['has a key twice', Buffer.from('{"type":"old","email":"a","type":"claude","email":"b"}')],
    ['has numbers that lose digits when they are read', Buffer.from('{"type":"x","n":12345678901234567890}')],
    ['has a field called __proto__', Buffer.from('{"type":"x","__proto__":{"a":1}}')],
  ];

  test.for(valid)('%s is a login like any other, byte for byte', async ([, bytes], { world }) => {
    const laptop = await world.home('laptop');
    const server = await world.home('server');
    const files = { ...credentials('good'), 'odd.json': bytes };
    await put(laptop.authDir, files);
    await done(sync(laptop));
    await done(sync(server));
    await expectInStep(world, [laptop, server], files);
  });

  const unusual: readonly (readonly [
    string,
    (path: string, home: Home) => Promise<unknown> | unknown,
    RegExp,
  ])[] = [
    [
      'is a link to a credential elsewhere',
      async (path, home) => {
        await put(home.path, { 'elsewhere.json': login() });
        symlinkSync(join(home.path, 'elsewhere.json'), path);
      },
      /is a symbolic link, which is not followed/,
    ],
    ['is a link to nothing', (path) => symlinkSync('/nowhere', path), /is a symbolic link/],
    ['is a folder', (path) => mkdirSync(path), /is a folder/],
    ['is a named pipe', (path, home) => command(home, ['mkfifo', path]), /is a named pipe/],
    ['is a socket', (path) => listen(path), /is a socket/],
  ];

  test.for(unusual)(
    '%s is named, stays as it is, and holds nobody up',
    async ([, make, reason], { world }) => {
      const home = await world.home();
      const good = credentials('good');
      await put(home.authDir, good);
      const made = await make(join(home.authDir, 'odd.json'), home);
      if (made instanceof Function) world.after(made as () => unknown);
      const before = await tree(join(home.authDir, 'odd.json'));
      const started = Date.now();
      for (const program of ['backup', 'hydrate'] as const) {
        const { code, stderr } = await run(home, program);
        expect(code, stderr).toBe(1);
        expect(stderr).toMatch(new RegExp(`^warning: odd\\.json \\(auth dir\\) ${reason.source}`, 'm'));
        expect(stderr).toMatch(/`(cp -L|mv|rmdir) \S+odd\.json/);
      }
      expect(Date.now() - started).toBeLessThan(20_000);
      expect(await tree(join(home.authDir, 'odd.json'))).toEqual(before);
      expect(await stored(world.store, 'auths/')).toEqual(texts(good));
    },
  );

  test('the store has too is not replaced if it is a link or a folder here', async ({ world }) => {
    const laptop = await world.home('laptop');
    const files = credentials('a', 'b', 'c');
    await put(laptop.authDir, files);
    await done(sync(laptop));
    const server = await world.home('server');
    const target = join(server.path, 'target');
    writeFileSync(target, 'mine');
    symlinkSync(target, join(server.authDir, 'a.json'));
    mkdirSync(join(server.authDir, 'b.json'));
    const { code, stderr } = await sync(server);
    expect(code).toBe(1);
    expect(stderr).toMatch(/a\.json .*symbolic link/);
    expect(stderr).toMatch(/b\.json .*folder/);
    expect(held(server.authDir)).toEqual(texts({ 'c.json': files['c.json'] ?? Buffer.alloc(0) }));
    expect(held(server.path)).toHaveProperty(['target'], 'mine');
    expect(await stored(world.store, 'auths/')).toEqual(texts(files));
  });

  test('is a link in a folder’s place leads nowhere', async ({ world }) => {
    const home = await world.home();
    await put(home.path, { 'private/key.json': login() });
    symlinkSync(join(home.path, 'private'), join(home.authDir, 'team'));
    await put(home.authDir, credentials('good'));
    const { code, stderr } = await sync(home);
    expect(code).toBe(1);
    expect(stderr).toMatch(/team .*is a symbolic link to a folder, which is not followed/);
    expect(Object.keys(await stored(world.store, 'auths/'))).toEqual(['good.json']);
  });

  test.skipIf(NOBODY === undefined)('cannot be read is neither copied nor deleted', async ({ world }) => {
    const home = await world.home();
    const files = credentials('a', 'b', 'c');
    await put(home.authDir, files);
    await done(asNobody(world, home, 'backup'));
    await expectInStep(world, [home], files);
    chmodSync(join(home.authDir, 'a.json'), 0);
    const { code, stderr } = await asNobody(world, home, 'backup');
    expect(code).toBe(1);
    expect(stderr).toMatch(/a\.json \(auth dir\) cannot be read \(EACCES\)/);
    await expectInStep(world, [home], files);
  });

  test('is hidden, temporary or of another kind is passed over in silence', async ({ world }) => {
    const home = await world.home();
    const good = credentials('good');
    const others = [
      '.hidden.json',
      '.git/x.json',
      'a.json.tmp',
      'a.json~',
      '.a.json.swp',
      'x.cds',
      'logs/main.log',
      'A.JSON',
    ];
    await put(home.authDir, { ...good, ...Object.fromEntries(others.map((name) => [name, login()])) });
    const { stderr } = await done(sync(home));
    expect(stderr).not.toMatch(/warning|\.hidden|\.git|\.tmp|~|\.swp|\.cds|A\.JSON/);
    expect(await stored(world.store, 'auths/')).toEqual(texts(good));
  });
});

describe('a login that was good, and whose file', () => {
  test.for([
    ['was emptied', Buffer.alloc(0)],
    ['was cut short', login().subarray(0, 100)],
    ['was overwritten with garbage', Buffer.from([1, 2, 3, 0xff])],
  ] as const)(
    '%s a moment ago stays good everywhere else; after a minute it is put back',
    async ([, damage], { world }) => {
      const laptop = await world.home('laptop');
      const server = await world.home('server');
      const files = credentials('a', 'b');
      await put(laptop.authDir, files);
      for (const home of [laptop, server]) await done(sync(home));

      await put(laptop.authDir, { 'a.json': damage });
      const { code, stderr } = await run(laptop, 'backup');
      expect(code).toBe(1);
      expect(stderr).toMatch(/a\.json \(auth dir\) is /);
      await expectInStep(world, [server], files);

      const ago = new Date(Date.now() - 90_000);
      utimesSync(join(laptop.authDir, 'a.json'), ago, ago);
      await done(run(laptop, 'backup'));
      await expectInStep(world, [laptop, server], files);
      expect(damage.length === 0 || (await isKept(world, damage, [laptop]))).toBe(true);
    },
  );
});

describe.each(KINDS)('names, with a store (%s)', (kind) => {
  test.override({ kind });

  test('of any kind that a file can have go there and back, are rotated and deleted', async ({ world }) => {
    const names = [
      'with space.json',
      ' leading and trailing .json',
      `quotes'"\`.json`,
      'percent%20%2F%.json',
      'plus+and&=?#.json',
      '*[glob]?{a,b}.json',
      '$(touch x);|<>.json',
      '-leading-dash.json',
      'trailing..json',
      'üñí-日本語-🙂.json',
      'claude-me@example.com.json',
      'team/nested/deep.json',
      `${'n'.repeat(250)}.json`,
      `${'é'.repeat(125)}.json`,
      'CASE.json',
      'case.json',
      // One name to the eye, in both forms of Unicode; and what is no file name on Windows alone.
      'caf\u00e9.json',
      'cafe\u0301.json',
      'CON.json',
      'nul.json',
    ];
    const files = Object.fromEntries(names.map((name) => [name, credential(name)]));
    const laptop = await world.home('laptop');
    const server = await world.home('server');
    await put(laptop.authDir, files);
    await done(run(laptop, 'backup'));
    await done(run(server, 'hydrate'));
    const sorted = Object.fromEntries(Object.entries(files).sort());
    await expectInStep(world, [laptop, server], sorted);

    const rotated = Object.fromEntries(names.map((name) => [name, credential(name, 1)]));
    await put(laptop.authDir, rotated);
    await done(sync(laptop));
    await done(sync(server));
    await expectInStep(world, [laptop, server], rotated);

    // Half of them, which the guard lets pass.
    const left = Object.entries(rotated).filter((__, index) => index % 2 === 0);
    for (const name of names.filter((__, index) => index % 2 === 1)) await rm(join(laptop.authDir, name));
    await done(sync(laptop));
    await done(sync(server));
    await expectInStep(world, [laptop, server], Object.fromEntries(left));
  });
});

/** A socket at this path; gives what ends it. */
function listen(path: string): Promise<() => void> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve(() => server.close()));
  });
}

test('a login in a folder with the name of a deleted one: named with what to do, and the others go on', async ({
  world,
}) => {
  const home = await world.home();
  await put(home.authDir, credentials('a', 'b', 'c'));
  await done(sync(home));
  await rm(join(home.authDir, 'a.json'));
  await done(sync(home));
  await put(home.authDir, { 'a.json/d.json': credential('d@example.com') });
  await sync(home);
  await rm(join(home.authDir, 'a.json'), { recursive: true });
  await put(home.authDir, credentials('e'));
  const ended = await sync(home);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(
    /a\.json\/d\.json cannot be recorded in .*a credential a\.json too.* Rename the folder a\.json /,
  );
  expect(await stored(world.store, 'auths/')).toHaveProperty(['e.json']);
});
