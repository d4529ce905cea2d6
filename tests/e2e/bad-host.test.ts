import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { STAND_IN_PROXY } from '../support/bundle.ts';
import {
  asNobody,
  baseOf,
  credential,
  credentials,
  done,
  expectInStep,
  held,
  NOBODY,
  put,
  run,
  s3Server,
  stored,
  sync,
  test,
  texts,
  tree,
  type World,
} from './world.ts';

describe('a HOME', () => {
  test.for([
    ['that is not set', { HOME: undefined }, /HOME is not set, and neither is/],
    ['that is empty', { HOME: '' }, /HOME is not set, and neither is/],
    ['that is no absolute path', { HOME: 'here' }, /HOME is not an absolute path/],
  ] as const)('%s is exit 78, and says what to set', async ([, env, said], { world }) => {
    const home = await world.home();
    for (const program of ['hydrate', 'backup', 'start', 'wrapper'] as const) {
      const { code, stderr } = await run(home, program, [], { env });
      expect(code, stderr).toBe(78);
      expect(stderr).toMatch(said);
      expect(stderr).toMatch(/Set HOME/);
    }
  });

  test.skipIf(NOBODY === undefined)(
    'that may not be written is exit 78, names the path, and stays as it is',
    async ({ world }) => {
      const home = await world.home();
      await put(home.authDir, credentials('a'));
      await chmod(home.path, 0o555);
      await done(asNobody(world, home, 'backup', ['--dry-run']));
      const before = await tree(home.path);
      const { code, stderr } = await asNobody(world, home, 'backup');
      expect(code, stderr).toBe(78);
      expect(stderr).toMatch(/cannot use the state at .*\/\.local.*: EACCES/);
      expect(stderr).toMatch(/set XDG_STATE_HOME/);
      expect(await tree(home.path)).toEqual(before);
    },
  );
});

describe.skipIf(NOBODY === undefined)('a directory that may not be written', () => {
  test('for the state, is exit 78, and nothing is done', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    await done(asNobody(world, home, 'backup'));
    await put(home.authDir, credentials('b'));
    await chmod(home.stateDir, 0o555);
    const { code, stderr } = await asNobody(world, home, 'backup');
    expect(code, stderr).toBe(78);
    expect(stderr).toContain(home.stateDir);
    expect(Object.keys(await stored(world.store, 'auths/'))).toEqual(['a.json']);
    await chmod(home.stateDir, 0o700);
    await done(asNobody(world, home, 'backup'));
    expect(Object.keys(await stored(world.store, 'auths/'))).toEqual(['a.json', 'b.json']);
  });

  test('for credentials, is exit 1 and named; what is in it still reaches the store', async ({ world }) => {
    const home = await world.home();
    const files = credentials('a', 'b');
    await put(home.authDir, files);
    await done(asNobody(world, home, 'backup'));
    const there = credential('there');
    await world.store.write('auths/there.json', there);
    await put(home.authDir, { 'a.json': credential('a@example.com', 5) });
    const here = held(home.authDir);
    await chmod(home.authDir, 0o555);
    const { code, stderr } = await asNobody(world, home, 'backup');
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/there\.json: writing the auth dir failed: .*EACCES/);
    expect(held(home.authDir)).toEqual(here);
    expect(await stored(world.store, 'auths/')).toEqual({ ...here, 'there.json': String(there) });
    await chmod(home.authDir, 0o700);
    await done(asNobody(world, home, 'backup'));
    expect(held(home.authDir)).toEqual({ ...here, 'there.json': String(there) });
  });

  test('or read, is no deletion of what is in it', async ({ world }) => {
    const home = await world.home();
    const files = credentials('a', 'b');
    await put(home.authDir, files);
    await done(asNobody(world, home, 'backup'));
    await chmod(home.authDir, 0);
    const { code, stderr } = await asNobody(world, home, 'backup');
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/auth dir .*may not be listed by this user/);
    await chmod(home.authDir, 0o700);
    await expectInStep(world, [home], files);
  });

  test('and whose marker cannot be read for once is no first join: what was deleted there stays deleted', async ({
    world,
  }) => {
    const home = await world.home();
    const { 'a.json': deleted, ...left } = credentials('a', 'b', 'c');
    await put(home.authDir, { ...left, ...(deleted && { 'a.json': deleted }) });
    await done(asNobody(world, home, 'backup'));
    const marker = join(home.authDir, '.cliproxyapi-sync');
    const before = await readFile(marker, 'utf8');
    await rm(join(home.authDir, 'a.json'));
    await chmod(marker, 0);
    const { code, stderr } = await asNobody(world, home, 'backup');
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/auth dir .*its marker .*\.cliproxyapi-sync cannot be read \(EACCES\)/);
    expect(held(home.authDir)).toEqual(texts(left));
    await chmod(marker, 0o600);
    expect(await readFile(marker, 'utf8')).toBe(before);
    await done(asNobody(world, home, 'backup'));
    await expectInStep(world, [home], left);
  });

  test('for the store, is exit 78 or 1, and names it', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    await mkdir(join(world.root, 'store'), { mode: 0o555 });
    const { code, stderr } = await asNobody(world, home, 'backup');
    expect([1, 78], stderr).toContain(code);
    expect(stderr).toContain(join(world.root, 'store'));
    expect(stderr).toMatch(/EACCES|right/);
  });
});

