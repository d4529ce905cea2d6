/** Real files, `run` over several hosts' folders and one store: hosts at the same time. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Host, login, world } from '../world.ts';
import { A, agreed, settle } from './rounds.ts';

describe('Several hosts', () => {
  test('hosts that change the same credentials at once: all changes live or are in history; all equal in the end', async () => {
    const where = world();
    const names = Array.from({ length: 5 }, (_, index) => `n${index}.json`);
    const hosts = await agreed(
      where,
      ['laptop', 'server', 'desktop'],
      Object.fromEntries(names.map((name) => [name, login(1)])),
    );
    for (const [index, host] of hosts.entries())
      for (const name of names) host.put('auth', name, login(2 + index, { [host.name]: true }));
    await Promise.all(hosts.map((host) => host.sync()));
    await settle(where, hosts);
    for (const name of names) {
      expect(where.stored(`auths/${name}`)).toEqual(login(4, { laptop: true, server: true, desktop: true }));
      const kept = where.store.history(name).map(({ access_token }) => access_token);
      expect(kept).toEqual(expect.arrayContaining(['access-02', 'access-03', 'access-04']));
    }
  });

  test('a native proxy writes the same store without conditions: its version is taken like any other', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1) });
    where.store.put('auths', A, login(2));
    await settle(where, hosts);
    expect(hosts[1]?.read('auth', A)).toEqual(login(2));
  });

  test('a change made in a watched directory while the run works is not forgotten', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    laptop.put('auth', A, login(2));
    let done = false;
    await laptop.sync({
      through: (store) => ({
        ...store,
        async commit(changes) {
          const outcomes = await store.commit(changes);
          if (!done) laptop.put('auth', 'b.json', login(1));
          done = true;
          return outcomes;
        },
      }),
    });
    expect(where.store.names('auths')).toEqual([A, 'b.json']);
  });

  test('what the guard held back is said, though a login in the middle of the run makes it go round again', async () => {
    const where = world();
    const logins = { [A]: login(1), 'b.json': login(1), 'c.json': login(1) };
    const [laptop] = (await agreed(where, ['laptop'], logins)) as [Host];
    for (const name of Object.keys(logins)) laptop.remove('auth', name);
    let listings = 0;
    const report = await laptop.run({
      through: (store) => ({
        ...store,
        async list() {
          const listing = await store.list();
          // After the files were listed, and before the run looks at them a second time.
          if (++listings === 1) setTimeout(() => laptop.put('auth', 'new.json', login(2)), 250);
          return listing;
        },
      }),
    });
    expect(listings).toBe(2);
    expect(report.exitCode).toBe(1);
    expect(report.guard?.names).toEqual(Object.keys(logins));
    expect(laptop.names('auth')).toEqual([...Object.keys(logins), 'new.json']);
  });

  test('a place that cannot be written keeps its base; the others go on, and a deletion there stays one', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], {
      'team.json': login(1),
      [A]: login(1),
      'b.json': login(1),
    })) as [Host];
    // A folder has the name that the CCS dir's file would have.
    rmSync(join(laptop.directories.ccs, A));
    mkdirSync(join(laptop.directories.ccs, A));
    laptop.put('auth', A, login(2));
    await laptop.run();
    expect(where.stored(`auths/${A}`)).toEqual(login(2));
    laptop.remove('auth', A);
    await laptop.run();
    expect(laptop.names('auth')).toEqual(['b.json', 'team.json']);
    expect(where.store.names('auths')).toEqual(['b.json', 'team.json']);
  });
});
