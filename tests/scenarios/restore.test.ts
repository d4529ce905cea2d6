/** Restoring, forgetting and retention, as users of several hosts see them: the real `run` on real files. */
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { parseCredential, type Version } from '../../ts/src/credential/version.ts';
import { forgetting, restoring } from '../../ts/src/history/choices.ts';
import type { HistoryKeep } from '../../ts/src/sync/rules/expendable.ts';
import type { RunReport } from '../../ts/src/sync/run.ts';
import { type Content, type Host, killedAt, login, type RunOptions, type World, world } from './world.ts';

const A = 'a.json';
const DAY = 24 * 60 * 60 * 1000;
/** A service account's key has no dates. */
const key = (name: string): Content => ({ type: 'vertex', project_id: 'p', private_key: name });

function version(content: Content): Version {
  const parsed = parseCredential(Buffer.from(JSON.stringify(content)));
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.version;
}

/** What `restore` does once it knows which version is meant. */
function restore(host: Host, content: Content, options: RunOptions = {}): Promise<RunReport> {
  const versions = new Map([[A as CredentialName, version(content)]]);
  return host.run({ ...options, choices: restoring(versions, host.name, Date.now()) });
}

function forget(host: Host, names: readonly string[], options: RunOptions = {}): Promise<RunReport> {
  const choices = forgetting(names as CredentialName[], Date.now());
  return host.run({ ...options, allowDelete: names, choices });
}

/** Three hosts that saw the first version; then the first of them refreshed, and all but the last know. */
async function refreshedOnce(where: World): Promise<[laptop: Host, server: Host, phone: Host]> {
  const [laptop, server, phone] = [where.host('laptop'), where.host('server'), where.host('phone')];
  laptop.put('auth', A, login(1));
  for (const host of [laptop, server, phone]) await host.sync();
  laptop.put('auth', A, login(2));
  await laptop.sync();
  await server.sync();
  return [laptop, server, phone];
}

const token = (host: Host, place: 'auth' | 'ccs' = 'auth') => host.read(place, A)?.access_token;

async function expectToken(
  where: World,
  hosts: readonly Host[],
  expected: string | undefined,
): Promise<void> {
  for (let round = 0; round < 2; round++) for (const host of hosts) await host.sync();
  for (const host of hosts)
    expect([token(host), token(host, 'ccs')], host.name).toEqual([expected, expected]);
  for (const area of ['auths', 'backup/auths'])
    expect(where.stored(`${area}/${A}`)?.access_token, area).toBe(expected);
  // And there it ends: nobody has anything left to do.
  for (const host of hosts) expect((await host.sync()).results).toEqual([]);
}

