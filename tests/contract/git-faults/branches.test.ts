/** The Git store: what its branches hold. */
import { mkdir, rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { git } from '../../support/git.ts';
import { create, credential, entry, errorOf, named, versionIn } from '../vocabulary.ts';
import { anotherWorld, prepared, RECORDS, world } from './git-store.ts';

describe('the branches', () => {
  test('hold what CLIProxyAPI has in its layout, and nothing else; each is one parentless commit of its', async () => {
    const store = await prepared();
    const bytes = credential('a');
    await store.commit([{ ...create('team/a.json', bytes), keepAside: [Buffer.from('x')] }]);
    await store.commitConfig({ bytes: Buffer.from('port: 1\n'), seen: undefined, keep: [] });
    const id = versionIn(bytes);
    expect(world.outside.files('master')).toEqual([
      'auths/.gitkeep',
      'auths/team/a.json',
      'config/.gitkeep',
      'config/config.yaml',
    ]);
    expect(world.outside.files(RECORDS)).toEqual([
      'backup/auths/team/a.json',
      `sync/history/team/a.json/${id}.json`,
      `sync/history/team/a.json/${id}.meta.json`,
      'sync/rejected/team/a.json/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
      'sync/store.json',
    ]);
    for (const branch of ['master', RECORDS])
      expect(git(world.path, ['log', '--format=%an <%ae> %cn <%ce> [%P]', branch]).toString()).toBe(
        'CLIProxyAPI <cliproxy@local> CLIProxyAPI <cliproxy@local> []\n',
      );
    expect(git(world.path, ['fsck', '--strict', '--no-dangling']).toString()).toBe('');
  });

  test('of a changed credential are replaced in one push, and a look at what has not moved fetches nothing', async () => {
    const { server, http } = await world.serve();
    await prepared(http);
    const store = world.open(http);
    const seen = server.requests.length;
    await store.list();
    expect(server.requests.slice(seen).filter((line) => line.startsWith('POST'))).toHaveLength(1);
    await store.commit([create('a.json', credential('a'))]);
    const pushes = server.requests.filter((line) => /POST .*receive-pack/.test(line));
    // The new branch, the marker, and this.
    expect(pushes).toHaveLength(3);
  });

  test.each(['main', 'master', 'trunk'])('the default branch is taken where it is %s', async (branch) => {
    await anotherWorld(branch);
    world.outside.write(branch, { 'auths/a.json': credential('a') });
    world.outside.write('zebra', { 'auths/b.json': credential('b') });
    const store = await prepared();
    expect([...(await store.list()).current.keys()]).toEqual(['a.json']);
    await store.commit([create('c.json', credential('c'))]);
    expect(world.outside.files(branch)).toEqual(['auths/a.json', 'auths/c.json']);
    expect(world.outside.files('zebra')).toEqual(['auths/b.json']);
  });

  test('an empty repository gets master first, as from CLIProxyAPI, and another branch if that is set', async () => {
    await prepared();
    expect(world.outside.refs()).toMatch(/cliproxyapi-sync\n.*refs\/heads\/master\n$/);
    await anotherWorld();
    await prepared({ branch: 'logins' });
    expect(world.outside.refs()).toMatch(/cliproxyapi-sync\n.*refs\/heads\/logins\n$/);
  });

  test('a branch that is set and not there is made, and the others stay', async () => {
    const others = world.outside.write('master', { README: Buffer.from('a project') });
    const store = await prepared({ branch: 'logins' });
    await store.commit([create('a.json', credential('a'))]);
    expect(world.outside.head('master')).toBe(others);
    expect(world.outside.files('logins')).toContain('auths/a.json');
    expect(world.outside.files('logins')).not.toContain('README');
  });

  test('our own branch as the default branch is a mistake in the settings, and says how to mend it', async () => {
    await prepared();
    git(world.path, ['symbolic-ref', 'HEAD', `refs/heads/${RECORDS}`]);
    const { kind, message, remedy } = await errorOf(world.open().list());
    expect(kind).toBe('configuration');
    expect(message).toMatch(/default branch of .* is cliproxyapi-sync/);
    expect(remedy).toMatch(/Make master the default branch/);
  });

  test('a repository with SHA-256 objects is refused', async () => {
    await rm(world.path, { recursive: true });
    await mkdir(world.path);
    git(world.path, ['init', '--quiet', '--bare', '--object-format=sha256']);
    const tree = git(world.path, ['mktree'], { input: Buffer.alloc(0) })
      .toString()
      .trim();
    const commit = git(world.path, ['commit-tree', '-m', 'x', tree]).toString().trim();
    git(world.path, ['update-ref', 'refs/heads/master', commit]);
    expect(await errorOf(world.open().list())).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('SHA-256'),
    });
  });

  test('are asked of the server again where a change has nothing to write to one of them', async () => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    world.outside.write('master', { 'auths/a.json': credential('b') });
    const put = { kind: 'put', bytes: credential('a'), seen: undefined } as const;
    expect(await store.commit([{ name: named('a.json'), keep: [], current: put }])).toEqual([
      { kind: 'lost', step: 'current' },
    ]);
    const keep = [entry(credential('new'))];
    world.outside.write('master', { 'auths/a.json': credential('c') });
    expect(
      await store.commit([{ name: named('a.json'), keep, current: { ...put, bytes: credential('b') } }]),
    ).toEqual([{ kind: 'lost', step: 'current' }]);
  });

  test('a store that was only looked at is as it was', async () => {
    const store = world.open();
    expect((await store.list()).present).toBe(false);
    await store.history();
    await store.readConfig();
    expect(world.outside.refs()).toBe('');
  });
});
