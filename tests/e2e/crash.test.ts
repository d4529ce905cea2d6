import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { bundlePath, startProgram } from '../support/bundle.ts';
import {
  credential,
  done,
  expectInStep,
  findProgram,
  type Home,
  held,
  isKept,
  put,
  type S3World,
  s3Server,
  stored,
  sync,
  test,
  type World,
} from './world.ts';

const EMAIL = 'me@example.com';

/**
 * What a run is killed in the middle of: a login here and one there, a refresh here, one there, two that meet, a
 * deletion; two that nothing happens to.
 */
interface Changes {
  /** What all places are to hold in the end. */
  readonly final: Record<string, Buffer>;
  /** All contents that a credential ever had. */
  readonly versions: ReadonlyMap<string, readonly Buffer[]>;
}

/** Makes them, with `home` and the store in step before. */
async function makeChanges(world: World, home: Home): Promise<Changes> {
  const names = ['refreshed', 'theirs', 'both', 'deleted', 'x', 'y'];
  const before = Object.fromEntries(names.map((name) => [`${name}.json`, credential(EMAIL, 0)]));
  await put(home.authDir, before);
  await done(sync(home));
  const here = {
    'refreshed.json': credential(EMAIL, 5),
    'both.json': credential(EMAIL, 6),
    'new.json': credential(EMAIL, 1),
  };
  const there = {
    'theirs.json': credential(EMAIL, 5),
    'both.json': credential(EMAIL, 7),
    'new-there.json': credential(EMAIL, 1),
  };
  await put(home.authDir, here);
  await rm(join(home.authDir, 'deleted.json'));
  for (const [name, bytes] of Object.entries(there)) await world.store.write(`auths/${name}`, bytes);
  const { 'deleted.json': _, ...left } = before;
  const versions = new Map<string, Buffer[]>();
  for (const files of [before, here, there])
    for (const [name, bytes] of Object.entries(files))
      versions.set(name, [...(versions.get(name) ?? []), bytes]);
  return { final: { ...left, ...here, ...there }, versions };
}

/** After a kill: every place holds whole files, each of them a version that was there or is to be. */
async function expectWhole(world: World, home: Home, { versions }: Changes): Promise<void> {
  const known = new Map([...versions].map(([name, contents]) => [name, contents.map(String)]));
  // On its way out, a deleted file is disabled first.
  const disabled = versions
    .get('deleted.json')
    ?.map((bytes) => String(bytes).replace('"disabled":false', '"disabled":true'));
  known.set('deleted.json', [...(known.get('deleted.json') ?? []), ...(disabled ?? [])]);
  const places = {
    'auth dir': held(home.authDir),
    store: await stored(world.store, 'auths/'),
    'backup copy': await stored(world.store, 'backup/auths/'),
  };
  // What was on its way has another name, which nobody takes for a credential.
  for (const [place, files] of Object.entries(places))
    for (const [name, text] of Object.entries(files).filter(([name]) => !name.startsWith('.')))
      expect(known.get(name), `${name} in the ${place}`).toContain(text);
}

/** After a run that ended: all is where it belongs, and all that was replaced is kept. */
async function expectConverged(world: World, home: Home, { final, versions }: Changes): Promise<void> {
  await expectInStep(world, [home], Object.fromEntries(Object.entries(final).sort()));
  for (const [name, contents] of versions)
    for (const bytes of contents)
      if (final[name] !== bytes) expect(await isKept(world, bytes, [home]), `${name} in history`).toBe(true);
}

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

describe.skipIf(STRACE === undefined)('killed at a system call, with a directory store', () => {
  // A killed run's lock on the directory store is taken over after seconds: a few points each, unless all are asked for.
  const all = (process.env.CRASH_POINTS ?? '') === 'all';
  test.for([
    ['rename', 'rename,renameat,renameat2', all ? 1 : 6],
    ['link', 'link,linkat', all ? 1 : 3],
    ['unlink', 'unlink,unlinkat', all ? 1 : 3],
    ['fsync', 'fsync', all ? 1 : 17],
    ['mkdir', 'mkdir,mkdirat', all ? 1 : 7],
  ] as const)(
    '%s, some of them, it converges at the next run, and loses nothing',
    { timeout: all ? 3_600_000 : 240_000 },
    async ([, calls, step], { world }) => {
      const home = await world.home();
      const changes = await makeChanges(world, home);
      const [live, saved] = [join(world.root, 'live'), join(world.root, 'saved')];
      // The same paths each time: the state remembers where things are.
      for (const directory of [home.path, join(world.root, 'store')])
        await cp(directory, join(saved, directory), { recursive: true, preserveTimestamps: true });
      let point = 1;
      for (; ; point += step) {
        const strace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`];
        const inject = ['-e', `inject=${calls}:signal=KILL:when=${point}`];
        const args = [...strace, ...inject, process.execPath, bundlePath('cliproxyapi-sync'), 'sync'];
        // One thread for files, so that the calls come in an order.
        const options = { env: { UV_THREADPOOL_SIZE: '1' } };
        const ended = await startProgram(STRACE ?? '', args, home, options).ended;
        if (ended.signal !== 'SIGKILL') {
          expect(ended, ended.stderr).toMatchObject({ code: 0 });
          break;
        }
        await expectWhole(world, home, changes);
        const { code, stderr } = await sync(home);
        expect(code, `after ${calls} ${point}: ${stderr}`).toBe(0);
        await expectConverged(world, home, changes);
        for (const directory of [home.path, join(world.root, 'store')]) {
          await rename(directory, live);
          await rm(live, { recursive: true });
          await cp(join(saved, directory), directory, { recursive: true, preserveTimestamps: true });
        }
      }
      expect(point, 'calls that were tried').toBeGreaterThan(step);
      await expectConverged(world, home, changes);
    },
  );
});
