/** A directory in which something is in the way, may not be read, or fails. */
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { filesBelow } from '../../ts/src/stores/directory/files.ts';
import { withLock } from '../../ts/src/stores/directory/lock.ts';
import { directoryStore } from '../../ts/src/stores/directory.ts';
import { MAX_OBJECT_BYTES } from '../../ts/src/stores/store.ts';
import { memoryInMemory } from '../support/memory.ts';
import { asOrdinaryUser, giveToOrdinaryUser } from '../support/ordinary-user.ts';
import {
  create,
  credential,
  current,
  entry,
  errorOf,
  MARKER,
  named,
  readAll,
  versionIn,
} from './vocabulary.ts';

let home: string;
let root: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'directory-store-'));
  root = join(home, 'store');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const open = (path = root) => directoryStore({ path }, memoryInMemory());

async function prepared() {
  const store = open();
  await store.prepare(MARKER);
  return store;
}

async function place(key: string, bytes: string | Uint8Array): Promise<string> {
  const path = join(root, key);
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await writeFile(path, bytes);
  return path;
}

async function link(key: string): Promise<void> {
  const path = await place(key, '');
  await rm(path);
  await symlink('/etc/passwd', path);
}

describe('a marker that is not believed', () => {
  test('is one that is a symbolic link, and no other file is believed then', async () => {
    await prepared();
    await link('sync/store.json');
    const { kind, message } = await errorOf(open().list());
    expect([kind, message]).toEqual(['refused', expect.stringMatching(/marker .* symbolic link/)]);
  });

  test('is one that is as large as no marker is', async () => {
    await prepared();
    await place('sync/store.json', Buffer.alloc(MAX_OBJECT_BYTES + 1, ' '));
    expect((await errorOf(open().list())).message).toMatch(/not one that this program can read/);
  });
});

describe('a config that is none', () => {
  test('is one that is too large, or a symbolic link, and is left as it is', async () => {
    const store = await prepared();
    await place('config/config.yaml', Buffer.alloc(MAX_OBJECT_BYTES + 1, '#'));
    expect((await errorOf(store.readConfig())).message).toMatch(/has 1048577 bytes, which is no config/);
    await link('config/config.yaml');
    expect((await errorOf(store.readConfig())).message).toMatch(/symbolic link/);
  });

  test('in its history, or a version that has no record, hides no other', async () => {
    const store = await prepared();
    const kept = { bytes: Buffer.from('port: 1\n'), host: 'laptop', reason: 'new here' };
    await store.commitConfig({ bytes: kept.bytes, seen: undefined, keep: [kept] });
    await link(`sync/config/${'e'.repeat(64)}.yaml`);
    await place(`sync/config/${'d'.repeat(64)}.yaml`, 'port: 2\n');
    const found = await store.configHistory();
    expect(found.map(({ bytes, host }) => [String(bytes), host]).sort()).toEqual([
      ['port: 1\n', 'laptop'],
      ['port: 2\n', ''],
    ]);
  });
});

test('what is no list of pruned versions is none', async () => {
  const store = await prepared();
  const pruned = entry(credential('a'));
  const one = { name: named('a.json'), versions: [pruned.id], superseded: [pruned.id] };
  await store.prune([one]);
  await place('sync/pruned/notes.txt', 'mine');
  expect(await store.pruned()).toEqual(new Map([['a.json', [pruned.id]]]));
});

describe('something is in the way', () => {
  test('of a listing: it is refused, and read as no deletion', async () => {
    await prepared();
    await place('auths', 'a file');
    expect(await errorOf(open().list())).toMatchObject({ kind: 'refused' });
  });

  test('where the store is to be: a file above it, or links that lead nowhere', async () => {
    await writeFile(join(home, 'file'), '');
    await symlink('loop', join(home, 'loop'));
    for (const path of [join(home, 'file', 'store'), join(home, 'loop')])
      expect(await errorOf(open(path).list())).toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/in the way/),
      });
  });

  test('of a credential: one whose folder has its name, or that is in a folder of the other’s name', async () => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    await store.commit([create('b.json/x.json', credential('x'))]);
    const outcomes = await store.commit([
      create('a.json/b.json', credential('b')),
      create('b.json', credential('b')),
    ]);
    expect(outcomes).toMatchObject([
      { kind: 'failed', error: { message: expect.stringMatching(/a credential a\.json too/) } },
      { kind: 'failed' },
    ]);
  });

  test('of what is pruned: a folder in the place of a version', async () => {
    const store = await prepared();
    const id = versionIn(credential('a'));
    await mkdir(join(root, `sync/history/a.json/${id}.json`), { recursive: true });
    const error = await errorOf(store.prune([{ name: named('a.json'), versions: [id], superseded: [id] }]));
    expect(error.kind).toBe('refused');
  });
});

