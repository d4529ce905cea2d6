import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { bundlePath, type Ended, ownCache, startProgram } from '../support/bundle.ts';
import { EMAIL, expectConverged, expectWhole, makeChanges, saved } from './changes.ts';
import {
  credential,
  done,
  expectInStep,
  findProgram,
  type Home,
  inWorld,
  isKept,
  KINDS,
  postgresServer,
  put,
  type S3World,
  s3Server,
  sync,
  test,
  type World,
} from './world.ts';

describe.skipIf(!s3Server)('killed while it talks to S3', () => {
  /** Kills a sync at one of its writes, which arrives or does not; false if it made fewer. */
  async function killed(s3: S3World, home: Home, write: number, arrives: boolean): Promise<boolean> {
    let count = 0;
    const running = s3.start(home, 'cliproxyapi-sync', ['sync']);
    s3.network.spoil(({ kind }) => {
      if (!['PUT', 'COPY', 'DELETE'].includes(kind)) return undefined;
      count++;
      if (count < write) return undefined;
      running.kill('SIGKILL');
      return count === write && arrives ? { kind: 'lost-answer' } : { kind: 'silence' };
    });
    const { signal } = await running.ended;
    s3.network.spoil(() => undefined);
    return signal === 'SIGKILL';
  }

  // Of the 16 that it makes; those of even number arrive.
  const writes = [1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15];
  test.for(writes)(
    'at write %i, it converges at the next run, and loses nothing',
    { timeout: 120_000 },
    async (write, { s3 }) => {
      const home = await s3.home('laptop', { store: s3.throughNetwork });
      const changes = await makeChanges(s3, home);
      expect(await killed(s3, home, write, write % 2 === 0)).toBe(true);
      await expectWhole(s3, home, changes);
      await done(sync(home));
      await expectConverged(s3, home, changes);
    },
  );

  /** The first write that a run makes does not arrive. */
  async function killedAtOnce(s3: S3World, home: Home): Promise<void> {
    expect(await killed(s3, home, 1, false)).toBe(true);
  }

  test('before it kept what loses, it keeps it at the next run', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    await put(home.authDir, { 'a.json': credential(EMAIL, 0) });
    await done(sync(home));
    const loser = credential(EMAIL, 6);
    const winner = credential(EMAIL, 7);
    await put(home.authDir, { 'a.json': loser });
    await s3.store.write('auths/a.json', winner);
    await killedAtOnce(s3, home);
    await done(sync(home));
    await expectInStep(s3, [home], { 'a.json': winner });
    expect(await isKept(s3, loser, [home])).toBe(true);
  });

  test('while it takes over what another program wrote, that is kept before it is replaced', async ({
    s3,
  }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    await put(home.authDir, { 'a.json': credential(EMAIL, 0) });
    await done(sync(home));
    const native = credential(EMAIL, 7);
    await s3.store.write('auths/a.json', native);
    await killedAtOnce(s3, home);
    await done(sync(home));
    await put(home.authDir, { 'a.json': credential(EMAIL, 9) });
    await done(sync(home));
    expect(await isKept(s3, native, [home])).toBe(true);
  });

  test.for([
    ['a new login', 'new.json'],
    ['a refreshed one', 'refreshed.json'],
  ] as const)(
    'between store and backup copy, %s that is deleted right then is deleted',
    async ([, name], { s3 }) => {
      const home = await s3.home('laptop', { store: s3.throughNetwork });
      const { final, versions } = await makeChanges(s3, home);
      const running = s3.start(home, 'cliproxyapi-sync', ['sync']);
      s3.network.spoil(({ kind, key }) => {
        if (kind !== 'PUT' || key !== `backup/auths/${name}`) return undefined;
        running.kill('SIGKILL');
        return { kind: 'silence' };
      });
      expect(await running.ended).toMatchObject({ signal: 'SIGKILL' });
      s3.network.spoil(() => undefined);
      expect(await s3.store.keys('auths/')).toContain(`auths/${name}`);
      await rm(join(home.authDir, name));
      await done(sync(home));
      const left = Object.entries(final).filter(([other]) => other !== name);
      await expectInStep(s3, [home], Object.fromEntries(left.sort()));
      expect((await s3.store.keys('sync/tombstones/')).some((key) => key.includes(name))).toBe(true);
      for (const bytes of versions.get(name) ?? []) expect(await isKept(s3, bytes)).toBe(true);
    },
  );
});

