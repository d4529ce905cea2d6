/** Real files, `run` over several hosts' folders and one store: many deletions at once. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { StoreError } from '../../../ts/src/stores/store.ts';
import { type Host, login, world, write } from '../world.ts';
import { A, agreed, settle } from './rounds.ts';

describe('Guard', () => {
  const six = Object.fromEntries(Array.from({ length: 6 }, (_, index) => [`n${index}.json`, login(1)]));

  test.each<[string, (host: Host) => void, boolean]>([
    [
      'emptied',
      (host) => {
        for (const name of Object.keys(six)) host.remove('auth', name);
      },
      true,
    ],
    ['missing', (host) => rmSync(host.directories.auth, { recursive: true }), false],
    [
      're-made',
      (host) => {
        rmSync(host.directories.auth, { recursive: true });
        mkdirSync(host.directories.auth);
      },
      false,
    ],
    [
      'another disk',
      (host) => {
        rmSync(host.directories.auth, { recursive: true });
        write(join(host.directories.auth, '.cliproxyapi-sync'), '00000000-0000-4000-8000-000000000000\n');
      },
      false,
    ],
  ])('the auth dir is %s: no deletion; files put back', async (_, accident, guarded) => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], six)) as [Host];
    accident(laptop);
    const report = await laptop.run();
    expect(report.exitCode).toBe(guarded ? 1 : 0);
    expect(report.guard?.names ?? []).toEqual(guarded ? Object.keys(six) : []);
    expect(laptop.names('auth')).toEqual(Object.keys(six));
    expect(where.store.names('sync/tombstones')).toEqual([]);
    await settle(where, [laptop]);
  });

  test('a re-made auth dir, a run that dies in the middle of refilling it: what was not put back yet is not deleted', async () => {
    const where = world();
    const laptop = where.host('laptop', { ccs: false });
    laptop.put('auth', A, login(1));
    await laptop.sync();
    rmSync(laptop.directories.auth, { recursive: true });
    mkdirSync(laptop.directories.auth);
    where.store.remove('backup/auths', A);
    const fails = async () => {
      throw new StoreError('unreachable', 'nobody answers.', 'Try again.');
    };
    await laptop.run({ through: (store) => ({ ...store, commit: fails }) });
    await laptop.sync();
    expect(laptop.names('auth')).toEqual([A]);
  });

  test('more than half deleted: named, put back; --allow-delete takes just those', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], six)) as [Host, Host];
    const four = Object.keys(six).slice(0, 4);
    for (const name of four) laptop.remove('auth', name);
    const report = await laptop.run();
    expect(report.guard).toEqual({ names: four, total: 6 });
    expect(laptop.names('auth')).toEqual(Object.keys(six));
    for (const name of four) laptop.remove('auth', name);
    await laptop.sync({ allowDelete: four });
    expect(laptop.names('auth')).toEqual(['n4.json', 'n5.json']);
    const there = await server.run();
    expect(there.held.map(({ name }) => name)).toEqual(four);
    expect(server.names('auth')).toEqual(Object.keys(six));
    await server.sync({ allowDelete: four });
    expect(server.names('auth')).toEqual(['n4.json', 'n5.json']);
  });

  test('a tenth per run, ten runs in an hour: the guard adds them up', async () => {
    const where = world();
    const ten = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`n${index}.json`, login(1)]));
    const [laptop] = (await agreed(where, ['laptop'], ten)) as [Host];
    const codes: number[] = [];
    for (const name of Object.keys(ten)) {
      laptop.remove('auth', name);
      codes.push((await laptop.run()).exitCode);
    }
    expect(codes).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    expect(laptop.names('auth')).toHaveLength(5);
  });

  test('a listing that is refused plans nothing for its place', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], six)) as [Host];
    rmSync(laptop.directories.auth, { recursive: true });
    writeFileSync(laptop.directories.auth, 'a file where the directory was');
    const report = await laptop.run();
    expect(report.exitCode).toBe(1);
    expect(laptop.names('ccs')).toEqual(Object.keys(six));
    expect(where.store.names('sync/tombstones')).toEqual([]);
  });
});