const CAN_MOUNT = canMount();

describe.skipIf(!CAN_MOUNT)('a full disk', () => {
  const big = (name: string) => credential(name, 0, { padding: 'x'.repeat(60_000) });

  test('under the state is exit 1, said once, and nothing is lost', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a', 'b'));
    await smallDisk(world, join(home.path, '.local'), '160k');
    await done(sync(home));
    const files = { ...credentials('c'), 'a.json': credential('a@example.com', 7) };
    await put(home.authDir, files);
    const here = held(home.authDir);
    await fill(join(home.path, '.local/fill'));
    const { code, stderr } = await sync(home);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/ENOSPC/);
    expect(stderr).toMatch(/[Ff]ree some/);
    expect(stderr.match(/^error:/gm)).toHaveLength(1);
    expect(held(home.authDir)).toEqual(here);
    await rm(join(home.path, '.local/fill'));
    await done(sync(home));
    expect(await stored(world.store, 'auths/')).toEqual(here);
  });

  test('under the auth dir is exit 1 and names what did not fit; the others are whole', async ({ world }) => {
    const laptop = await world.home('laptop');
    const files = { 'a.json': credential('a'), 'b.json': big('b'), 'c.json': big('c'), 'd.json': big('d') };
    await put(laptop.authDir, files);
    await done(sync(laptop));
    const server = await world.home('server');
    await smallDisk(world, server.authDir, '160k');
    const { code, stderr } = await run(server, 'hydrate');
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/[bcd]\.json: writing the auth dir failed: .*(ENOSPC|no space)/i);
    for (const [name, text] of Object.entries(held(server.authDir)))
      expect(text).toBe(String(files[name as keyof typeof files]));
    // Nor is what is missing for lack of room a deletion.
    await sync(server);
    expect(await stored(world.store, 'auths/')).toEqual(texts(files));
    const rubbish = (await tree(server.authDir)).filter((line) => /\.tmp /.test(line));
    expect(rubbish).toEqual([]);
  });

  test('under the backup copy alone is exit 1; what is current is there, and the copy comes when there is room', async ({
    world,
  }) => {
    const home = await world.home();
    const backup = join(world.root, 'store/backup');
    await smallDisk(world, backup, '320k');
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    await fill(join(backup, 'fill'));
    await put(home.authDir, { 'a.json': credential('a@example.com', 7), ...credentials('b') });
    const here = held(home.authDir);
    const { code, stderr } = await sync(home);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/[ab]\.json: .*the disk, or the quota, is full/);
    expect(held(home.authDir)).toEqual(here);
    expect(await stored(world.store, 'auths/')).toEqual(here);
    await rm(join(backup, 'fill'));
    await done(sync(home));
    expect(await stored(world.store, 'backup/auths/')).toEqual(here);
  });

  test('under the directory store is exit 1, and the local files are whole', async ({ world }) => {
    const home = await world.home();
    await smallDisk(world, join(world.root, 'store'), '320k');
    const files = { 'a.json': credential('a') };
    await put(home.authDir, files);
    await done(sync(home));
    const more = { ...files, 'b.json': big('b'), 'c.json': big('c'), 'd.json': big('d') };
    await put(home.authDir, more);
    const { code, stderr } = await sync(home);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/the disk, or the quota, is full/);
    expect(held(home.authDir)).toEqual(texts(more));
    for (const [name, text] of Object.entries(await stored(world.store, 'auths/')))
      expect(text).toBe(String(more[name as keyof typeof more]));
  });
});

