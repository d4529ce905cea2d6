import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ensureDirectory,
  fsyncDirectory,
  isTemporaryName,
  writeFileAtomically,
} from '../../../ts/src/files/atomic-write.ts';

let home: string;
let target: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'atomic-'));
  target = join(home, 'a.json');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

describe('a file written in one step', () => {
  test('has the bytes, the mode whatever the umask, and nothing beside it', async () => {
    const before = process.umask(0o277);
    try {
      await writeFileAtomically(target, Buffer.from('one'), { mode: 0o640 });
    } finally {
      process.umask(before);
    }
    expect([await readFile(target, 'utf8'), await modeOf(target), await readdir(home)]).toEqual([
      'one',
      '640',
      ['a.json'],
    ]);
  });

  test('is for its owner alone if nothing else is said, also where the old one was not', async () => {
    await writeFile(target, 'old', { mode: 0o666 });
    await writeFileAtomically(target, Buffer.from('new'));
    expect([await readFile(target, 'utf8'), await modeOf(target)]).toEqual(['new', '600']);
  });

  test('is under a name that no watcher loads until it is whole', async () => {
    let seen: string[] = [];
    await writeFileAtomically(target, Buffer.from('one'), {
      beforeRename: async () => {
        seen = await readdir(home);
      },
    });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatch(/^\..*(?<!\.json)$/);
    expect(isTemporaryName(seen[0] ?? '')).toBe(true);
    expect(isTemporaryName('a.json')).toBe(false);
  });

  test('is not written if the last look says no: the old one stays, and nothing beside it', async () => {
    await writeFile(target, 'old');
    const writing = writeFileAtomically(target, Buffer.from('new'), {
      beforeRename: () => {
        throw new Error('it changed meanwhile');
      },
    });
    await expect(writing).rejects.toThrow('it changed meanwhile');
    expect([await readFile(target, 'utf8'), await readdir(home)]).toEqual(['old', ['a.json']]);
  });

  test('takes the place of a symbolic link, and is not written through it', async () => {
    const other = join(home, 'other');
    await writeFile(other, 'other');
    await symlink(other, target);
    await writeFileAtomically(target, Buffer.from('new'));
    expect([await readFile(other, 'utf8'), await readFile(target, 'utf8')]).toEqual(['other', 'new']);
  });

  test('fails whole where a directory has its name, or its directory is missing', async () => {
    await mkdir(target);
    await expect(writeFileAtomically(target, Buffer.from('new'))).rejects.toMatchObject({ code: 'EISDIR' });
    expect(await readdir(home)).toEqual(['a.json']);
    await expect(writeFileAtomically(join(home, 'none', 'a'), Buffer.from('x'))).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  test('may leave the directory to one sync at the end', async () => {
    await writeFileAtomically(target, Buffer.from('one'), { syncDirectory: false });
    await fsyncDirectory(home);
    expect(await readFile(target, 'utf8')).toBe('one');
  });
});

describe('a directory that is made', () => {
  test('has its mode, those above it too, whatever the umask; one that is there keeps its own', async () => {
    const before = process.umask(0o277);
    try {
      await ensureDirectory(join(home, 'a/b/c'), 0o750);
    } finally {
      process.umask(before);
    }
    expect([await modeOf(join(home, 'a')), await modeOf(join(home, 'a/b/c'))]).toEqual(['750', '750']);
    await ensureDirectory(join(home, 'a'));
    expect(await modeOf(join(home, 'a'))).toBe('750');
  });

  test('is no error at once from several sides', async () => {
    await Promise.all(Array.from({ length: 8 }, () => ensureDirectory(join(home, 'x/y/z'))));
    expect((await stat(join(home, 'x/y/z'))).isDirectory()).toBe(true);
  });

  test('is an error where a file has its name', async () => {
    await writeFile(target, '');
    await expect(ensureDirectory(target)).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(ensureDirectory(join(target, 'x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  test.skipIf(process.platform !== 'linux')(
    'is an error where the system makes none, and no endless try',
    async () => {
      await expect(ensureDirectory('/proc/cliproxyapi-sync')).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(ensureDirectory('/proc/cliproxyapi-sync/x')).rejects.toMatchObject({ code: 'ENOENT' });
    },
  );
});