const tokensInHistory = (where: World) => where.store.history(A).map((content) => content.access_token);

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
    expect(restored).toMatchObject({ host: 'laptop', replaces: [version(login(2)).id] });
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

  test('without the store nothing is restored, and nothing else is done either', async () => {
    const where = world();
    const [laptop] = await refreshedOnce(where);
    laptop.put('ccs', A, login(3));
    const { unreachable } = await import('./world.ts');
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

describe('Retention', () => {
  const KEEP: HistoryKeep = { versions: 2, days: 90 };

  /** Makes history look as old as it would be after so many days. */
  function age(where: World, days: number): void {
    const then = (Date.now() - days * DAY) / 1000;
    const folder = join(where.storePath, 'sync/history', A);
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), then, then);
  }
  /** As if this host had last pruned two days ago. */
  async function prunes(host: Host, historyKeep: HistoryKeep): Promise<void> {
    const path = join(host.stateDir, 'stores.json');
    const memories = JSON.parse(readFileSync(path, 'utf8'));
    for (const location of Object.keys(memories).filter((each) => each.startsWith('history of')))
      delete memories[location];
    memories[`history of ${host.storePath}`] = { prunedAt: Date.now() - 2 * DAY };
    writeFileSync(path, JSON.stringify(memories));
    await host.sync({ historyKeep });
  }
  const kept = (where: World) =>
    where.store
      .history(A)
      .map((content) => content.access_token ?? content.private_key)
      .sort();

  async function edits(where: World, host: Host, contents: readonly Content[]): Promise<void> {
    for (const content of contents) {
      host.put('auth', A, content);
      await host.sync();
      // Each a second after the one before: file systems tell.
      age(where, 0);
    }
  }

  test('takes out what is beyond both measures, once a day, and only after a run that did all it had to', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const hours = [1, 2, 3, 4, 5];
    for (const [index, hour] of hours.entries()) {
      laptop.put('auth', A, login(hour));
      await laptop.sync();
      const then = Date.now() / 1000 - (200 - index) * 86_400;
      for (const name of readdirSync(join(where.storePath, 'sync/history', A))) {
        const path = join(where.storePath, 'sync/history', A, name);
        if (name.startsWith(version(login(hour)).id)) utimesSync(path, then, then);
      }
    }
    laptop.put('auth', 'bad.json', '{');
    await laptop.run({ historyKeep: KEEP });
    expect(kept(where)).toHaveLength(5);
    laptop.remove('auth', 'bad.json');
    await laptop.run({ historyKeep: KEEP, dryRun: true });
    expect(kept(where)).toHaveLength(5);
    // It begins a day after this host first saw the store.
    await laptop.sync({ historyKeep: KEEP });
    expect(kept(where)).toHaveLength(5);
    await prunes(laptop, KEEP);
    expect(kept(where)).toEqual(['access-04', 'access-05']);

    await edits(where, laptop, [login(6), login(7)]);
    age(where, 100);
    await laptop.sync({ historyKeep: KEEP });
    expect(kept(where), 'the same day').toHaveLength(4);
  });

  test('what is younger stays, however much there is', async () => {
    const where = world();
    const laptop = where.host('laptop');
    await edits(
      where,
      laptop,
      [1, 2, 3, 4, 5].map((hour) => login(hour)),
    );
    age(where, 89);
    await prunes(laptop, KEEP);
    expect(kept(where)).toHaveLength(5);
  });

  test('what a place holds and what a tombstone names stays, however old', async () => {
    const where = world();
    const laptop = where.host('laptop');
    await edits(where, laptop, [login(1), login(2), login(3)]);
    laptop.put('auth', 'b.json', login(1));
    await laptop.sync();
    laptop.remove('auth', A);
    await laptop.sync();
    // What came into history last is not what the tombstone names.
    const late = where.host('late');
    late.put('auth', A, login(0));
    await late.sync();
    expect(kept(where)).toEqual(['access-00', 'access-01', 'access-02', 'access-03']);
    await prunes(laptop, { versions: 1, days: 0 });
    expect(kept(where)).toEqual(['access-00', 'access-03']);
    await restore(laptop, login(3));
    expect(token(laptop)).toBe('access-03');
  });

  test('a pruned version that comes back from an old disk does not win, not even one without dates', async () => {
    const where = world();
    const [laptop, server] = [where.host('laptop'), where.host('server')];
    const contents = ['k9', 'k8', 'k7', 'k6', 'k5', 'k1'].map(key);
    await edits(where, laptop, contents);
    await server.sync();
    age(where, 200);
    await prunes(laptop, { versions: 1, days: 90 });
    expect(kept(where)).toEqual(['k1']);
    for (const content of contents.slice(0, -1)) {
      // A host that knows nothing, with a file of long ago.
      const old = where.host(`old ${content.private_key}`);
      old.put('auth', A, content);
      await old.sync();
      expect(old.read('auth', A)?.private_key, `over ${content.private_key}`).toBe('k1');
    }
    server.put('auth', A, contents[0] ?? {});
    await server.sync();
    expect(server.read('auth', A)?.private_key).toBe('k1');
    expect(where.stored(`auths/${A}`)?.private_key).toBe('k1');
    // What lost is kept all the same, as long as anything.
    expect(kept(where)).toContain('k9');
    expect(existsSync(join(where.storePath, 'sync/tombstones', A))).toBe(false);
  });

  test('what this host kept itself goes by the same measure', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const { unreachable } = await import('./world.ts');
    laptop.put('auth', A, login(1));
    await laptop.sync();
    for (const hour of [2, 3, 4, 5]) {
      laptop.put('ccs', A, login(hour, { note: String(hour) }));
      laptop.put('auth', A, login(hour));
      await laptop.run({ through: unreachable });
    }
    const folder = join(laptop.stateDir, 'history', A);
    const before = readdirSync(folder).length;
    expect(before).toBeGreaterThan(3);
    const then = Date.now() / 1000 - 100 * 86_400;
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), then, then);
    // While there is something to do, nothing is pruned.
    await prunes(laptop, KEEP);
    expect(readdirSync(folder)).toHaveLength(before);
    await prunes(laptop, KEEP);
    expect(readdirSync(folder)).toHaveLength(2);
  });
});
