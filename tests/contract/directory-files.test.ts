import { execFileSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { directoryStore } from '../../ts/src/stores/directory.ts';
import { StoreError } from '../../ts/src/stores/store.ts';
import { memoryInMemory } from '../support/memory.ts';
import { create, credential, current, entry, MARKER, named, readAll, versionIn } from './vocabulary.ts';

const isRoot = process.getuid?.() === 0;

let home: string;
let root: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'directory-store-'));
  root = join(home, 'deep', 'store');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const open = () => directoryStore({ path: root }, memoryInMemory());

async function prepared() {
  const store = open();
  await store.prepare(MARKER);
  return store;
}

async function place(key: string, bytes: string | Uint8Array): Promise<string> {
  await mkdir(dirname(join(root, key)), { recursive: true });
  await writeFile(join(root, key), bytes);
  return join(root, key);
}

describe('the directory store on disk', () => {
  test('is laid out as a bucket is, all of it for its owner alone, and no rubbish in it', async () => {
    const store = await prepared();
    const bytes = credential('a');
    await store.commit([{ ...create('team/a.json', bytes), keepAside: [Buffer.from('x')] }]);
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const id = versionIn(bytes);
    const files = entries
      .filter((each) => each.isFile())
      .map((each) => join(each.parentPath, each.name).slice(root.length + 1));
    expect(files.sort()).toEqual([
      'auths/team/a.json',
      'backup/auths/team/a.json',
      `sync/history/team/a.json/${id}.json`,
      `sync/history/team/a.json/${id}.meta.json`,
      'sync/rejected/team/a.json/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
      'sync/store.json',
    ]);
    for (const each of [root, ...entries.map((found) => join(found.parentPath, found.name))]) {
      const { mode } = await lstat(each);
      expect([each, (mode & 0o777).toString(8)]).toEqual([
        each,
        (await lstat(each)).isDirectory() ? '700' : '600',
      ]);
    }
  });

  test('leaves what is not ours alone, and does not list it', async () => {
    const store = await prepared();
    await place('notes.txt', 'mine');
    await place('other/a.json', '{}');
    expect([...(await store.list()).current.keys()]).toEqual([]);
    expect(await readFile(join(root, 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('a symbolic link in the place of a credential is not followed, read or written through', async () => {
    const store = await prepared();
    const outside = join(home, 'outside.json');
    await writeFile(outside, credential('outside'));
    await mkdir(join(root, 'auths'));
    await symlink(outside, join(root, 'auths/a.json'));
    const seen = (await store.list()).current.get('a.json')?.tag;
    expect(seen).toBeDefined();
    expect(await readAll(store, [current('a.json')])).toMatchObject([
      { kind: 'failed', reason: expect.stringMatching(/auths\/a\.json in .* symbolic link/) },
    ]);
    const [outcome] = await store.commit([
      {
        name: named('a.json'),
        keep: [],
        current: { kind: 'put', bytes: credential('new'), seen: undefined },
      },
    ]);
    expect(outcome).toMatchObject({
      kind: 'failed',
      step: 'current',
      error: { kind: 'refused', message: expect.stringMatching(/symbolic link/) },
    });
    expect(await readFile(outside)).toEqual(credential('outside'));
  });

  test('a symbolic link in the place of a folder is not followed, read or written through', async () => {
    const store = await prepared();
    const outside = join(home, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'a.json'), credential('outside'));
    await mkdir(join(root, 'auths'));
    await symlink(outside, join(root, 'auths/team'));
    expect(await readAll(store, [current('team/a.json')])).toMatchObject([{ kind: 'failed' }]);
    expect([...(await store.list()).current.keys()]).toEqual(['team']);
    const [outcome] = await store.commit([create('team/b.json', credential('b'))]);
    expect(outcome).toMatchObject({ kind: 'failed', step: 'current', error: { kind: 'refused' } });
    expect(await readdir(outside)).toEqual(['a.json']);
  });

  test('a FIFO and a folder with a credential’s name hold nobody up', async () => {
    const store = await prepared();
    await mkdir(join(root, 'auths/folder.json'), { recursive: true });
    execFileSync('mkfifo', [join(root, 'auths/fifo.json')]);
    expect([...(await store.list()).current.keys()]).toEqual(['fifo.json']);
    expect(await readAll(store, [current('fifo.json'), current('folder.json')])).toMatchObject([
      { kind: 'failed', reason: expect.stringMatching(/no regular file/) },
      { kind: 'failed' },
    ]);
    expect(await store.commit([create('folder.json', credential('a'))])).not.toMatchObject([
      { kind: 'done' },
    ]);
  });

  test('a file in its place is a clear error, not a store that is missing', async () => {
    await mkdir(dirname(root), { recursive: true });
    await writeFile(root, 'a file');
    for (const run of [
      () => open().list(),
      () => open().prepare(MARKER),
      () => open().commit([create('a.json', credential('a'))]),
    ]) {
      const error = await run().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(StoreError);
      expect(error).toMatchObject({ kind: 'refused', message: expect.stringContaining(root) });
    }
  });

  test.skipIf(isRoot)('what may not be read or written is told as such', async () => {
    const store = await prepared();
    await chmod(await place('auths/a.json', credential('a')), 0);
    expect(await readAll(store, [current('a.json')])).toMatchObject([{ kind: 'failed' }]);
    await chmod(root, 0o500);
    const [outcome] = await store.commit([create('b.json', credential('b'))]);
    expect(outcome).toMatchObject({ kind: 'failed', error: { kind: 'refused' } });
    await chmod(root, 0o700);
  });

  test('the record of a history entry is there whenever the entry is', async () => {
    const store = await prepared();
    const kept = { ...entry(credential('a')), host: 'büro' };
    // A crash between the two: the record is there, and the entry not yet.
    await place(`sync/history/a.json/${kept.id}.meta.json`, '{"host":"before","reason":"","replaces":[]}');
    expect(await store.history()).toEqual([]);
    await store.commit([{ name: named('a.json'), keep: [kept] }]);
    expect((await store.history()).map(({ id }) => id)).toEqual([kept.id]);
  });

  test('a version is recorded only if its history is there', async () => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    const history = join(root, `sync/history/a.json/${versionIn(credential('a'))}.json`);
    expect(await readAll(store, [current('a.json')])).toMatchObject([
      { recorded: versionIn(credential('a')) },
    ]);
    await rm(history);
    expect((await readAll(store, [current('a.json')]))[0]).not.toHaveProperty('recorded');
  });

  test('a lock whose holder died is taken over', async () => {
    const store = await prepared();
    const lock = join(root, 'sync/lock');
    await mkdir(lock);
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lock, longAgo, longAgo);
    expect((await store.commit([create('a.json', credential('a'))]))[0]?.kind).toBe('done');
    await expect(stat(lock)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a lock that is held is waited for', async () => {
    const store = await prepared();
    const lock = join(root, 'sync/lock');
    await mkdir(lock);
    const released = new Promise((resolve) => setTimeout(resolve, 700)).then(() =>
      rm(lock, { recursive: true }),
    );
    const started = Date.now();
    expect((await store.commit([create('a.json', credential('a'))]))[0]?.kind).toBe('done');
    expect(Date.now() - started).toBeGreaterThan(600);
    await released;
  });
});