describe('a state that', () => {
  test.for([
    ['is garbage', (path: string) => writeFile(path, '\0garbage')],
    ['is empty', (path: string) => truncate(path, 0)],
    ['was cut short', async (path: string) => truncate(path, Math.floor((await stat(path)).size / 2))],
    ['is of another shape', (path: string) => writeFile(path, '{"format":1,"credentials":[1,2]}')],
  ] as const)(
    '%s is a first join: said, kept aside, and nothing is deleted',
    async ([, damage], { world }) => {
      const home = await world.home();
      const files = credentials('a', 'b', 'c');
      await put(home.authDir, files);
      await done(sync(home));
      const path = await baseOf(home);
      await damage(path);
      const bytes = await readFile(path);
      await rm(join(home.authDir, 'a.json'));
      const { stderr } = await done(sync(home));
      expect(stderr).toMatch(/base\.json is damaged; .*first join, where nothing is deleted/);
      await expectInStep(world, [home], files);
      const aside = Object.values(held(home.stateDir)).map((text) => Buffer.from(text));
      expect(aside.some((kept) => kept.equals(bytes))).toBe(true);
      expect((await done(sync(home))).stderr).not.toMatch(/damaged/);
    },
  );

  test('a newer program wrote is left alone, as is everything else', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a', 'b'));
    await done(sync(home));
    await writeFile(await baseOf(home), '{"format":2,"more":"than this program knows"}');
    await put(home.authDir, credentials('c'));
    const before = [await tree(home.path, home), await world.store.fingerprint()];
    for (const program of ['hydrate', 'backup'] as const) {
      const { code, stderr } = await run(home, program);
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(/base\.json was written by a newer cliproxyapi-sync \(format 2/);
      expect(stderr).toMatch(/Update cliproxyapi-sync/);
    }
    expect([await tree(home.path, home), await world.store.fingerprint()]).toEqual(before);
  });

  test('belongs to a store that a newer program wrote is left alone, too', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a', 'b'));
    await done(sync(home));
    const marker: unknown = JSON.parse(String(await world.store.read('sync/store.json')));
    await world.store.write('sync/store.json', Buffer.from(JSON.stringify({ ...Object(marker), format: 2 })));
    await put(home.authDir, credentials('c'));
    const before = [held(home.authDir), await world.store.fingerprint()];
    const { code, stderr } = await sync(home);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/was written by a newer cliproxyapi-sync/);
    expect([held(home.authDir), await world.store.fingerprint()]).toEqual(before);
  });

  test('is lost altogether costs nothing', async ({ world }) => {
    const home = await world.home();
    const files = credentials('a', 'b');
    await put(home.authDir, files);
    await done(sync(home));
    await rm(home.stateDir, { recursive: true });
    await done(sync(home));
    await expectInStep(world, [home], files);
  });
});

describe('runs at once on one machine', () => {
  test('take turns, and each does its part', async ({ world }) => {
    const home = await world.home();
    const files = credentials('a', 'b', 'c');
    await put(home.authDir, files);
    const others = ['hydrate', 'backup', 'cliproxyapi-sync'] as const;
    const runs = await Promise.all(
      others.map((program) => run(home, program, program === 'cliproxyapi-sync' ? ['sync'] : [])),
    );
    for (const ended of runs) expect(ended, ended.stderr).toMatchObject({ code: 0 });
    await expectInStep(world, [home], files);
  });

  test('that wait too long are exit 75, and name the lock; a proxy starts all the same', async ({
    world,
  }) => {
    const home = await world.home('laptop', { proxy: STAND_IN_PROXY });
    await put(home.authDir, credentials('a'));
    await mkdir(join(home.stateDir, 'lock'), { recursive: true });
    const env = { CLIPROXY_LOCK_WAIT: '0.2' };
    for (const program of ['hydrate', 'backup'] as const) {
      const { code, stderr } = await run(home, program, [], { env });
      expect(code, stderr).toBe(75);
      expect(stderr).toContain(`${home.stateDir}/lock`);
    }
    const login = await run(home, 'wrapper', ['-codex-login'], { env });
    expect(login.code).toBe(0);
    expect(held(home.authDir)).toHaveProperty(['codex-me@example.com.json']);
    await rm(join(home.stateDir, 'lock'), { recursive: true });
    await done(sync(home));
    expect(await stored(world.store, 'auths/')).toEqual(held(home.authDir));
  });

  test.skipIf(!s3Server)('the lock of one that was killed is taken over at once', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    const files = credentials('a', 'b');
    await put(home.authDir, files);
    const running = s3.start(home, 'backup');
    s3.network.spoil(({ kind, key }) => {
      if (kind !== 'PUT' || !key.startsWith('auths/')) return undefined;
      running.kill('SIGKILL');
      return { kind: 'silence' };
    });
    expect(await running.ended).toMatchObject({ signal: 'SIGKILL' });
    expect((await stat(join(home.stateDir, 'lock'))).isDirectory()).toBe(true);
    s3.network.spoil(() => undefined);
    const started = Date.now();
    await done(run(home, 'backup'));
    // A lock whose holder is not known to be dead is waited for 20 s.
    expect(Date.now() - started).toBeLessThan(10_000);
    await expectInStep(s3, [home], files);
  });
});

/** A file system of its own at this path. */
async function smallDisk(world: World, path: string, size: string): Promise<void> {
  await mkdir(path, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', path]);
  world.after(() => execFileSync('umount', ['-l', path]));
}

/** Takes all the room that is left. */
async function fill(path: string): Promise<void> {
  await writeFile(path, '');
  for (const size of [65_536, 4_096, 1]) {
    for (;;) {
      try {
        await writeFile(path, Buffer.alloc(size), { flag: 'a' });
      } catch {
        break;
      }
    }
  }
}

function canMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp'], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn('\nSKIPPED: full disks, since this user may not mount a small one (root may).\n');
    return false;
  }
}