test('a name that is too long for the disk fails alone, and says what to do', async () => {
  const store = await prepared();
  await store.commit([create('b.json', credential('b'))]);
  const long = `${'x'.repeat(300)}.json`;
  const outcomes = await store.commit([create(long, credential('x')), create('a.json', credential('a'))]);
  expect(outcomes).toMatchObject([
    { kind: 'failed', error: { kind: 'refused', message: expect.stringMatching(/path is too long/) } },
    { kind: 'done' },
  ]);
  expect((await errorOf(readAll(store, [current(long)]))).message).toMatch(/path is too long/);
});

test('a look at what is gone meanwhile, or cannot be looked at, differs from one at what is there', async () => {
  const files = filesBelow(root);
  await place('auths/a.json', 'a');
  expect(await files.stamp('auths/b.json')).toBe('');
  expect(await files.stamp('auths/a.json')).not.toBe('');
  await expect(files.stamp(`auths/${'x'.repeat(300)}`)).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
});

test('a socket with a credential’s name holds nobody up', async () => {
  const store = await prepared();
  await mkdir(join(root, 'auths'));
  const server = createServer();
  await new Promise<void>((done) => server.listen(join(root, 'auths/s.json'), done));
  expect(await readAll(store, [current('s.json')])).toMatchObject([
    { kind: 'failed', reason: expect.stringMatching(/no regular file/) },
  ]);
  await new Promise((done) => server.close(done));
});

test('what may not be read by this user is neither gone nor a failure of the store', async () => {
  const store = await prepared();
  await store.commit([create('a.json', credential('a')), create('b.json', credential('b'))]);
  giveToOrdinaryUser(home);
  await chmod(join(root, 'auths/a.json'), 0);
  await asOrdinaryUser(async () => {
    expect([...(await store.list()).current.keys()].sort()).toEqual(['a.json', 'b.json']);
    expect(await readAll(store, [current('a.json'), current('b.json')])).toMatchObject([
      { kind: 'failed', reason: expect.stringMatching(/may not be read by this user/) },
      { kind: 'object' },
    ]);
  });
});

test.runIf(process.platform === 'linux')(
  'a part of the disk that fails makes one file unreadable alone',
  async () => {
    // Address 0 of this process's memory: to read it fails as a broken disk does.
    const files = filesBelow(`/proc/${process.pid}`);
    expect(await files.readEach('mem')).toMatchObject({
      kind: 'unreadable',
      reason: expect.stringMatching(/the disk fails there \(EIO\)/),
    });
  },
);

describe('the lock', () => {
  const sync = () => join(root, 'sync');

  test('that another holds all the time is said, with what to do', async () => {
    await prepared();
    await mkdir(join(sync(), 'lock'));
    const error = await errorOf(withLock(sync(), async () => 'taken', 0));
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/is writing to the store/),
    });
    expect(error.remedy).toMatch(/remove the directory "lock"/);
  });

  test('that was taken away is noticed before the next write', async () => {
    await prepared();
    const files = filesBelow(root);
    const writing = withLock(sync(), async ({ assertHeld }) => {
      await files.write('auths/a.json', credential('a'), assertHeld);
      await rm(join(sync(), 'lock'), { recursive: true });
      await files.write('auths/b.json', credential('b'), assertHeld);
    });
    expect((await errorOf(writing)).kind).toBe('unreachable');
    expect(await files.list('auths/')).toEqual(['auths/a.json']);
  });
});
