/** Restoring, as users of several hosts see it: the real `run` on real files. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Content, type Host, killedAt, login, unreachable, type World, world } from '../world.ts';
import { A, expectToken, key, refreshedOnce, restore, token, tokensInHistory, version } from './choosing.ts';

describe('A restored version', () => {
  test('is current on every host, one that was offline included; fields that we do not know are as they were', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    const report = await restore(laptop, login(1));
    expect(report.exitCode).toBe(0);
    await expectToken(where, [laptop, server, phone], 'access-01');
    const { cliproxyapi_sync_restored: mark, ...rest } = server.read('auth', A) ?? {};
    expect(rest).toEqual(login(1));
    expect(mark).toMatchObject({ tokens: { last_refresh: login(1).last_refresh } });
    expect(tokensInHistory(where)).toContain('access-02');
  });

  test('its entry in history says who restored it, from which version, and what it replaced', async () => {
    const where = world();
    const [laptop] = await refreshedOnce(where);
    await restore(laptop, login(1));
    const folder = join(where.storePath, 'sync/history', A);
    const records = readdirSync(folder)
      .filter((name) => name.endsWith('.meta.json'))
      .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
    const short = version(login(1)).id.slice(0, 12);
    const restored = records.find(({ reason }) => reason === `restored by laptop from version ${short}`);
    expect(restored).toMatchObject({
      host: 'laptop',
      replaces: [version(login(2)).id, version(login(1)).id],
    });
  });

  test('stands against proxies that write back what they held, on every host, with a field more too', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    await phone.sync();
    await restore(laptop, login(1));
    laptop.put('auth', A, login(2));
    await laptop.sync();
    expect(token(laptop)).toBe('access-01');
    // Not byte for byte what was replaced: no list knows it.
    laptop.put('auth', A, login(2, { claude_device_ids: 'laptop' }));
    server.put('auth', A, login(2, { claude_device_ids: 'server', disabled: false }));
    phone.put('ccs', A, login(2, { note: 'phone' }));
    await expectToken(where, [server, laptop, phone], 'access-01');
  });

  test('wins over a refresh that a host made before it while it was offline; that one is in history', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    phone.put('auth', A, login(5));
    await restore(laptop, login(1));
    await expectToken(where, [phone, server, laptop], 'access-01');
    expect(tokensInHistory(where)).toContain('access-05');
  });

  test('is refreshed and replaced like any other: what comes after it wins', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    await restore(laptop, login(1));
    await server.sync();
    const after = new Date(Date.now() + 1000).toISOString();
    server.put('auth', A, { ...server.read('auth', A), access_token: 'after', last_refresh: after });
    await expectToken(where, [server, phone, laptop], 'after');
    const later = new Date(Date.now() + 5000).toISOString();
    laptop.put('auth', A, { ...login(1), access_token: 'login', last_refresh: later });
    await expectToken(where, [phone, laptop, server], 'login');
  });

  test('can be undone, and that too, any number of times', async () => {
    const where = world();
    const hosts = await refreshedOnce(where);
    const [laptop, server, phone] = hosts;
    const turns: readonly (readonly [Host, number])[] = [
      [laptop, 1],
      [server, 2],
      [phone, 1],
      [phone, 2],
    ];
    for (const [host, hour] of turns) {
      await host.sync();
      expect((await restore(host, login(hour))).exitCode).toBe(0);
      await expectToken(where, hosts, `access-0${hour}`);
    }
  });

  test('a version that was restored before can be restored again', async () => {
    const where = world();
    const hosts = await refreshedOnce(where);
    const [laptop, server] = hosts;
    await restore(laptop, login(1));
    const first = laptop.read('auth', A) ?? {};
    await restore(laptop, login(2));
    await restore(server, first);
    await expectToken(where, hosts, 'access-01');
  });

  test('one without dates wins too, and the next key that is imported replaces it', async () => {
    const where = world();
    const [laptop, server, phone] = [where.host('laptop'), where.host('server'), where.host('phone')];
    laptop.put('auth', A, key('k1'));
    for (const host of [laptop, server, phone]) await host.sync();
    laptop.put('auth', A, key('k2'));
    for (const host of [laptop, server]) await host.sync();
    await restore(server, key('k1'));
    for (const host of [phone, laptop, server, phone, laptop]) await host.sync();
    for (const host of [laptop, server, phone]) expect(host.read('auth', A)?.private_key).toBe('k1');
    phone.put('auth', A, key('k3'));
    for (const host of [phone, laptop, server]) await host.sync();
    for (const host of [laptop, server, phone]) expect(host.read('ccs', A)?.private_key).toBe('k3');
  });

  test('one of a provider without last_refresh: the next login replaces it', async () => {
    const where = world();
    const [laptop, server] = [where.host('laptop'), where.host('server')];
    const start = Date.now();
    const soon = (minutes: number, name: string): Content => ({
      type: 'antigravity',
      access_token: name,
      expired: new Date(start + minutes * 60_000).toISOString(),
    });
    laptop.put('auth', A, soon(10, 'one'));
    await laptop.sync();
    laptop.put('auth', A, soon(50, 'two'));
    for (const host of [laptop, server]) await host.sync();
    await restore(laptop, soon(10, 'one'));
    server.put('auth', A, { ...soon(50, 'two'), note: 'written back' });
    await expectToken(where, [server, laptop], 'one');
    server.put('auth', A, soon(70, 'three'));
    await expectToken(where, [server, laptop], 'three');
  });

  test('another host is faster: planned again, the restored one is current and the other in history', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    let raced = false;
    const report = await restore(laptop, login(1), {
      through: (store) => ({
        ...store,
        async commit(changes) {
          if (!raced) {
            raced = true;
            server.put('auth', A, login(6));
            await server.sync();
          }
          return store.commit(changes);
        },
      }),
    });
    expect(report.exitCode).toBe(0);
    await expectToken(where, [laptop, server, phone], 'access-01');
    expect(tokensInHistory(where)).toContain('access-06');
  });

  test('a refresh by a proxy that is quicker than the run is not undone by it', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    let refreshed = false;
    const later = new Date(Date.now() + 60_000).toISOString();
    await restore(laptop, login(1), {
      through: (store) => ({
        ...store,
        async commit(changes) {
          const outcomes = await store.commit(changes);
          if (!refreshed) {
            refreshed = true;
            // The server has the restored one already, and its proxy refreshes it.
            await server.sync();
            server.put('auth', A, { ...server.read('auth', A), access_token: 'fresh', last_refresh: later });
            await server.sync();
            // Something else in the laptop's auth dir makes its run go round again.
            laptop.put('auth', A, login(2, { disabled: false }));
          }
          return outcomes;
        },
      }),
    });
    await expectToken(where, [laptop, server, phone], 'fresh');
  });

  test('a refresh by this host’s own proxy, in the middle of the run, is not undone by it', async () => {
    const where = world();
    const [laptop, server, phone] = await refreshedOnce(where);
    const later = new Date(Date.now() + 60_000).toISOString();
    await restore(laptop, login(1), {
      through: (store) => ({
        ...store,
        async commit(changes) {
          const outcomes = await store.commit(changes);
          if (token(laptop) !== 'fresh')
            laptop.put('auth', A, { ...login(1), access_token: 'fresh', last_refresh: later });
          return outcomes;
        },
      }),
    });
    await expectToken(where, [laptop, server, phone], 'fresh');
  });

  test.each(['nothing', 'history', 'tombstone', 'current', 'all'] as const)(
    'killed when the store had %s of it: nothing is lost, and the next restore is as good as the first',
    async (keeps) => {
      const where = world();
      const hosts = await refreshedOnce(where);
      const [laptop, server, phone] = hosts;
      await expect(restore(laptop, login(1), { through: killedAt(keeps) })).rejects.toThrow('killed');
      for (const host of [server, phone, laptop]) await host.sync();
      const kept = [...tokensInHistory(where), ...hosts.map((host) => token(host))];
      expect(kept).toContain('access-01');
      expect(kept).toContain('access-02');
      const reached = keeps === 'current' || keeps === 'all';
      await expectToken(where, hosts, reached ? 'access-01' : 'access-02');
      await restore(laptop, login(1));
      await expectToken(where, hosts, 'access-01');
    },
  );

  test('is not lost to the version that it was made of, on a host that remembers nothing', async () => {
    const where = world();
    const [laptop, server] = [where.host('laptop'), where.host('server')];
    laptop.put('auth', A, key('k1'));
    await laptop.sync();
    // A native proxy's, of which none of our programs knew when the server came.
    where.store.put('auths', A, key('k2'));
    where.store.put('backup/auths', A, key('k2'));
    await restore(server, key('k1'));
    rmSync(laptop.stateDir, { recursive: true });
    await laptop.sync();
    const restored = { private_key: 'k1', cliproxyapi_sync_restored: expect.anything() };
    expect(laptop.read('auth', A)).toMatchObject(restored);
    expect(where.stored(`auths/${A}`)).toMatchObject(restored);
  });

  test('without the store nothing is restored, and nothing else is done either', async () => {
    const where = world();
    const [laptop] = await refreshedOnce(where);
    laptop.put('ccs', A, login(3));
    const report = await restore(laptop, login(1), { through: unreachable });
    expect(report.exitCode).toBe(75);
    expect(token(laptop)).toBe('access-02');
    expect(token(laptop, 'ccs')).toBe('access-03');
  });

  test('other credentials are left alone, the guard included', async () => {
    const where = world();
    const [laptop] = await refreshedOnce(where);
    for (const name of ['b.json', 'c.json', 'd.json']) laptop.put('auth', name, login(1));
    await laptop.sync();
    for (const name of ['b.json', 'c.json', 'd.json']) laptop.remove('auth', name);
    laptop.put('auth', 'bad.json', '{');
    const report = await restore(laptop, login(1));
    expect(report.exitCode).toBe(0);
    expect(report.guard).toBeUndefined();
    expect(laptop.names('auth')).toEqual([A, 'bad.json']);
    expect(where.store.names('sync/tombstones')).toEqual([]);
  });
});

describe('A deleted credential that is restored', () => {
  async function deleted(where: World, content: Content): Promise<[Host, Host, Host]> {
    const [laptop, server, phone] = [where.host('laptop'), where.host('server'), where.host('phone')];
    laptop.put('auth', A, content);
    laptop.put('auth', 'b.json', login(1));
    for (const host of [laptop, server, phone]) await host.sync();
    laptop.remove('auth', A);
    for (const host of [laptop, server]) await host.sync();
    expect(where.store.names('sync/tombstones')).toEqual([A]);
    return [laptop, server, phone];
  }

  test.each([
    ['a login', login(1), 'access-01'],
    ['a key without dates', { ...key('k1'), access_token: 'k1' }, 'k1'],
  ] as const)('%s lives on every host, and its tombstone is gone', async (_, content, expected) => {
    const where = world();
    const hosts = await deleted(where, content);
    const [laptop, server, phone] = hosts;
    expect((await restore(server, content)).exitCode).toBe(0);
    expect(where.store.names('sync/tombstones')).toEqual([]);
    await expectToken(where, [phone, laptop, server], expected);
    // And it can be deleted again.
    phone.remove('auth', A);
    await expectToken(where, [phone, laptop, server], undefined);
  });

  test.each(['history', 'tombstone', 'current'] as const)(
    'killed when the store had %s of it: still in history, and the next restore brings it back',
    async (keeps) => {
      const where = world();
      const [laptop, server, phone] = await deleted(where, login(1));
      await expect(restore(laptop, login(1), { through: killedAt(keeps) })).rejects.toThrow('killed');
      for (const host of [server, laptop]) await host.sync();
      expect(tokensInHistory(where)).toContain('access-01');
      await restore(laptop, login(1));
      await expectToken(where, [laptop, server, phone], 'access-01');
    },
  );

  test('one that only history knows is written everywhere', async () => {
    const where = world();
    const [laptop, server, phone] = await deleted(where, login(1));
    await phone.sync();
    // As if the record had been removed by hand, and every host's state lost.
    where.store.remove('sync/tombstones' as 'auths', A);
    const fresh = where.host('fresh');
    await restore(fresh, login(1));
    await expectToken(where, [fresh, laptop, server, phone], 'access-01');
  });
});