const STRACE = findProgram('strace');
if (STRACE === undefined) console.warn('\nSKIPPED: kills at system calls, since `strace` is missing.\n');

/** A few points of each, unless all are asked for. */
const ALL = (process.env.CRASH_POINTS ?? '') === 'all';

/** A sync that is killed when it makes the nth of these system calls, instead of that call. */
function killedAt(home: Home, calls: string, nth: number): Promise<Ended> {
  const strace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`];
  const inject = ['-e', `inject=${calls}:signal=KILL:when=${nth}`];
  const args = [...strace, ...inject, process.execPath, bundlePath('cliproxyapi-sync'), 'sync'];
  // One thread for files, so that the calls come in an order.
  const env = { UV_THREADPOOL_SIZE: '1', XDG_CACHE_HOME: ownCache(home.path) };
  return startProgram(STRACE ?? '', args, home, { env }).ended;
}

const FILE_CALLS = [
  ['rename', 'rename,renameat,renameat2'],
  ['link', 'link,linkat'],
  ['unlink', 'unlink,unlinkat'],
  ['fsync', 'fsync'],
  ['mkdir', 'mkdir,mkdirat'],
] as const;

describe.skipIf(STRACE === undefined)('killed at a system call, with a directory store', () => {
  // A killed run's lock on the directory store is taken over after seconds.
  const steps = { rename: 6, link: 3, unlink: 3, fsync: 17, mkdir: 7 };
  test.for(FILE_CALLS)(
    '%s, some of them, it converges at the next run, and loses nothing',
    { timeout: ALL ? 3_600_000 : 240_000 },
    async ([name, calls], { world }) => {
      const step = ALL ? 1 : steps[name];
      const home = await world.home();
      const changes = await makeChanges(world, home);
      const again = await saved(world, [home.path, join(world.root, 'store')]);
      let point = 1;
      for (; ; point += step) {
        const ended = await killedAt(home, calls, point);
        if (ended.signal !== 'SIGKILL') {
          expect(ended, ended.stderr).toMatchObject({ code: 0 });
          break;
        }
        await expectWhole(world, home, changes);
        const { code, stderr } = await sync(home);
        expect(code, `after ${calls} ${point}: ${stderr}`).toBe(0);
        await expectConverged(world, home, changes);
        await again();
      }
      expect(point, 'calls that were tried').toBeGreaterThan(step);
      await expectConverged(world, home, changes);
    },
  );
});

const SERVERS = [...KINDS.filter((kind) => kind === 's3'), ...(postgresServer ? ['postgres' as const] : [])];

describe.skipIf(STRACE === undefined).each(SERVERS)('killed at a system call, with a server (%s)', (kind) => {
  // What is sent to the server is written, and so is what goes into files.
  const calls = [...FILE_CALLS, ['write', 'write,writev,sendmsg,sendto,pwrite64']] as const;
  const some = { rename: 2, link: 1, unlink: 1, fsync: 4, mkdir: 3, write: 40 };

  /** One run that is killed at that call, or that ends, and the one after it. */
  async function tried(world: World, names: string, point: number): Promise<boolean> {
    const home = await world.home();
    const changes = await makeChanges(world, home);
    const ended = await killedAt(home, names, point);
    const killed = ended.signal === 'SIGKILL';
    if (killed) {
      await expectWhole(world, home, changes);
      const { code, stderr } = await sync(home);
      expect(code, `after ${names} ${point}: ${stderr}`).toBe(0);
    } else expect(ended, ended.stderr).toMatchObject({ code: 0 });
    await expectConverged(world, home, changes);
    return killed;
  }

  test.for(calls)(
    ALL
      ? '%s, each of them, it converges, and loses nothing'
      : '%s, one of them, it converges, and loses nothing',
    { timeout: ALL ? 3_600_000 : 240_000 },
    async ([name, names]) => {
      let killed = true;
      let point = ALL ? 1 : some[name];
      for (; killed; point++) {
        await inWorld(kind, async (world) => {
          killed = await tried(world, names, point);
        });
        if (!ALL) break;
      }
      expect(killed || point > 2, 'that it was killed').toBe(true);
    },
  );
});
