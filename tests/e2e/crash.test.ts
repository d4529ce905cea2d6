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

/** A few points of each, unless more are asked for: `CRASH_POINTS=60` for more of them, or `CRASH_POINTS=all`. */
const POINTS = process.env.CRASH_POINTS ?? '5';
const ALL = POINTS === 'all';
/** From one point to the next where by default it is this: all, or more of them the more are asked for. */
const stepFrom = (usual: number) => (ALL ? 1 : Math.max(1, Math.round((usual * 5) / Number(POINTS))));

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
  const writes = ALL ? Array.from({ length: 16 }, (_, index) => index + 1) : [1, 2, 5, 8, 11, 14];
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
  const steps = { rename: 8, link: 4, unlink: 4, fsync: 24, mkdir: 9 };
  test.for(FILE_CALLS)(
    '%s, some of them, it converges at the next run, and loses nothing',
    { timeout: POINTS === '5' ? 240_000 : 3_600_000 },
    async ([name, calls], { world }) => {
      const step = stepFrom(steps[name]);
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

  /** Of the calls, every other one in `make test`: which of them, by the server. */
  const chosen =
    POINTS === '5' ? calls.filter((_, index) => (index + SERVERS.indexOf(kind)) % 2 === 0) : calls;
  test.for(chosen)(
    POINTS === '5'
      ? '%s, one of them, it converges, and loses nothing'
      : '%s, many of them, it converges, and loses nothing',
    { timeout: POINTS === '5' ? 240_000 : 3_600_000 },
    async ([name, names]) => {
      const step = stepFrom(some[name]);
      let killed = true;
      let point = step;
      for (; killed; point += step) {
        await inWorld(kind, async (world) => {
          killed = await tried(world, names, point);
        });
        if (POINTS === '5') break;
      }
      expect(killed || point > step, 'that it was killed').toBe(true);
    },
  );
});
