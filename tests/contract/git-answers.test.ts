/** A git, a server or a disk that answers now and then as they seldom do. */
import { chmod, mkdir, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { parseCommit } from '../../ts/src/stores/git/branches.ts';
import { CacheDamaged } from '../../ts/src/stores/git/cache.ts';
import { hostOf, lastWords } from '../../ts/src/stores/git/errors.ts';
import type { GitOptions } from '../../ts/src/stores/git/options.ts';
import type { Store } from '../../ts/src/stores/store.ts';
import { git } from '../support/git.ts';
import { type GitWorld, gitWorld } from '../support/git-world.ts';
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

const RECORDS = 'cliproxyapi-sync';

let world: GitWorld;
beforeEach(async () => {
  world = await gitWorld();
});
afterEach(() => world.end());

async function prepared(more: Partial<GitOptions> = {}): Promise<Store> {
  const store = world.open(more);
  await store.prepare(MARKER);
  return store;
}

/** The real git, but for one of its commands, of which a line of shell says what it does instead. */
async function gitBut(command: string, line: string): Promise<string> {
  const path = join(world.home, `git-${command}-${Math.random()}`);
  const text = `#!/bin/sh\nif [ "$1" = ${command} ]; then ${line}; fi\nexec git "$@"\n`;
  await writeFile(path, text, { mode: 0o755 });
  return path;
}
/** The same, the first time alone. */
const gitButOnce = (command: string, line: string) => {
  const flag = join(world.home, `once-${Math.random()}`);
  return gitBut(command, `if [ ! -e ${flag} ]; then touch ${flag}; ${line}; fi`);
};
const says = (words: string, code = 128) => `cat > /dev/null; echo '${words}' >&2; exit ${code}`;

async function cacheDirectory(): Promise<string> {
  const [name = ''] = await readdir(world.cacheDir);
  return join(world.cacheDir, name);
}

describe('which branch has the credentials, where HEAD does not say it', () => {
  const CREDENTIALS = { 'auths/a.json': credential('a') };
  const names = async () => [...(await world.open().list()).current.keys()];

  test('it is the only one', async () => {
    world.outside.write('trunk', CREDENTIALS);
    expect(await names()).toEqual(['a.json']);
  });

  test('it is none of several without a usual name', async () => {
    world.outside.write('one', CREDENTIALS);
    world.outside.write('two', CREDENTIALS);
    expect(await names()).toEqual([]);
  });

  test('it is the one at the commit to which HEAD is detached, and a usual one where there is none', async () => {
    world.outside.write('main', { 'auths/b.json': credential('b') });
    const commit = world.outside.write('trunk', CREDENTIALS);
    git(world.path, ['update-ref', '--no-deref', 'HEAD', commit]);
    expect(await names()).toEqual(['a.json']);
    world.outside.write('trunk', { 'auths/a.json': credential('later') });
    expect(await names()).toEqual(['b.json']);
  });

  test('our own branch alone is none of CLIProxyAPI’s', async () => {
    world.outside.write(RECORDS, { 'sync/x': Buffer.from('x') });
    git(world.path, ['symbolic-ref', 'HEAD', `refs/heads/${RECORDS}`]);
    expect((await errorOf(world.open().list())).remedy).toMatch(/Make another the default branch/);
  });
});

describe('a branch that is gone between two looks', () => {
  test('is looked for again', async () => {
    await prepared();
    await rm(world.cacheDir, { recursive: true });
    const program = await gitButOnce('fetch', `echo "fatal: couldn't find remote ref x" >&2; exit 128`);
    expect((await world.open({ program }).list()).marker).toEqual(MARKER);
  });

  test('again and again is no store that is empty', async () => {
    await prepared();
    await rm(world.cacheDir, { recursive: true });
    const program = await gitBut('fetch', `echo "fatal: couldn't find remote ref x" >&2; exit 128`);
    expect(await errorOf(world.open({ program }).list())).toMatchObject({ kind: 'refused' });
  });
});

describe('what is kept on this host', () => {
  test.each([
    ['fetch', says('error: unable to create temporary file: No such file or directory')],
    ['push', says('error: unable to read askpass response; fatal: bad object')],
    ['fast-import', 'cat > /dev/null; echo nonsense; exit 0'],
    ['cat-file', 'git "$@" | head -c 60; exit 0'],
    ['cat-file', 'while read oid; do echo "$oid missing"; done; exit 0'],
  ])('is thrown away and fetched again where git %s says that it is damaged', async (command, line) => {
    await prepared();
    await rm(world.cacheDir, { recursive: true });
    const store = world.open({ program: await gitButOnce(command, line) });
    expect((await store.list()).marker).toEqual(MARKER);
    expect(await store.commit([create('a.json', credential('a'))])).toMatchObject([{ kind: 'done' }]);
    expect(world.outside.read('master', 'auths/a.json')).toEqual(credential('a'));
  });

  test('is named where it is damaged again at once', async () => {
    await prepared();
    const error = await errorOf(world.open({ program: await gitBut('cat-file', 'exit 3') }).list());
    expect(error.message).toMatch(/What git keeps in .*cache cannot be used: git cat-file: exit code 3\./);
    expect(error.remedy).toMatch(/remove that directory/);
  });

  test('on a full disk is no damage', async () => {
    const program = await gitBut('fast-import', says('fatal: write error: No space left on device'));
    expect(await errorOf(prepared({ program }))).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/disk, or the quota, is full/),
    });
  });

  test('may be removed while a push is under way', async () => {
    await prepared();
    const line = `git "$@"; code=$?; rm -rf ${world.cacheDir}; exit $code`;
    const store = world.open({ program: await gitButOnce('push', line) });
    expect(await store.commit([create('a.json', credential('a'))])).toMatchObject([{ kind: 'done' }]);
    expect((await store.history()).map(({ id }) => id)).toEqual([versionIn(credential('a'))]);
  });

  test('cannot be noted where a directory has the name of the note, and that is said', async () => {
    await prepared();
    await rm(join(await cacheDirectory(), 'heads.json'));
    await mkdir(join(await cacheDirectory(), 'heads.json'));
    expect((await errorOf(world.open().list())).message).toMatch(/Cannot keep a copy in .*in the way/);
  });

  test('is fetched again where the note says nothing of it', async () => {
    await prepared();
    await writeFile(join(await cacheDirectory(), 'heads.json'), '{}');
    expect((await world.open().list()).marker).toEqual(MARKER);
  });

  test('and was received in part by a run that was killed days ago is removed', async () => {
    await prepared();
    const pack = join(await cacheDirectory(), 'objects/pack');
    const longAgo = new Date(Date.now() - 2 * 24 * 3_600_000);
    for (const name of ['tmp_pack_old', 'tmp_pack_new']) await writeFile(join(pack, name), 'half');
    await utimes(join(pack, 'tmp_pack_old'), longAgo, longAgo);
    await world.open().list();
    expect((await readdir(pack)).filter((name) => name.startsWith('tmp_'))).toEqual(['tmp_pack_new']);
  });

  test('and may not be removed by this user is named', async () => {
    await prepared();
    const directory = await cacheDirectory();
    const line = `rm ${join(directory, 'heads.json')}; chmod 500 ${directory}; exit 3`;
    const program = await gitBut('cat-file', line);
    giveToOrdinaryUser(world.home);
    const error = await asOrdinaryUser(() => errorOf(world.open({ program }).list()));
    await chmod(directory, 0o700);
    expect(error.message).toMatch(/Cannot remove the copy of what was fetched in .*: this user may not/);
  });
});

