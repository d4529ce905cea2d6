/** Real files, `run` over several hosts' folders and one store: runs that are killed. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { files, fingerprint, type Host, login, unreachable, world, write } from '../world.ts';
import { A, agreed, killedRun, settle } from './rounds.ts';

describe('Crashes', () => {
  const two = { [A]: login(1), 'b.json': login(1) };

  test.each(['nothing', 'history', 'current', 'all'] as const)(
    'killed when the store has %s: the next run agrees, without a conflict',
    async (keeps) => {
      const where = world();
      const hosts = (await agreed(where, ['laptop', 'server'], two)) as [Host, Host];
      hosts[0].put('auth', A, login(2));
      await killedRun(hosts[0], keeps);
      const report = await hosts[0].sync();
      for (const { plan } of report.results) expect(plan.decision).toMatchObject({ conflict: false });
      await settle(where, hosts);
      expect(where.stored(`auths/${A}`)).toEqual(login(2));
    },
  );

  test('killed between the store and the backup copy, and another host is next: it writes the backup copy', async () => {
    const where = world();
    const hosts = (await agreed(where, ['laptop', 'server'], two)) as [Host, Host];
    hosts[0].put('auth', A, login(2));
    await killedRun(hosts[0], 'current');
    await hosts[1].sync();
    expect(where.stored(`backup/auths/${A}`)).toEqual(login(2));
  });

  test.each(['current', 'all'] as const)(
    'killed when the store has %s; then the file is deleted: a deletion',
    async (keeps) => {
      const where = world();
      const hosts = (await agreed(where, ['laptop', 'server'], two)) as [Host, Host];
      hosts[0].put('auth', A, login(2));
      await killedRun(hosts[0], keeps);
      hosts[0].remove('auth', A);
      await settle(where, hosts);
      expect(where.store.names('auths')).toEqual(['b.json']);
    },
  );

  test('killed after the store write, a run without the store, then the file is deleted: still a deletion', async () => {
    const where = world();
    const laptop = where.host('laptop', { ccs: false });
    for (const [name, content] of Object.entries(two)) laptop.put('auth', name, content);
    await laptop.sync();
    laptop.put('auth', A, login(2));
    await killedRun(laptop, 'all');
    await laptop.run({ through: unreachable });
    laptop.remove('auth', A);
    await laptop.sync();
    expect(laptop.names('auth')).toEqual(['b.json']);
  });

  test('killed before the base was written: with the state of before, the next run agrees', async () => {
    const where = world();
    const hosts = (await agreed(where, ['laptop', 'server'], two)) as [Host, Host];
    const restore = hosts[0].saveState();
    hosts[0].put('auth', A, login(2));
    hosts[0].remove('auth', 'b.json');
    await hosts[0].sync();
    restore();
    await settle(where, hosts);
    expect(where.store.names('auths')).toEqual([A]);
    expect(where.stored(`auths/${A}`)).toEqual(login(2));
  });

  test.each([
    ['lost', (path: string) => rmSync(path)],
    ['torn', (path: string) => ftruncate(path)],
    ['garbage', (path: string) => writeFileSync(path, '\0\0\0\0')],
    ['of another layout', (path: string) => writeFileSync(path, '{"format":1,"credentials":[]}')],
  ])('a base that is %s is a first join: nothing is deleted, tombstones hold', async (_, damage) => {
    const where = world();
    const hosts = (await agreed(where, ['laptop', 'server'], { ...two, 'c.json': login(1) })) as [Host, Host];
    hosts[1].remove('auth', 'c.json');
    await hosts[1].sync();
    hosts[0].remove('auth', A);
    const bases = files(hosts[0].stateDir).filter((path) => path.endsWith('base.json'));
    expect(bases).toHaveLength(1);
    for (const path of bases) damage(path);
    await hosts[0].run();
    await settle(where, hosts);
    expect(where.store.names('auths')).toEqual([A, 'b.json']);
  });

  test.each(['base.json', 'intents.json'])(
    'a %s of a newer program is left untouched, said, and nothing is changed',
    async (file) => {
      const where = world();
      const [laptop] = (await agreed(where, ['laptop'], two)) as [Host];
      laptop.put('auth', A, login(2));
      const path =
        files(laptop.stateDir)
          .find((one) => one.endsWith('base.json'))
          ?.replace('base.json', file) ?? '';
      writeFileSync(path, '{"format":99,"anything":true}');
      const before = fingerprint(where.root).filter((line) => !/lock|state \d/.test(line));
      await expect(laptop.run()).rejects.toThrow(/newer/);
      expect(fingerprint(where.root).filter((line) => !/lock|state \d/.test(line))).toEqual(before);
    },
  );

  test('a store of a newer program is left untouched, and said', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], two)) as [Host];
    const marker = where.stored('sync/store.json');
    write(join(where.storePath, 'sync/store.json'), { ...marker, format: 99 });
    laptop.put('auth', A, login(2));
    await expect(laptop.run()).rejects.toThrow(/newer/);
    expect(where.stored(`auths/${A}`)).toEqual(login(1));
  });
});

function ftruncate(path: string): void {
  writeFileSync(path, readFileSync(path).subarray(0, 40));
}
