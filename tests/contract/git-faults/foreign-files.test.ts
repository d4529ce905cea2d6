/** The Git store: other people's files in the repository. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { StoreError } from '../../../ts/src/stores/store.ts';
import { git } from '../../support/git.ts';
import { create, credential, current, errorOf, MARKER, named, readAll } from '../vocabulary.ts';
import { prepared, RECORDS, world } from './git-store.ts';

describe("other people's files", () => {
  const link = Buffer.from('notes.txt');

  test('stay as they are, whatever their kind, in a branch of one commit', async () => {
    world.outside.write('master', {
      'notes.txt': Buffer.from('mine\r\n'),
      '.gitattributes': Buffer.from('* text=auto eol=crlf ident\n'),
    });
    world.outside.write('master', { link }, { mode: '120000' });
    world.outside.write('master', { 'tools/run': Buffer.from('#!/bin/sh\n') }, { mode: '100755' });
    const submodule = world.outside.head('master') ?? '';
    git(world.path, ['read-tree', 'master'], { env: { GIT_INDEX_FILE: join(world.home, 'index') } });
    git(world.path, ['update-index', '--add', '--cacheinfo', `160000,${submodule},module`], {
      env: { GIT_INDEX_FILE: join(world.home, 'index') },
    });
    const tree = git(world.path, ['write-tree', '--missing-ok'], {
      env: { GIT_INDEX_FILE: join(world.home, 'index') },
    });
    const commit = git(world.path, ['commit-tree', tree.toString().trim(), '-m', 'x']).toString().trim();
    git(world.path, ['update-ref', 'refs/heads/master', commit]);
    const before = git(world.path, ['ls-tree', '-r', 'master']).toString();

    const store = await prepared();
    const bytes = credential('a', '{"type":"claude",\r\n"access_token":"$Id$"}\r\n');
    await store.commit([create('a.json', bytes)]);
    const after = git(world.path, ['ls-tree', '-r', 'master']).toString();
    expect(after.replace(/^.*\tauths\/a\.json\n/m, '')).toBe(before);
    expect(world.outside.read('master', 'auths/a.json')).toEqual(bytes);
  });

  test('with a history are not replaced by one commit: that is refused before anything is written', async () => {
    world.outside.write('master', { 'main.c': Buffer.from('1') }, { email: 'ada@example.org' });
    world.outside.write(
      'master',
      { 'main.c': Buffer.from('2') },
      { email: 'ada@example.org', keepHistory: true },
    );
    const before = world.outside.refs();
    const store = world.open();
    expect((await store.list()).current.size).toBe(0);
    const { kind, message, remedy } = await errorOf(store.prepare(MARKER));
    expect(kind).toBe('refused');
    expect(message).toMatch(/The branch master of .* has a history that is not CLIProxyAPI's/);
    expect(remedy).toMatch(/GITSTORE_GIT_BRANCH/);
    expect(await store.commit([create('a.json', credential('a'))])).toMatchObject([
      { kind: 'failed', error: { kind: 'refused' } },
    ]);
    expect(world.outside.refs()).toBe(before);
  });

  test('on a branch that has our name by accident stay', async () => {
    world.outside.write(RECORDS, { 'package.json': Buffer.from('{}') });
    const before = world.outside.head(RECORDS);
    expect(await errorOf(world.open().prepare(MARKER))).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('package.json'),
    });
    expect(world.outside.head(RECORDS)).toBe(before);
  });

  test('in the place of a credential or a folder are not read or written through, and not replaced', async () => {
    const store = await prepared();
    world.outside.write(
      'master',
      { 'auths/a.json': Buffer.from('../config/config.yaml') },
      { mode: '120000' },
    );
    world.outside.write('master', { 'auths/b.json': credential('b') });
    world.outside.write('master', { 'auths/team/c.json': credential('c') });
    const before = world.outside.head('master');
    const tag = (await store.list()).current.get('a.json')?.tag;
    expect(await readAll(store, [current('a.json')])).toMatchObject([
      { kind: 'failed', reason: expect.stringContaining('symbolic link') },
    ]);
    const changes = [
      { name: named('a.json'), keep: [], current: { kind: 'put', bytes: credential('x'), seen: tag } },
      {
        name: named('b.json/x.json'),
        keep: [],
        current: { kind: 'put', bytes: credential('x'), seen: undefined },
      },
      { name: named('team'), keep: [], current: { kind: 'put', bytes: credential('x'), seen: undefined } },
    ] as const;
    for (const outcome of await store.commit(changes))
      expect(outcome).toMatchObject({ kind: 'failed', step: 'current', error: { kind: 'refused' } });
    expect(world.outside.head('master')).toBe(before);
  });

  test('a file that is called auths is not replaced by a folder', async () => {
    world.outside.write('master', { auths: Buffer.from('a list of people') });
    const store = await prepared();
    expect(await store.commit([create('a.json', credential('a'))])).toMatchObject([
      { kind: 'failed', error: { message: expect.stringMatching(/^auths in the repository is a file/) } },
    ]);
    expect(world.outside.read('master', 'auths')?.toString()).toBe('a list of people');
  });

  test('a huge project is not fetched to its end', async () => {
    world.outside.write('master', {
      'video.mp4': execFileSync('head', ['-c', '12000000', '/dev/urandom'], { maxBuffer: 2e7 }),
    });
    const limits = { fetchBytes: 300_000 };
    const { server, http } = await world.serve();
    server.spoil(({ method }) => (method === 'POST' ? { kind: 'slow' } : undefined));
    const error = await errorOf(
      world
        .open({ ...http, limits })
        .list()
        .then(async () => {
          throw new StoreError('configuration', 'it was fetched', '');
        }),
    );
    expect(error).toMatchObject({ kind: 'refused', message: expect.stringMatching(/hold more than 0 MB/) });
  });
});