describe('a store that is closed', () => {
  test('ends the git that works on what is here, and begins no other', async () => {
    await prepared();
    const store = world.open({ program: await gitBut('cat-file', 'exec sleep 30') });
    const listing = errorOf(store.list());
    await new Promise((resolve) => setTimeout(resolve, 500));
    await store.close();
    for (const error of [await listing, await errorOf(store.list())])
      expect(error).toMatchObject({ kind: 'unreachable', message: 'Git was ended before it was done.' });
  });

  test('before its git has begun waits for nothing', async () => {
    const store = world.open({ program: '/no/such/git' });
    const listing = errorOf(store.list());
    await store.close();
    expect((await listing).kind).toBe('configuration');
  });
});

describe('the git program', () => {
  test('that cannot be run says why', async () => {
    const loop = join(world.home, 'loop');
    await symlink(loop, loop);
    for (const [program, kind, words] of [
      ['/etc/passwd', 'configuration', /is not there, or cannot be run \(EACCES\)/],
      ['/etc/passwd/git', 'configuration', /is not there, or cannot be run \(ENOTDIR\)/],
      [loop, 'unreachable', /Cannot run git \(ELOOP\)/],
    ] as const)
      expect(await errorOf(world.open({ program }).list())).toMatchObject({
        kind,
        message: expect.stringMatching(words),
      });
  });

  test('is found by its path where there is no PATH', async () => {
    const path = git(world.path, ['--exec-path']).toString().trim();
    const before = process.env.PATH;
    onTestFinished(() => {
      process.env.PATH = before;
    });
    delete process.env.PATH;
    expect((await world.open({ program: join(path, 'git') }).list()).present).toBe(false);
  });

  test('that fails without a word is told by its exit code', async () => {
    expect(
      (await errorOf(world.open({ program: await gitBut('ls-remote', 'exit 7') }).list())).message,
    ).toMatch(/git failed \(exit code 7\)/);
    expect(lastWords('', { username: 'git' })).toBe('');
  });
});

