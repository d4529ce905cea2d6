/** Forgetting, as users of several hosts see it: the real `run` on real files. */
import { describe, expect, test } from 'vitest';
import { type Content, killedAt, login, world } from '../world.ts';
import { A, expectToken, forget, refreshedOnce, token, tokensInHistory } from './choosing.ts';

describe('Forgetting', () => {
  test('deletes everywhere, also on a host that was offline and refreshed before; history keeps all of it', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    phone.put('auth', A, login(5));
    laptop.put('auth', A, login(4));
    expect((await forget(laptop, [A])).exitCode).toBe(0);
    expect(where.store.names('sync/tombstones')).toEqual([A]);
    for (const host of [phone, server, laptop, phone]) await host.sync();
    for (const host of [laptop, server, phone])
      expect([...host.names('auth'), ...host.names('ccs')], host.name).toEqual([]);
    expect(where.store.names('auths')).toEqual([]);
    expect(where.store.names('backup/auths')).toEqual([]);
    expect(tokensInHistory(where).sort()).toEqual(['access-01', 'access-02', 'access-04', 'access-05']);
  });

  test('is not stopped by the guard, and does not count for it', async () => {
    const where = world();
    const [laptop, server] = [where.host('laptop'), where.host('server')];
    const names = ['a.json', 'b.json', 'c.json', 'd.json', 'e.json'];
    for (const name of names) laptop.put('auth', name, login(1));
    for (const host of [laptop, server]) await host.sync();
    const report = await forget(laptop, ['a.json', 'b.json', 'c.json']);
    expect(report.exitCode).toBe(0);
    expect(laptop.names('auth')).toEqual(['d.json', 'e.json']);
    // Nor on another host, neither at once nor later in the day.
    expect((await server.sync()).guard).toBeUndefined();
    expect(server.names('auth')).toEqual(['d.json', 'e.json']);
    laptop.remove('auth', 'd.json');
    expect((await laptop.sync()).guard).toBeUndefined();
    expect((await server.sync()).guard).toBeUndefined();
    for (const host of [laptop, server]) expect(host.names('auth')).toEqual(['e.json']);
  });

  test('a login after it lives; one that was deleted, lives and is forgotten in one run stays deleted', async () => {
    const where = world();
    const [laptop, server] = await refreshedOnce(where);
    await forget(laptop, [A]);
    const login2 = (seconds: number): Content => ({
      ...login(1),
      access_token: `new ${seconds}`,
      last_refresh: new Date(Date.now() + seconds * 1000).toISOString(),
    });
    server.put('auth', A, login2(10));
    // Over the tombstone that still stands.
    await forget(server, [A]);
    expect(where.store.names('sync/tombstones')).toEqual([A]);
    for (const host of [server, laptop, server]) await host.sync();
    expect([laptop, server].map((host) => token(host))).toEqual([undefined, undefined]);
    server.put('auth', A, login2(100));
    for (const host of [server, laptop]) await host.sync();
    expect([laptop, server].map((host) => token(host))).toEqual(['new 100', 'new 100']);
  });

  test('a login in the middle of the run lives', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    const later = new Date(Date.now() + 60_000).toISOString();
    await forget(laptop, [A], {
      through: (store) => ({
        ...store,
        async commit(changes) {
          const outcomes = await store.commit(changes);
          if (token(laptop) !== 'login')
            laptop.put('auth', A, login(1, { access_token: 'login', last_refresh: later }));
          return outcomes;
        },
      }),
    });
    await expectToken(where, [laptop, server, phone], 'login');
  });

  test.each(['history', 'tombstone', 'current', 'all'] as const)(
    'killed when the store had %s of it: either all there or deleted by the next runs, and kept',
    async (keeps) => {
      const where = world();
      const [laptop, server] = await refreshedOnce(where);
      await expect(forget(laptop, [A], { through: killedAt(keeps) })).rejects.toThrow('killed');
      for (const host of [laptop, server, laptop]) await host.sync();
      const there = [laptop, server].map((host) => token(host));
      const expected = keeps === 'history' ? 'access-02' : undefined;
      expect(there).toEqual([expected, expected]);
      expect(tokensInHistory(where)).toContain('access-02');
    },
  );
});
