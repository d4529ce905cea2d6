/** What killed processes leave, and who clears it away. */
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeOldTemporaryFiles } from '../../../ts/src/files/leftovers.ts';
import { directoryStore } from '../../../ts/src/stores/directory.ts';

const OLD = new Date(Date.now() - 25 * 60 * 60 * 1000);
const temporary = (digit: string) => `.cliproxyapi-sync-${digit.repeat(16)}.tmp`;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'leftovers-'));
  await mkdir(join(root, 'history/a.json'), { recursive: true });
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function put(path: string, time?: Date): Promise<void> {
  await writeFile(join(root, path), 'x');
  if (time) await utimes(join(root, path), time, time);
}

test('temporary files go after a day, at every depth; younger ones, and all that has another name, stay', async () => {
  await put(temporary('a'), OLD);
  await put(`history/a.json/${temporary('b')}`, OLD);
  await put(`history/a.json/${temporary('c')}`);
  await put('history/a.json/kept.json', OLD);
  await put('.cliproxyapi-sync', OLD);
  await removeOldTemporaryFiles(root);
  expect((await readdir(root, { recursive: true })).sort()).toEqual([
    '.cliproxyapi-sync',
    'history',
    'history/a.json',
    `history/a.json/${temporary('c')}`,
    'history/a.json/kept.json',
  ]);
});

test('what only has such a name is no temporary file; a directory that is not there has none', async () => {
  await mkdir(join(root, temporary('d')));
  await utimes(join(root, temporary('d')), OLD, OLD);
  await put('kept.json', OLD);
  await symlink('kept.json', join(root, temporary('e')));
  await removeOldTemporaryFiles(root);
  await removeOldTemporaryFiles(join(root, 'nowhere'));
  expect(await readdir(root)).toEqual(expect.arrayContaining([temporary('d'), temporary('e'), 'kept.json']));
});

test('the directory store is cleared where its history is pruned', async () => {
  await put(`history/a.json/${temporary('f')}`, OLD);
  const store = directoryStore({ path: root }, { read: () => ({}), write: async () => {} });
  await store.prune([]);
  await store.close();
  expect(await readdir(join(root, 'history/a.json'))).toEqual([]);
});