describe('a push', () => {
  test('that does not end is ended, and nothing is said to be done', async () => {
    await prepared();
    const store = world.open({ program: await gitBut('push', 'exec sleep 30'), limits: { commandMs: 700 } });
    expect(await errorOf(store.commit([create('a.json', credential('a'))]))).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/did not answer in time/),
    });
  });

  test('that is refused for the branch of the credentials alone names it, and what to set', async () => {
    const store = await prepared();
    await mkdir(join(world.path, 'hooks'), { recursive: true });
    await writeFile(join(world.path, 'hooks/update'), '#!/bin/sh\n[ "$1" != refs/heads/master ]\n', {
      mode: 0o755,
    });
    const change = { bytes: Buffer.from('port: 1\n'), seen: undefined, keep: [] };
    const error = await errorOf(store.commitConfig(change));
    expect(error.message).toMatch(/refuses to replace the branch master \("hook declined to update/);
    expect(error.remedy).toMatch(/or set GITSTORE_GIT_BRANCH to another branch/);
  });

  test('that is refused without a word of the server is told with what git makes of it', async () => {
    await prepared();
    const line = "printf '!\\tx:refs/heads/master\\t[remote rejected] (no reason at all)\\n'; exit 1";
    const store = world.open({ program: await gitBut('push', line) });
    const [outcome] = await store.commit([create('a.json', credential('a'))]);
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: { message: expect.stringMatching(/the branch master \("no reason at all"\)/) },
    });
  });

  test('that others keep overtaking is given up when its time is up', async () => {
    const store = await prepared({ limits: { writeMs: -1 } });
    await store.list();
    world.outside.write('master', { 'auths/b.json': credential('b') });
    expect(await errorOf(store.commit([create('a.json', credential('a'))]))).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/Others kept writing to/),
    });
  });
});

describe('a try-out', () => {
  test('asks nothing of an empty repository, and goes through where our records alone are', async () => {
    await world.open().tryOut?.();
    world.outside.write(RECORDS, { 'sync/x': Buffer.from('x') });
    const before = world.outside.refs();
    await world.open().tryOut?.();
    expect(world.outside.refs()).toBe(before);
  });

  test.each([
    [
      'as the server says it',
      says('fatal: unable to access: The requested URL returned error: 403'),
      /403|right|denie/i,
    ],
    ['as late', 'exec sleep 30', /did not answer in time/],
  ])('fails where one may not push, %s', async (_, line, words) => {
    await prepared();
    const store = world.open({ program: await gitBut('push', line), limits: { commandMs: 700 } });
    expect((await errorOf(store.tryOut?.() ?? Promise.resolve())).message).toMatch(words);
  });

  test('fetches again what is damaged here', async () => {
    await prepared();
    const program = await gitButOnce('push', says('fatal: bad object 0123'));
    await world.open({ program }).tryOut?.();
  });
});

