/** The Git store: the cache of the repository. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { git } from '../../support/git.ts';
import { create, credential, current, readAll } from '../vocabulary.ts';
import { prepared, world } from './git-store.ts';

describe('the cache', () => {
  const runs = async () => (await readdir(world.cacheDir)).map((name) => join(world.cacheDir, name));

  test('may be removed at any time', async () => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    await rm(world.cacheDir, { recursive: true });
    expect(await readAll(store, [current('a.json')])).toMatchObject([{ kind: 'object' }]);
    await store.list();
    await rm(world.cacheDir, { recursive: true });
    expect(await store.commit([create('b.json', credential('b'))])).toMatchObject([{ kind: 'done' }]);
    await store.list();
    await rm(world.cacheDir, { recursive: true });
    expect(await store.history()).toHaveLength(2);
  });

  test.each([
    ['emptied', (path: string) => truncate(path, 0)],
    [
      'garbled',
      async (path: string) => {
        await chmod(path, 0o600);
        await writeFile(path, 'garbage');
      },
    ],
    ['removed', (path: string) => rm(path)],
  ])('whose objects were %s is made anew', async (_, spoil) => {
    const first = await prepared();
    await first.commit(['a.json', 'b.json'].map((name) => create(name, credential(name))));
    const [directory = ''] = await runs();
    const entries = await readdir(join(directory, 'objects'), { recursive: true, withFileTypes: true });
    for (const each of entries) if (each.isFile()) await spoil(join(each.parentPath, each.name));
    const store = world.open();
    expect((await store.list()).current.size).toBe(2);
    expect(await readAll(store, [current('a.json')])).toMatchObject([{ kind: 'object' }]);
    expect(await store.commit([create('c.json', credential('c'))])).toMatchObject([{ kind: 'done' }]);
  });

  test('is shared by stores that read and write at the same time, also while it is thrown away', async () => {
    await prepared();
    const names = Array.from({ length: 6 }, (_, index) => `host-${index}.json`);
    const outcomes = await Promise.all([
      ...names.map(async (name) => {
        const store = world.open();
        await store.list();
        return store.commit([create(name, credential(name))]);
      }),
      (async () => {
        for (let round = 0; round < 5; round++) {
          await new Promise((resolve) => setTimeout(resolve, 60));
          for (const each of await runs()) await rm(join(each, 'heads.json'), { force: true });
        }
        return [];
      })(),
    ]);
    expect(outcomes.flat().map(({ kind }) => kind)).toEqual(names.map(() => 'done'));
    expect((await world.open().list()).current.size).toBe(6);
  });

  test('has nothing of a run left once that is closed, and is for its owner alone', async () => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    await store.close();
    const [directory = ''] = await runs();
    expect((await readdir(directory)).sort()).toEqual(['heads.json', 'objects']);
    expect(execFileSync('stat', ['-c', '%a', directory, join(directory, 'objects')]).toString()).toBe(
      '700\n700\n',
    );
  });

  test('that has grown is begun anew', async () => {
    await (await prepared()).close();
    const [directory = ''] = await runs();
    const folder = join(directory, 'objects/17');
    await mkdir(folder, { recursive: true });
    for (let index = 0; index < 50; index++)
      await writeFile(join(folder, String(index).padStart(38, '0')), '');
    await world.open().list();
    expect(existsSync(folder)).toBe(false);
  });

  test('of a large store is not fetched anew when one credential changes', async () => {
    const { http } = await world.serve();
    const writer = await prepared(http);
    const names = Array.from({ length: 300 }, (_, index) => `account-${index}.json`);
    await writer.commit(names.map((name) => create(name, credential(`${name} ${'x'.repeat(500)}`))));
    const cacheDir = join(world.home, 'other');
    const reader = world.open({ ...http, cacheDir });
    await reader.list();
    await reader.close();
    await writer.commit([create('one-more.json', credential('y'))]);
    const before = objectsIn(cacheDir);
    const listing = await world.open({ ...http, cacheDir }).list();
    expect(listing.current.size).toBe(301);
    // Two commits, the trees on the way to the file, its blobs.
    expect(objectsIn(cacheDir) - before).toBeLessThan(20);
  });

  function objectsIn(cacheDir: string): number {
    const paths = execFileSync('find', [cacheDir, '-path', '*/objects/*', '-type', 'f'])
      .toString()
      .trim()
      .split('\n');
    const packed = paths
      .filter((path) => path.endsWith('.idx'))
      .map(
        (path) =>
          git('/', ['show-index'], { input: execFileSync('cat', [path]) })
            .toString()
            .split('\n').length - 1,
      );
    return (
      paths.filter((path) => /\/[0-9a-f]{38}$/.test(path)).length +
      packed.reduce((sum, count) => sum + count, 0)
    );
  }
});
