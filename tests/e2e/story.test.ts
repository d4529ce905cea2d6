import { rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { STAND_IN_PROXY } from '../support/bundle.ts';
import {
  command,
  credential,
  credentials,
  decent,
  done,
  expectInStep,
  type Home,
  held,
  isKept,
  KINDS,
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

const CLAUDE = 'claude-me@example.com.json';

describe.each(KINDS)('with two machines and a store between them (%s)', (kind) => {
  test.override({ kind });

  /** A laptop and a server that hold the same credentials, and so does the store. */
  async function inStep(world: World, files: Readonly<Record<string, Uint8Array>>): Promise<[Home, Home]> {
    const laptop = await world.home('laptop');
    const server = await world.home('server');
    await put(laptop.authDir, files);
    await done(run(laptop, 'backup'));
    await done(sync(server));
    await expectInStep(world, [laptop, server], files);
    return [laptop, server];
  }

  test('a login made through the wrapper is in the store when it ends, and hydrate brings it to another machine', async ({
    world,
  }) => {
    const laptop = await world.home('laptop');
    await done(run(laptop, 'wrapper', ['-claude-login']));
    const [made] = Object.entries(held(laptop.authDir));
    expect(made?.[0]).toBe(CLAUDE);
    const files = { [CLAUDE]: Buffer.from(made?.[1] ?? '') };
    await expectInStep(world, [laptop], files);

    const server = await world.home('server');
    const before = await world.store.fingerprint();
    await done(run(server, 'hydrate'));
    await expectInStep(world, [laptop, server], files);
    expect(await world.store.fingerprint()).toBe(before);
    expect((await stat(join(server.authDir, CLAUDE))).mode & 0o777).toBe(0o600);
  });

  test('a token rotated with the same size, in the same second, goes over', async ({ world }) => {
    const old = credential('me', 1);
    const [laptop, server] = await inStep(world, { [CLAUDE]: old });
    const path = join(laptop.authDir, CLAUDE);
    const { atime, mtime } = await stat(path);
    const rotated = credential('me', 2);
    expect(rotated.length).toBe(old.length);
    await put(laptop.authDir, { [CLAUDE]: rotated });
    await utimes(path, atime, mtime);

    await done(run(laptop, 'backup'));
    await done(sync(server));
    await expectInStep(world, [laptop, server], { [CLAUDE]: rotated });
    expect(await isKept(world, old)).toBe(true);
  });

  test('of two refreshes made apart the fresher is everywhere, and the other one in history', async ({
    world,
  }) => {
    const [laptop, server] = await inStep(world, { [CLAUDE]: credential('me', 1) });
    const older = credential('me', 2);
    const fresher = credential('me', 3);
    await put(laptop.authDir, { [CLAUDE]: older });
    await put(server.authDir, { [CLAUDE]: fresher });
    await done(run(server, 'backup'));
    const { stderr } = await done(run(laptop, 'backup'));

    await expectInStep(world, [laptop, server], { [CLAUDE]: fresher });
    expect(await isKept(world, older)).toBe(true);
    expect(stderr).toContain(CLAUDE);
    expect(stderr).toMatch(/changed independently/);
  });

  test('an account disabled here and refreshed there is both, on both', async ({ world }) => {
    const first = credential('me', 1);
    const [laptop, server] = await inStep(world, { [CLAUDE]: first });
    const refreshed = credential('me', 2);
    await put(laptop.authDir, {
      [CLAUDE]: Buffer.from(JSON.stringify({ ...JSON.parse(first.toString()), disabled: true })),
    });
    await put(server.authDir, { [CLAUDE]: refreshed });
    await done(sync(laptop));
    await done(sync(server));
    await done(sync(laptop));
    const both = { ...JSON.parse(refreshed.toString()), disabled: true };
    for (const { authDir } of [laptop, server]) expect(JSON.parse(held(authDir)[CLAUDE] ?? '')).toEqual(both);
  });

  test('a deleted login stays deleted, though a machine that was off comes back with it; a new login lives', async ({
    world,
  }) => {
    const files = credentials('a', 'b', 'c');
    const { 'a.json': deleted = Buffer.alloc(0), ...rest } = files;
    const [laptop, server] = await inStep(world, files);
    await rm(join(laptop.authDir, 'a.json'));
    await done(run(laptop, 'backup'));
    await expectInStep(world, [laptop], rest);
    expect(held(server.authDir)).toHaveProperty(['a.json']);

    await done(sync(server));
    await done(sync(laptop));
    await expectInStep(world, [laptop, server], rest);
    expect(await isKept(world, deleted)).toBe(true);

    const again = credential('a@example.com', 5);
    await put(server.authDir, { 'a.json': again });
    await done(sync(server));
    await done(sync(laptop));
    await expectInStep(world, [laptop, server], { ...rest, 'a.json': again });
  });

  test('an auth dir that is suddenly empty is filled again, and the way to delete on purpose is named', async ({
    world,
  }) => {
    const files = credentials('a', 'b', 'c');
    const [laptop, server] = await inStep(world, files);
    const empty = () => Promise.all(Object.keys(files).map((name) => rm(join(laptop.authDir, name))));
    await empty();
    const guarded = await run(laptop, 'backup');
    expect(guarded).toMatchObject({ code: 1, stderr: expect.stringMatching(/guard held: 3 of 3/) });
    expect(guarded.stderr).toContain('cliproxyapi-sync forget a.json b.json c.json');
    await expectInStep(world, [laptop, server], files);

    await empty();
    // The guard stands on every machine.
    for (const home of [laptop, server]) await done(sync(home, ['--allow-delete', ...Object.keys(files)]));
    await expectInStep(world, [laptop, server], {});
  });

  test('a login made with CCS reaches all places, and one that CCS pauses stays in the others', async ({
    world,
  }) => {
    const laptop = await world.home('laptop', { ccs: true });
    const files = credentials('a', 'b', 'c');
    await put(laptop.ccsDir, files);
    await done(run(laptop, 'backup'));
    await expectInStep(world, [laptop], files);

    await command(laptop, [
      'sh',
      '-c',
      'mkdir "$1/../auth-paused" && mv "$1/a.json" "$1/../auth-paused"',
      '-',
      laptop.ccsDir,
    ]);
    await done(run(laptop, 'backup'));
    await expectInStep(world, [laptop], files);
    expect(Object.keys(held(laptop.ccsDir))).toEqual(['b.json', 'c.json']);
  });

  test('a run after a success touches nothing, not even a time', async ({ world }) => {
    const [laptop, server] = await inStep(world, credentials('a', 'b'));
    for (const home of [laptop, server]) {
      const before = await tree(home.path, home);
      const storeBefore = await world.store.fingerprint();
      await done(sync(home));
      await done(run(home, 'backup'));
      await done(run(home, 'hydrate'));
      expect(await tree(home.path, home)).toEqual(before);
      expect(await world.store.fingerprint()).toBe(storeBefore);
    }
  });

  test('what the stand-in proxy saves by itself is in step after the next run', async ({ world }) => {
    const laptop = await world.home('laptop');
    await done(run(laptop, 'wrapper', ['-claude-login']));
    const proxy = async (...args: string[]) =>
      decent(
        await command(laptop, [
          process.execPath,
          STAND_IN_PROXY,
          '-config',
          join(laptop.proxyHome, 'config.yaml'),
          ...args,
        ]),
      );
    for (const flag of ['-request', '-refresh', '-disable']) {
      expect((await proxy(flag, CLAUDE)).code).toBe(0);
      const files = held(laptop.authDir);
      await done(run(laptop, 'backup'));
      expect(held(laptop.authDir)).toEqual(files);
      expect(await stored(world.store, 'auths/')).toEqual(files);
    }
  });
});

describe.skipIf(!s3Server)('with S3', () => {
  test('a refresh made offline waits on the laptop, and goes over when the network is back', async ({
    s3,
  }) => {
    const laptop = await s3.home('laptop', { store: s3.throughNetwork });
    const files = credentials('a', 'b');
    await put(laptop.authDir, files);
    await done(sync(laptop));

    s3.network.spoil(() => ({ kind: 'reset' }));
    const refreshed = { ...files, 'a.json': credential('a@example.com', 9) };
    await put(laptop.authDir, refreshed);
    for (const program of ['backup', 'hydrate'] as const)
      expect(await run(laptop, program)).toMatchObject({ code: 75 });
    expect(held(laptop.authDir)).toEqual(texts(refreshed));

    s3.network.spoil(() => undefined);
    await done(run(laptop, 'backup'));
    await expectInStep(s3, [laptop], refreshed);
  });

  test('a deletion made offline is carried out when the network is back', async ({ s3 }) => {
    const laptop = await s3.home('laptop', { store: s3.throughNetwork });
    const { 'a.json': _, ...rest } = await filled(laptop, ['a', 'b', 'c']);
    s3.network.spoil(() => ({ kind: 'reset' }));
    await rm(join(laptop.authDir, 'a.json'));
    expect(await sync(laptop)).toMatchObject({ code: 75 });

    s3.network.spoil(() => undefined);
    await done(sync(laptop));
    await expectInStep(s3, [laptop], rest);
  });

  test('a run with nothing to do costs four listings, and hydrate no more', async ({ s3 }) => {
    const laptop = await s3.home('laptop', { store: s3.throughNetwork });
    await filled(laptop, ['a', 'b', 'c', 'd', 'e']);
    for (const program of ['backup', 'hydrate'] as const) {
      s3.network.forget();
      await done(run(laptop, program));
      const { LIST = 0, ...others } = s3.network.counts();
      expect(others).toEqual({});
      expect(LIST).toBeLessThanOrEqual(4);
    }
  });

  test('one rotated token costs the listings, one PUT for history, one for the store, one for its copy', async ({
    s3,
  }) => {
    const laptop = await s3.home('laptop', { store: s3.throughNetwork });
    await filled(laptop, ['a', 'b', 'c', 'd', 'e']);
    await put(laptop.authDir, { 'c.json': credential('c@example.com', 7) });
    s3.network.forget();
    await done(run(laptop, 'backup'));
    const writes = s3.network.requests.filter(({ kind }) => kind !== 'LIST');
    expect(writes.map(({ key }) => key.replace(/[0-9a-f]{64}/, 'VERSION'))).toEqual([
      'sync/history/c.json/VERSION.json',
      'auths/c.json',
      'backup/auths/c.json',
    ]);
    expect(writes.slice(0, 2).map(({ kind }) => kind)).toEqual(['PUT', 'PUT']);
    expect(['PUT', 'COPY']).toContain(writes[2]?.kind);
    expect(writes.every(({ conditional }) => conditional)).toBe(true);
    expect(s3.network.counts().LIST).toBeLessThanOrEqual(4);
  });

  /** Credentials on this machine, backed up. */
  async function filled(home: Home, names: readonly string[]): Promise<Record<string, Buffer>> {
    const files = credentials(...names);
    await put(home.authDir, files);
    await done(sync(home));
    return files;
  }
});