describe('what is no file', () => {
  const submodule = (branch: string, path: string) => {
    const index = { env: { GIT_INDEX_FILE: join(world.home, 'index') } };
    git(world.path, ['read-tree', branch], index);
    const commit = world.outside.head(branch) ?? '';
    git(world.path, ['update-index', '--add', '--cacheinfo', `160000,${commit},${path}`], index);
    const tree = git(world.path, ['write-tree', '--missing-ok'], index).toString().trim();
    const made = git(world.path, ['commit-tree', tree, '-m', 'x']).toString().trim();
    git(world.path, ['update-ref', `refs/heads/${branch}`, made]);
  };

  test('in the place of the config is refused', async () => {
    const store = await prepared();
    world.outside.write('master', { 'config/config.yaml': Buffer.from('../x') }, { mode: '120000' });
    await store.list();
    expect((await errorOf(store.readConfig())).message).toMatch(
      /is a link or a submodule, which is no config/,
    );
  });

  test('in history, or has no record, hides nothing that is', async () => {
    const store = await prepared();
    const digest = 'd'.repeat(64);
    const id = versionIn(credential('b'));
    expect(await store.configHistory()).toEqual([]);
    await store.commit([create('a.json', credential('a'))]);
    world.outside.write(RECORDS, {
      [`sync/config/${digest}.yaml`]: Buffer.from('port: 1\n'),
      [`sync/history/b.json/${id}.json`]: credential('b'),
      [`sync/history/c.json/${id}.json`]: credential('b'),
    });
    submodule(RECORDS, `sync/config/${'e'.repeat(64)}.yaml`);
    submodule(RECORDS, `sync/history/b.json/${id}.meta.json`);
    submodule(RECORDS, 'sync/pruned/a.json/superseded');
    await store.list();
    expect(await store.pruned()).toEqual(new Map());
    expect(await store.configHistory()).toEqual([
      { bytes: new Uint8Array(Buffer.from('port: 1\n')), host: '', reason: '', arrived: 0 },
    ]);
    const history = await store.history();
    for (const name of ['b.json', 'c.json'])
      expect(history.find((each) => each.name === name)).toEqual({
        name,
        id,
        host: '',
        reason: '',
        replaces: [],
        arrived: 0,
      });
    expect(history).toHaveLength(3);
  });

  test('in the place of the marker is one that no program can read', async () => {
    await prepared();
    world.outside.write(RECORDS, { 'sync/store.json': undefined });
    submodule(RECORDS, 'sync/store.json');
    expect((await errorOf(world.open().list())).message).toMatch(/not one that this program can read/);
  });
});

test('an empty repository has no history of anything', async () => {
  expect(await world.open().configHistory()).toEqual([]);
  expect(await world.open().pruned()).toEqual(new Map());
});

test('a config of a megabyte and more is no config', async () => {
  const store = await prepared();
  world.outside.write('master', { 'config/config.yaml': Buffer.alloc(1024 * 1024 + 1, '#') });
  await store.list();
  expect((await errorOf(store.readConfig())).message).toMatch(/has 1048577 bytes, which is no config/);
});

test('a token on its way in the clear is said, but for this machine', () => {
  const words = (url: string) =>
    world.open({ url, transport: 'http', token: 'secret' }).weaknesses?.().join();
  expect(words('http://git.example.org/logins.git')).toMatch(/the token goes over the network in the clear/);
  expect(words('http://localhost:3000/logins.git')).toBe('');
  expect(words('https://git.example.org/logins.git')).toBe('');
});

test('a name that comes twice is changed in its order', async () => {
  const store = await prepared();
  const first = create('a.json', credential('a'));
  const outcomes = await store.commit([first, first]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(['done', 'done']);
  const tag = outcomes[0]?.kind === 'done' ? (outcomes[0].current ?? '') : '';
  const removal = { name: named('a.json'), keep: [], current: { kind: 'remove', seen: tag } } as const;
  expect((await store.commit([removal, removal])).map(({ kind }) => kind)).toEqual(['done', 'done']);
  expect(await readAll(store, [current('a.json')])).toEqual([{ kind: 'absent' }]);
});

test('the histories of several credentials are pruned in one push', async () => {
  const store = await prepared();
  const names = ['a.json', 'b.json'];
  await store.commit(names.map((name) => ({ name: named(name), keep: [entry(credential(name))] })));
  const entries = names.map((name) => {
    const id = versionIn(credential(name));
    return { name: named(name), versions: [id], superseded: [id] };
  });
  expect(await store.prune(entries)).toBe(2);
  expect(git(world.path, ['log', '--format=%s', RECORDS]).toString()).toBe('Prune 2 auths\n');
});

test('credentials of many megabytes are read in portions', async () => {
  const names = Array.from({ length: 10 }, (_, index) => `${index}.json`);
  const bytes = (name: string) =>
    credential('', JSON.stringify({ type: 'x', name, filler: '0'.repeat(1_000_000) }));
  world.outside.write('master', Object.fromEntries(names.map((name) => [`auths/${name}`, bytes(name)])));
  const answers = await readAll(world.open(), names.map(current));
  expect(
    answers.map(
      (answer) =>
        answer.kind === 'object' &&
        Buffer.from(answer.bytes).equals(bytes(names[answers.indexOf(answer)] ?? '')),
    ),
  ).toEqual(names.map(() => true));
});

test('a commit of no tree is damage, and not one of somebody else', () => {
  expect(() => parseCommit(Buffer.from('no commit'))).toThrow(CacheDamaged);
});

test.each([
  ['git@git.example.org:me/logins', 'git.example.org'],
  ['git.example.org:me/logins', 'git.example.org'],
  ['git@[::1]:me/logins', '[::1]'],
])('the host of %s is %s', (url, host) => {
  expect(hostOf(url)).toBe(host);
});
