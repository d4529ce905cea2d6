/** Real files, `run` over several hosts' folders and one store: what is deleted. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { files, type Host, login, unreachable, world } from '../world.ts';
import { A, agreed, killedRun, settle } from './rounds.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('Deletions', () => {
  const three = { [A]: login(1), 'b.json': login(1), 'c.json': login(1) };

  test.each(['auth', 'ccs'] as const)(
    'deleted in the %s dir: gone everywhere, on every host; still in history',
    async (place) => {
      const where = world();
      const hosts = await agreed(where, ['laptop', 'server'], three);
      hosts[0]?.remove(place, A);
      await settle(where, hosts);
      expect(where.store.names('auths')).toEqual(['b.json', 'c.json']);
      expect(where.store.names('sync/tombstones')).toEqual([A]);
      expect(where.store.history(A)).toEqual([login(1)]);
    },
  );

  test('paused in CCS: stays everywhere else; back, it is as the others are', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], three)) as [Host];
    const paused = join(laptop.directories.ccs, '../auth-paused');
    mkdirSync(paused);
    renameSync(join(laptop.directories.ccs, A), join(paused, A));
    await laptop.sync();
    expect(laptop.names('auth')).toContain(A);
    expect(laptop.names('ccs')).not.toContain(A);
    laptop.put('auth', A, login(2));
    await laptop.sync();
    renameSync(join(paused, A), join(laptop.directories.ccs, A));
    await settle(where, [laptop]);
    expect(laptop.read('ccs', A)).toEqual(login(2));
  });

  test('deleted here, rotated there: lives, on every host, whoever comes first', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const where = world();
      const hosts = await agreed(where, ['laptop', 'server'], three);
      hosts[0]?.remove('auth', A);
      hosts[1]?.put('auth', A, login(2));
      await settle(
        where,
        order.map((index) => hosts[index] as Host),
      );
      expect(where.stored(`auths/${A}`)).toEqual(login(2));
      expect(where.store.names('sync/tombstones')).toEqual([]);
    }
  });

  test('deleted here and there: no error', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], three);
    for (const host of hosts) host.remove('auth', A);
    await settle(where, hosts);
    expect(where.store.names('auths')).toEqual(['b.json', 'c.json']);
  });

  test('a host offline meanwhile returns with the old file: deleted there too', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], three)) as [Host, Host];
    laptop.remove('auth', A);
    await laptop.sync();
    await server.run({ through: unreachable });
    expect(server.names('auth')).toContain(A);
    await settle(where, [server, laptop]);
    expect(server.names('auth')).toEqual(['b.json', 'c.json']);
  });

  test('a host whose state was lost returns with the old file: the tombstone holds', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], three)) as [Host, Host];
    laptop.remove('auth', A);
    await laptop.sync();
    rmSync(server.stateDir, { recursive: true });
    await settle(where, [server, laptop]);
    expect(server.names('auth')).toEqual(['b.json', 'c.json']);
  });

  test('deleted, then logged in again: lives, everywhere', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], three)) as [Host, Host];
    laptop.remove('auth', A);
    await laptop.sync();
    await server.sync();
    laptop.put('auth', A, login(2));
    await settle(where, [laptop, server]);
    expect(server.read('auth', A)).toEqual(login(2));
    expect(where.store.names('sync/tombstones')).toEqual([]);
  });

  test('deleted; a proxy writes the file back at once: gone again, also if the next run comes much later', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], three)) as [Host];
    laptop.remove('ccs', A);
    await laptop.sync();
    laptop.put('auth', A, login(1));
    await laptop.sync();
    expect(laptop.names('auth')).toEqual(['b.json', 'c.json']);
    laptop.put('auth', A, login(1));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 5 * 60_000 });
    await laptop.sync();
    expect(laptop.names('auth')).toEqual(['b.json', 'c.json']);
  });

  test('a service-account file without times deleted, an hour later imported again, the same bytes: lives', async () => {
    const where = world();
    const key = { type: 'vertex', project_id: 'p', private_key: 'k' };
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], {
      ...three,
      'vertex.json': key,
    })) as [Host, Host];
    // An hour ago, by every clock that counts.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 60 * 60_000 });
    laptop.remove('auth', 'vertex.json');
    await laptop.sync();
    await server.sync();
    vi.useRealTimers();
    laptop.put('auth', 'vertex.json', key);
    await settle(where, [laptop, server]);
    expect(server.read('auth', 'vertex.json')).toEqual(key);
  });

  test('the proxy sees a deleted file disabled before it is gone', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], three)) as [Host];
    laptop.remove('ccs', A);
    const run = laptop.sync();
    const seen = new Set<unknown>();
    const watch = setInterval(() => {
      try {
        seen.add(laptop.read('auth', A)?.disabled ?? 'absent or enabled');
      } catch {
        seen.add('half');
      }
    }, 5);
    await run;
    clearInterval(watch);
    expect(seen).toContain(true);
    expect(seen).not.toContain('half');
  });

  test('an unlink that failed after the tombstone was written is said, and completed by the next run', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], three)) as [Host];
    laptop.remove('ccs', A);
    await killedRun(laptop, 'tombstone');
    expect(laptop.names('auth')).toContain(A);
    await settle(where, [laptop]);
    expect(laptop.names('auth')).toEqual(['b.json', 'c.json']);
  });

  test('an old file that a person puts back after a deletion lives, on a host that still has what was deleted too', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { ...three, [A]: login(1) });
    const [laptop, server] = hosts as [Host, Host];
    laptop.put('auth', A, login(2));
    await settle(where, hosts);
    laptop.remove('auth', A);
    await laptop.sync();
    const [path = ''] = files(laptop.stateDir).filter((file) => file.endsWith('base.json'));
    const base = JSON.parse(readFileSync(path, 'utf8'));
    // As if that had been two minutes ago.
    const { cleared } = base.credentials[A].buried;
    for (const place of Object.keys(cleared)) cleared[place] -= 120_000;
    writeFileSync(path, JSON.stringify(base));
    laptop.put('auth', A, login(1));
    await laptop.sync();
    expect(where.stored(`auths/${A}`)).toEqual(login(1));
    await server.sync();
    await settle(where, hosts);
    expect(server.read('auth', A)).toEqual(login(1));
    expect(where.store.history(A)).toContainEqual(login(2));
  });

  test('an object removed from the store by hand or by a proxy is put back', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], three);
    where.store.remove('auths', A);
    await settle(where, hosts);
    expect(where.store.names('auths')).toEqual(Object.keys(three));
  });

  test('store and backup copy emptied, the hosts intact: put back', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], three);
    rmSync(join(where.storePath, 'auths'), { recursive: true });
    rmSync(join(where.storePath, 'backup'), { recursive: true });
    await settle(where, hosts);
    expect(where.store.names('auths')).toEqual(Object.keys(three));
  });

  test('store and backup copy emptied, and a new host comes first: it heals them from history', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], three)) as [Host];
    laptop.put('auth', A, login(2));
    await laptop.sync();
    rmSync(join(where.storePath, 'auths'), { recursive: true });
    rmSync(join(where.storePath, 'backup'), { recursive: true });
    const server = where.host('server');
    await settle(where, [server, laptop]);
    expect(server.read('auth', A)).toEqual(login(2));
  });

  test('the whole store wiped, or another one: a first join, nothing deleted', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], three);
    rmSync(where.storePath, { recursive: true });
    await settle(where, hosts);
    expect(where.store.names('auths')).toEqual(Object.keys(three));
  });

  test('deleted while the store is out of reach: carried out when it is back, and not put back meanwhile', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], three)) as [Host, Host];
    laptop.remove('auth', A);
    const report = await laptop.run({ through: unreachable });
    expect(report.exitCode).not.toBe(0);
    expect(laptop.names('auth')).not.toContain(A);
    await settle(where, [laptop, server]);
    expect(server.names('auth')).toEqual(['b.json', 'c.json']);
  });
});
