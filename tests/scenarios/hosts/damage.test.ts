/** Real files, `run` over several hosts' folders and one store: a damaged state or store. */
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { StoreError } from '../../../ts/src/stores/store.ts';
import { fingerprint, type Host, login, world } from '../world.ts';
import { A, agreed, settle } from './rounds.ts';

describe('Damage', () => {
  test.each<[string, (path: string) => void, (path: string) => void]>([
    ['a link', (path) => symlinkSync('/nowhere', path), (path) => rmSync(path)],
    ['a folder', (path) => mkdirSync(path), (path) => rmSync(path, { recursive: true })],
  ])('%s that took the place of a login and is taken away again deletes nothing', async (_, put, take) => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1), 'b.json': login(1) });
    const [laptop, server] = hosts as [Host, Host];
    const path = join(laptop.directories.auth, A);
    rmSync(path);
    put(path);
    expect((await laptop.run()).problems).toMatchObject([{ subject: A, place: 'auth' }]);
    take(path);
    await settle(where, hosts);
    expect([laptop.read('auth', A), server.read('auth', A)]).toEqual([login(1), login(1)]);
    // And what is deleted then is a deletion.
    laptop.remove('auth', A);
    await settle(where, hosts);
    expect(server.names('auth')).toEqual(['b.json']);
  });

  test('a credential whose history cannot be read waits for a person, and the others go on', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1), 'b.json': login(1) });
    const [laptop, server] = hosts as [Host, Host];
    for (const name of [A, 'b.json', 'c.json']) laptop.put('auth', name, login(2));
    await laptop.sync();
    for (const name of [A, 'b.json', 'c.json']) server.put('auth', name, login(3, { note: 'server' }));
    const broken = new StoreError('unreachable', 'The disk answers no more.', 'Try again.');
    const report = await server.run({
      through: (store) => ({
        ...store,
        history: async (names) => {
          if (names?.includes(A as never)) throw broken;
          return store.history(names);
        },
      }),
    });
    expect(report.exitCode).toBe(1);
    expect(report.problems).toMatchObject([
      { subject: A, place: 'store', reason: expect.stringContaining('The disk answers no more') },
    ]);
    expect(where.stored(`auths/${A}`)).toEqual(login(2));
    expect(server.read('auth', A)).toEqual(login(3, { note: 'server' }));
    expect(where.stored('auths/b.json')).toMatchObject({ note: 'server' });
    await settle(where, hosts);
    expect(laptop.read('auth', A)).toMatchObject({ note: 'server' });
  });

  test.each([
    ['for any', 75, (): string[] => []],
    ['for any, and the store with it', 75, () => ['list']],
  ])('where history cannot be read %s, nothing is done, and it is tried again', async (_, code, besides) => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1), 'b.json': login(1) });
    const [laptop, server] = hosts as [Host, Host];
    for (const name of [A, 'b.json']) laptop.put('auth', name, login(2));
    await laptop.sync();
    for (const name of [A, 'b.json']) server.put('auth', name, login(3, { note: 'server' }));
    const before = fingerprint(where.storePath);
    let failing = false;
    const fail = async () => {
      failing = true;
      throw new StoreError('unreachable', 'The disk answers no more.', 'Try again.');
    };
    const report = await server.run({
      through: (store) => ({
        ...store,
        history: fail,
        list: () => (failing && besides().includes('list') ? fail() : store.list()),
      }),
    });
    expect([report.exitCode, report.storeError?.message]).toEqual([code, 'The disk answers no more.']);
    expect(fingerprint(where.storePath)).toEqual(before);
    expect(server.read('auth', A)).toEqual(login(3, { note: 'server' }));
  });

  test('so much that is no credential is named, and no more of it held in memory than some', async () => {
    const where = world();
    const laptop = where.host('laptop');
    laptop.put('auth', A, login(1));
    await laptop.sync();
    const garbage = 'x'.repeat(1024 * 1024 - 1);
    for (let index = 0; index < 40; index++) where.store.put('auths', `garbage-${index}.json`, garbage);
    const report = await laptop.run();
    const said = report.problems.map(({ reason }) => reason);
    expect(said).toHaveLength(40);
    expect(said.filter((reason) => reason.includes('not looked at further'))).toHaveLength(8);
    expect(where.store.names('auths')).toContain(A);
  });

  test('a login that was refreshed elsewhere and then taken out of the store by hand is not healed with the old one', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1), 'b.json': login(1) });
    const [laptop, server] = hosts as [Host, Host];
    server.put('auth', A, login(2));
    await server.sync();
    where.store.remove('auths', A);
    where.store.remove('backup/auths', A);
    await laptop.sync();
    expect(where.stored(`auths/${A}`)).toEqual(login(2));
    await settle(where, hosts);
    expect(laptop.read('auth', A)).toEqual(login(2));
  });
});
