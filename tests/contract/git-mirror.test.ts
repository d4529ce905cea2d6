/** The clone in which a native proxy works, made from the store by us before it starts. */
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../ts/src/stores/store.ts';
import { git } from '../support/git.ts';
import { type GitWorld, gitWorld } from '../support/git-world.ts';
import { asOrdinaryUser, giveToOrdinaryUser } from '../support/ordinary-user.ts';
import { credential } from './vocabulary.ts';

let world: GitWorld;
let root: string;
beforeEach(async () => {
  world = await gitWorld();
  root = join(world.home, 'mirror');
});
afterEach(() => world.end());

const mirror = (store = world.open()) => store.prepareMirror?.(root);

async function place(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), bytes);
}

const clone = (...args: readonly string[]) => git(root, args).toString();

describe('the clone of a native proxy', () => {
  const CONFIG = Buffer.from('port: 1\n');
  const NOTES = Buffer.from('mine');

  beforeEach(() => {
    world.outside.write('master', {
      'auths/a.json': credential('a'),
      'auths/same-bytes.json': credential('a'),
      'auths/.gitkeep': new Uint8Array(),
      'auths/no-credential.json': Buffer.from('[]'),
      'config/config.yaml': CONFIG,
      'notes.txt': NOTES,
    });
  });

  test('is at the head of the branch, with nothing to reconcile in what is ours', async () => {
    await place('auths/a.json', credential('a'));
    await place('auths/same-bytes.json', Buffer.from(`${credential('a')}\n`));
    await place('config/config.yaml', Buffer.from('port: 2\n'));
    expect(await mirror()).toEqual([]);
    expect(clone('rev-parse', 'HEAD', 'origin/master')).toBe(`${world.outside.head('master')}\n`.repeat(2));
    expect(clone('remote', 'get-url', 'origin')).toBe(`${world.path}\n`);
    expect(clone('diff', '--name-only', 'HEAD', '--', 'auths/*.json', 'config')).toBe('');
    expect(await readFile(join(root, 'config/config.yaml'))).toEqual(CONFIG);
    expect((await readdir(root)).filter((name) => name.startsWith('.git'))).toEqual(['.git']);
  });

  test('takes the place of the one that was there', async () => {
    await place('.git/HEAD', Buffer.from('nonsense'));
    for (const name of ['auths/a.json', 'auths/same-bytes.json']) await place(name, credential('a'));
    expect(await mirror()).toEqual([]);
    expect(clone('status', '--porcelain', '--', 'auths/a.json')).toBe('');
  });

  test('is not made over a credential of which the directory holds another version, or none', async () => {
    await place('auths/a.json', credential('newer'));
    await place('auths/no-credential.json', Buffer.from('not that one'));
    expect(await mirror()).toEqual(['a.json', 'same-bytes.json']);
    await place('auths/a.json', Buffer.from('half a cred'));
    await place('auths/same-bytes.json', credential('a'));
    expect(await mirror()).toEqual(['a.json']);
    expect(await readdir(root)).toEqual(['auths']);
    expect(await readFile(join(root, 'auths/a.json'), 'utf8')).toBe('half a cred');
  });

  test('that cannot be made leaves nothing behind, and says why', async () => {
    for (const name of ['auths/a.json', 'auths/same-bytes.json']) await place(name, credential('a'));
    await mkdir(join(root, 'config/config.yaml'), { recursive: true });
    const failure = await mirror()?.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/Cannot make a clone in .*mirror \(EISDIR\)/),
    });
    expect((await readdir(root)).filter((name) => /^\.git-/.test(name))).toEqual([]);
  });

  test.each([
    [
      'git fails',
      'cat > /dev/null; echo "fatal: no memory" >&2; exit 128',
      /\(git index-pack: fatal: no memory\)/,
    ],
    ['git says nothing', 'cat > /dev/null; exit 3', /\(git index-pack: 3\)/],
  ])('is not made where %s', async (_, line, words) => {
    for (const name of ['auths/a.json', 'auths/same-bytes.json']) await place(name, credential('a'));
    const program = join(world.home, 'git-but');
    const text = `#!/bin/sh\nif [ "$1 $2" = "index-pack --stdin" ]; then ${line}; fi\nexec git "$@"\n`;
    await writeFile(program, text, { mode: 0o755 });
    await expect(mirror(world.open({ program }))).rejects.toMatchObject({
      message: expect.stringMatching(words),
    });
    expect(await readdir(root)).toEqual(['auths']);
  });

  test('is not made where the store is being closed', async () => {
    for (const name of ['auths/a.json', 'auths/same-bytes.json']) await place(name, credential('a'));
    const program = join(world.home, 'git-slow');
    const text = `#!/bin/sh\nif [ "$1" = pack-objects ]; then exec sleep 30; fi\nexec git "$@"\n`;
    await writeFile(program, text, { mode: 0o755 });
    const store = world.open({ program });
    const making = mirror(store);
    const failed = expect(making).rejects.toThrow('Git was ended before it was done.');
    await new Promise((resolve) => setTimeout(resolve, 700));
    await store.close();
    await failed;
  });
});

test('an empty store has no clone to make', async () => {
  expect(await mirror()).toEqual([]);
  await expect(readdir(root)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a directory that may not be written to is named', async () => {
  world.outside.write('master', { 'auths/.gitkeep': new Uint8Array() });
  const store = world.open();
  await mkdir(root);
  giveToOrdinaryUser(world.home);
  await chmod(root, 0o500);
  await asOrdinaryUser(() =>
    expect(mirror(store)).rejects.toMatchObject({
      message: expect.stringMatching(/Cannot make a clone in .*mirror \(EACCES\)/),
    }),
  );
  await rm(root, { recursive: true });
});
