/** What must hold, case by case, as users of real files see it: `run` over several hosts' folders and one store. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Store, StoreError } from '../../ts/src/stores/store.ts';
import {
  type Content,
  files,
  fingerprint,
  type Host,
  killedAt,
  login,
  unreachable,
  type World,
  world,
  write,
} from './world.ts';

const A = 'a.json';
const isRoot = process.getuid?.() === 0;

afterEach(() => {
  vi.useRealTimers();
});

/** Several rounds, each host once; then every place of every host and the store hold the same. */
async function settle(where: World, hosts: readonly Host[], rounds = 3): Promise<void> {
  for (let round = 0; round < rounds; round++) for (const host of hosts) await host.sync();
  const names = where.store.names('auths');
  expect(where.store.names('backup/auths')).toEqual(names);
  for (const host of hosts) {
    for (const place of ['auth', 'ccs'] as const) {
      expect(host.names(place)).toEqual(names);
      for (const name of names) {
        const bytes = readFileSync(join(where.storePath, 'auths', name));
        expect(readFileSync(join(host.directories[place], name)), `${name} on ${host.name}`).toEqual(bytes);
      }
    }
  }
}

/** Hosts that agreed on these credentials. */
async function agreed(
  where: World,
  names: readonly string[],
  credentials: Readonly<Record<string, Content>>,
): Promise<Host[]> {
  const hosts = names.map((name) => where.host(name));
  for (const [name, content] of Object.entries(credentials)) hosts[0]?.put('auth', name, content);
  for (const host of hosts) await host.sync();
  return hosts;
}

async function killedRun(host: Host, keeps: Parameters<typeof killedAt>[0]): Promise<void> {
  await expect(host.run({ through: killedAt(keeps) })).rejects.toThrow('killed');
}

describe('Convergence', () => {
  test('L full, S empty, twice: byte for byte everywhere; the second run writes nothing, anywhere', async () => {
    const where = world();
    const laptop = where.host('laptop');
    laptop.put(
      'auth',
      A,
      `\ufeff{\r\n  "type": "claude",\r\n  "zeta": 1, "alpha": {"b": 1, "a": 2}\r\n}\r\n`,
    );
    laptop.put('auth', 'team/b.json', login(1));
    await laptop.sync();
    const bytes = readFileSync(join(laptop.directories.auth, A));
    for (const path of [
      join(laptop.directories.ccs, A),
      join(where.storePath, 'auths', A),
      join(where.storePath, 'backup/auths', A),
    ]) {
      expect(readFileSync(path)).toEqual(bytes);
    }
    // The CCS dir is flat.
    expect(laptop.names('ccs')).toEqual([A]);
    const before = fingerprint(where.root).filter((line) => !/lock(-owner.json)? |state \d/.test(line));
    const report = await laptop.sync();
    expect(report.results).toEqual([]);
    const after = fingerprint(where.root).filter((line) => !/lock(-owner.json)? |state \d/.test(line));
    expect(after).toEqual(before);
  });

  test('files that we write are for their owner alone', async () => {
    const where = world();
    const [, server] = await agreed(where, ['laptop', 'server'], { [A]: login(1) });
    expect(statSync(join(server?.directories.auth ?? '', A)).mode & 0o777).toBe(0o600);
    expect(statSync(join(where.storePath, 'auths', A)).mode & 0o777).toBe(0o600);
  });

  test('first join: the union, nothing deleted', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const server = where.host('server');
    laptop.put('auth', A, login(1));
    server.put('ccs', 'b.json', login(2));
    await settle(where, [laptop, server]);
    expect(where.store.names('auths')).toEqual([A, 'b.json']);
  });

  test('the same version on both sides, unknown to the base: no write, no conflict; a later deletion propagates', async () => {
    const where = world();
    const laptop = where.host('laptop');
    for (const name of [A, 'b.json']) {
      for (const place of ['auth', 'ccs'] as const) laptop.put(place, name, login(1));
      for (const area of ['auths', 'backup/auths'] as const) where.store.put(area, name, login(1));
    }
    expect((await laptop.sync()).results).toEqual([]);
    laptop.remove('auth', A);
    await laptop.sync();
    expect(laptop.names('ccs')).toEqual(['b.json']);
    expect(where.store.names('auths')).toEqual(['b.json']);
  });

  test('a token rotated with the same size in the same second is detected', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], { [A]: login(1) })) as [Host, Host];
    const { mtime, size } = statSync(join(laptop.directories.auth, A));
    laptop.put('auth', A, login(2));
    const path = join(laptop.directories.auth, A);
    execFileSync('touch', ['-d', mtime.toISOString(), path]);
    expect(statSync(path).size).toBe(size);
    expect(Math.trunc(statSync(path).mtimeMs / 1000)).toBe(Math.trunc(mtime.getTime() / 1000));
    await settle(where, [laptop, server]);
    expect(server.read('ccs', A)).toEqual(login(2));
  });

  test.each([1, 2, 3])(
    'three hosts, random edits, rounds in any order: all equal, nothing lost (%i)',
    async (seed) => {
      const where = world();
      const hosts = await agreed(where, ['laptop', 'server', 'desktop'], {
        [A]: login(1),
        'b.json': login(1),
        'c.json': login(1),
      });
      const random = generator(seed);
      const written = new Map<string, Content>();
      for (let step = 0; step < 15; step++) {
        const host = hosts[random(3)] as Host;
        const name = [A, 'b.json', 'c.json', `new${random(3)}.json`][random(4)] as string;
        const content = login(2 + random(20), random(2) === 0 ? { [`by_${host.name}`]: step } : {});
        host.put(random(2) === 0 ? 'auth' : 'ccs', name, content);
        written.set(`${name} ${content.access_token}`, content);
        if (random(3) > 0) await (hosts[random(3)] as Host).sync();
      }
      await settle(where, hosts);
      for (const name of where.store.names('auths')) {
        const current = where.stored(`auths/${name}`);
        const kept = where.store.history(name).map(({ access_token }) => access_token);
        // A file that was edited again before any run saw it is in no place to be kept.
        expect(kept).toContain(current?.access_token);
      }
      expect(written.size).toBeGreaterThan(0);
    },
  );

  test('1,001 credentials: complete on both hosts', async () => {
    const where = world();
    const laptop = where.host('laptop', { ccs: false });
    const server = where.host('server', { ccs: false });
    for (let index = 0; index < 1001; index++) laptop.put('auth', `n${index}.json`, login(1, { index }));
    await laptop.sync();
    await server.sync();
    expect(where.store.names('auths')).toHaveLength(1001);
    expect(server.names('auth')).toHaveLength(1001);
  });

  test('--dry-run changes nothing, state included, and its plan is the one that then runs', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], {
      [A]: login(1),
      'b.json': login(1),
      'c.json': login(1),
    })) as [Host, Host];
    server.put('auth', A, login(2));
    await server.sync();
    laptop.put('auth', A, login(3, { note: 'mine' }));
    laptop.remove('auth', 'b.json');
    laptop.put('ccs', 'd.json', login(1));
    const before = fingerprint(where.root);
    const dry = await laptop.run({ dryRun: true });
    expect(fingerprint(where.root)).toEqual(before);
    const real = await laptop.sync();
    const words = ({ results }: typeof dry) =>
      results
        .map(
          ({ plan }) =>
            `${plan.name}: ${plan.decision.kind} ${plan.actions.map((action) => `${action.kind} ${'place' in action ? action.place : ''}`).join(', ')}`,
        )
        .sort();
    expect(words(dry)).toEqual(words(real));
    expect(words(dry)).toHaveLength(3);
  });

  test('a dry run on a host that never ran makes neither state nor store', async () => {
    const where = world();
    const laptop = where.host('laptop');
    laptop.put('auth', A, login(1));
    const before = fingerprint(where.root);
    await laptop.run({ dryRun: true });
    expect(fingerprint(where.root)).toEqual(before);
  });
});

describe('Conflicts', () => {
  test('two hosts rotate the same token: the fresher everywhere, the other in history, said so', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], { [A]: login(1) })) as [Host, Host];
    laptop.put('auth', A, login(3));
    server.put('auth', A, login(2));
    await laptop.sync();
    const report = await server.sync();
    expect(report.results[0]?.plan.decision).toMatchObject({ conflict: true });
    await settle(where, [laptop, server]);
    expect(laptop.read('auth', A)).toEqual(login(3));
    expect(where.store.history(A)).toEqual(expect.arrayContaining([login(1), login(2), login(3)]));
  });

  test.each([
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ])(
    'three hosts, three versions, arriving as %i %i %i: the same winner, two in history',
    async (...order) => {
      const where = world();
      const hosts = await agreed(where, ['laptop', 'server', 'desktop'], { [A]: login(1) });
      for (const [index, host] of hosts.entries()) host.put('auth', A, login(2 + index));
      await settle(
        where,
        order.map((index) => hosts[index] as Host),
      );
      expect(where.stored(`auths/${A}`)).toEqual(login(4));
      expect(where.store.history(A)).toEqual(expect.arrayContaining([login(2), login(3), login(4)]));
    },
  );

  test('disabled set here, token refreshed there: both survive, on every host', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1) });
    hosts[0]?.put('ccs', A, login(1, { disabled: true }));
    hosts[1]?.put('auth', A, login(2));
    await settle(where, hosts);
    expect(where.stored(`auths/${A}`)).toEqual(login(2, { disabled: true }));
  });

  test('two proxies add their own claude_device_ids to the same token: settles', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1) });
    for (const host of hosts) host.put('auth', A, login(1, { claude_device_ids: host.name }));
    await settle(where, hosts);
    for (const host of hosts) expect((await host.sync()).results).toEqual([]);
  });

  test('a proxy writes back what it held in memory, over a newer file: put right at once; never uploaded', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], { [A]: login(1) })) as [Host, Host];
    server.put('auth', A, login(2));
    await server.sync();
    await laptop.sync();
    laptop.put('auth', A, login(1));
    await laptop.sync();
    expect(laptop.read('auth', A)).toEqual(login(2));
    expect(where.stored(`auths/${A}`)).toEqual(login(2));
  });

  test('an edit that is undone on a host that joined later is no endless exchange', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    laptop.put('auth', A, login(1, { disabled: true }));
    await laptop.sync();
    const server = where.host('server');
    await server.sync();
    server.put('auth', A, login(1));
    await settle(where, [server, laptop]);
    expect((await server.sync()).results).toEqual([]);
    expect((await laptop.sync()).results).toEqual([]);
  });

  test('an old object that a person copied back into the store replaces no newer one, on no host', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    laptop.put('auth', A, login(2));
    await laptop.sync();
    const server = where.host('server');
    await server.sync();
    where.store.put('auths', A, login(1));
    await settle(where, [server, laptop]);
    expect(where.stored(`auths/${A}`)).toEqual(login(2));
  });

  test('a hundred conflicts on one name: every version is kept, the fresher is current', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    const at = (minute: number, by: string) => ({
      ...login(1),
      access_token: `${by}-${minute}`,
      last_refresh: new Date(Date.UTC(2024, 4, 2, 0, minute)).toISOString(),
    });
    for (let minute = 0; minute < 200; minute += 2) {
      laptop.put('auth', A, at(minute, 'auth'));
      laptop.put('ccs', A, at(minute + 1, 'ccs'));
      await laptop.sync();
    }
    expect(where.stored(`auths/${A}`)).toEqual(at(199, 'ccs'));
    expect(where.store.history(A)).toContainEqual(at(199, 'ccs'));
    expect((await laptop.sync()).results).toEqual([]);
  });

  test('a merge that the store failed to take, after history had it, is made again', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], { [A]: login(1) })) as [Host, Host];
    server.put('auth', A, login(1, { disabled: true }));
    await server.sync();
    laptop.put('auth', A, login(3));
    await killedRun(laptop, 'history');
    await settle(where, [laptop, server]);
    expect(where.stored(`auths/${A}`)).toEqual(login(3, { disabled: true }));
  });

  test('a merge that lost its race to a third version keeps the freshest tokens all the same', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], { [A]: login(1) })) as [Host, Host];
    server.put('auth', A, login(1, { disabled: true }));
    await server.sync();
    laptop.put('auth', A, login(5));
    let first = true;
    await laptop.sync({
      through: (store) => ({
        ...store,
        async commit(changes) {
          if (first) {
            first = false;
            await store.commit(changes.map(({ name, keep }) => ({ name, keep })));
            server.put('auth', A, login(2, { disabled: true }));
            await server.sync();
          }
          return store.commit(changes);
        },
      }),
    });
    await settle(where, [laptop, server]);
    expect(where.stored(`auths/${A}`)).toEqual(login(5, { disabled: true }));
  });
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

describe('Half-written and invalid files', () => {
  test('no prefix of a file that a proxy is writing is uploaded or copied', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    const whole = JSON.stringify(login(2, { nested: { a: '}' } }));
    for (const part of [0, 1, 10, whole.length >> 1, whole.length - 1]) {
      laptop.put('auth', A, whole.slice(0, part));
      await laptop.run();
      expect(where.stored(`auths/${A}`)).toEqual(login(1));
      expect(laptop.read('ccs', A)).toEqual(login(1));
      expect(readFileSync(join(laptop.directories.auth, A), 'utf8')).toBe(whole.slice(0, part));
    }
    laptop.put('auth', A, whole);
    await settle(where, [laptop]);
    expect(where.stored(`auths/${A}`)).toEqual(JSON.parse(whole));
  });

  test('a file that is being written while the run looks is waited for', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    const whole = JSON.stringify(login(2));
    const file = openSync(join(laptop.directories.auth, A), 'w');
    writeSync(file, whole.slice(0, 20));
    setTimeout(() => {
      writeSync(file, whole.slice(20));
      closeSync(file);
    }, 120);
    await laptop.sync();
    expect(where.stored(`auths/${A}`)).toEqual(login(2));
  });

  test('truncated to 0 bytes: no deletion, no upload; put back once it has stood so for a minute, and kept', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    laptop.put('auth', A, '');
    expect((await laptop.run()).exitCode).toBe(1);
    expect(statSync(join(laptop.directories.auth, A)).size).toBe(0);
    laptop.age('auth', A, 59);
    await laptop.run();
    expect(statSync(join(laptop.directories.auth, A)).size).toBe(0);
    laptop.age('auth', A, 62);
    await laptop.sync();
    await settle(where, [laptop]);
    expect(laptop.read('auth', A)).toEqual(login(1));
  });

  test('a valid object in the store replaced by garbage: healed; the garbage kept aside', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1) });
    where.store.put('auths', A, '<html>error</html>');
    await settle(where, hosts);
    const rejected = files(join(where.storePath, 'sync/rejected')).filter((path) => statSync(path).isFile());
    expect(rejected.map((path) => readFileSync(path, 'utf8'))).toEqual(['<html>error</html>']);
  });

  test('temporary, hidden and foreign files are never synced', async () => {
    const where = world();
    const laptop = where.host('laptop');
    for (const name of [
      '.a.json',
      '.cliproxyapi-sync-0123456789abcdef.tmp',
      'x.cds',
      'logs/main.log',
      '.git/config.json',
    ])
      laptop.put('auth', name, login(1));
    await laptop.sync();
    expect(where.store.names('auths')).toEqual([]);
    expect(laptop.names('ccs')).toEqual([]);
  });

  test.each<[string, (path: string) => void]>([
    ['a symbolic link', (path) => symlinkSync('/etc/passwd', path)],
    ['a symbolic link to another credential', (path) => symlinkSync('good.json', path)],
    ['a dangling symbolic link', (path) => symlinkSync('nowhere', path)],
    ['a folder', (path) => mkdirSync(path)],
    ['a named pipe', (path) => execFileSync('mkfifo', [path])],
    ['5 MB', (path) => writeFileSync(path, JSON.stringify({ type: 'x', pad: 'x'.repeat(5_000_000) }))],
    ['binary', (path) => writeFileSync(path, Buffer.from([0, 255, 254, 1, 2]))],
    [
      'nested 100,000 deep',
      (path) => writeFileSync(path, `{"type":"x","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    ],
    ['a list', (path) => writeFileSync(path, '[]')],
  ])('a file that is %s is named; the others are handled; nothing is written through it', async (_, make) => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { 'good.json': login(1) })) as [Host];
    where.store.put('auths', 'bad.json', login(7));
    where.store.put('backup/auths', 'bad.json', login(7));
    const path = join(laptop.directories.auth, 'bad.json');
    make(path);
    const before = fingerprint(laptop.directories.auth).filter((line) => line.includes('bad.json'));
    laptop.put('auth', 'good.json', login(2));
    const report = await laptop.run();
    expect(report.exitCode).toBe(1);
    expect(report.problems).toContainEqual(expect.objectContaining({ subject: 'bad.json', place: 'auth' }));
    expect(where.stored('auths/good.json')).toEqual(login(2));
    expect(where.stored('auths/bad.json')).toEqual(login(7));
    expect(fingerprint(laptop.directories.auth).filter((line) => line.includes('bad.json'))).toEqual(before);
  });

  test('a folder that is a symbolic link is not followed, and what was in it is not deleted', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], {
      'team/a.json': login(1),
      'b.json': login(1),
      'c.json': login(1),
    })) as [Host];
    renameSync(join(laptop.directories.auth, 'team'), join(where.root, 'elsewhere'));
    symlinkSync(join(where.root, 'elsewhere'), join(laptop.directories.auth, 'team'));
    write(join(where.root, 'elsewhere/new.json'), login(2));
    const report = await laptop.run();
    expect(report.problems).toContainEqual(expect.objectContaining({ subject: 'team' }));
    expect(where.store.names('auths')).toEqual(['b.json', 'c.json', 'team/a.json']);
  });

  test('credentials in a folder that is named like one are seen: they are not taken for deleted', async () => {
    const where = world();
    const laptop = where.host('laptop');
    where.store.put('auths', 'x.json/y.json', login(1));
    where.store.put('auths', 'b.json', login(1));
    where.store.put('backup/auths', 'x.json/y.json', login(1));
    await laptop.run();
    rmSync(laptop.stateDir, { recursive: true });
    const report = await laptop.run();
    expect(report.stopped).toBeUndefined();
    expect(report.results).toEqual([]);
    expect(where.store.names('auths')).toEqual(['b.json', 'x.json/y.json']);
    laptop.put('auth', 'x.json/y.json', login(2));
    await laptop.run();
    expect(where.stored('auths/x.json/y.json')).toEqual(login(2));
  });

  test('a file with a key twice is copied byte for byte', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const text = '{"type":"claude","email":"old","email":"new"}';
    laptop.put('auth', A, text);
    await laptop.sync();
    expect(readFileSync(join(where.storePath, 'auths', A), 'utf8')).toBe(text);
  });

  test('names from the store that could reach elsewhere are refused before any file call', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const hostile = ['../../escape.json', '..\\escape.json', 'line\nbreak.json', '/etc/absolute.json'];
    const report = await laptop.run({
      through: (store) => ({
        ...store,
        async list() {
          const listing = await store.list();
          const object = { tag: 't', size: 2 };
          return {
            ...listing,
            current: new Map([...listing.current, ...hostile.map((name) => [name, object] as const)]),
          };
        },
      }),
    });
    expect(report.problems.map(({ subject }) => subject).sort()).toEqual([...hostile].sort());
    expect(files(where.root).filter((path) => path.includes('escape'))).toEqual([]);
  });

  test.skipIf(isRoot)(
    'a file without rights is neither changed nor gone (SKIPPED for root, who may read everything)',
    async () => {
      const where = world();
      const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1), 'b.json': login(1) })) as [Host];
      chmodSync(join(laptop.directories.auth, A), 0);
      const report = await laptop.run();
      expect(report.exitCode).toBe(1);
      expect(where.store.names('auths')).toEqual([A, 'b.json']);
    },
  );
});

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

describe('One run at a time', () => {
  test('a timer, a watcher and a person start at once: one after another, no change forgotten', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    laptop.put('auth', A, login(2));
    laptop.put('ccs', 'b.json', login(1));
    const reports = await Promise.all([laptop.sync(), laptop.sync(), laptop.sync()]);
    expect(reports.filter(({ results }) => results.length > 0)).toHaveLength(1);
    await settle(where, [laptop]);
  });

  test('a run that finds the lock held for too long says try again, and changes nothing', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    await holder(laptop);
    laptop.put('auth', A, login(2));
    expect((await laptop.run({ lockWaitMs: 200 })).exitCode).toBe(75);
    expect(where.stored(`auths/${A}`)).toEqual(login(1));
  });

  test('the lock of a process that was killed is taken over at once', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    const child = await holder(laptop);
    await killed(child);
    const start = Date.now();
    await laptop.sync({ lockWaitMs: 5000 });
    expect(Date.now() - start).toBeLessThan(3000);
  });

  test('three runs find a killed holder at once: one after another all the same', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    await killed(await holder(laptop));
    let inside = 0;
    let most = 0;
    const counted = (store: Store): Store => ({
      ...store,
      async list() {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 30));
        inside--;
        return store.list();
      },
    });
    await Promise.all([1, 2, 3].map(() => laptop.sync({ through: counted })));
    expect(most).toBe(1);
  });

  test('the lock of a process whose id another process has by now is taken over', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    await killed(await holder(laptop));
    const note = join(laptop.stateDir, 'lock-owner.json');
    const owner = JSON.parse(readFileSync(note, 'utf8'));
    if (owner.started === '')
      return console.warn('SKIPPED: this system does not tell when a process started');
    writeFileSync(note, JSON.stringify({ ...owner, pid: process.pid }));
    await laptop.sync({ lockWaitMs: 5000 });
  });

  test.each(['', '\0\0', '[]', '{"pid":"x"}'])(
    'a garbled note of the holder (%j) keeps an old lock for no one',
    async (text) => {
      const where = world();
      const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
      mkdirSync(join(laptop.stateDir, 'lock'));
      execFileSync('touch', ['-d', '1 minute ago', join(laptop.stateDir, 'lock')]);
      writeFileSync(join(laptop.stateDir, 'lock-owner.json'), text);
      await laptop.sync({ lockWaitMs: 1000 });
    },
  );
});

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

describe('Disks', () => {
  test('a full disk: said, the old file whole, nothing half-written; with room, the next run completes', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], {
      [A]: login(1),
      'b.json': login(1),
    })) as [Host, Host];
    const small = join(where.root, 'small');
    if (!mountSmall(small)) return console.warn('SKIPPED: a full disk, since no tmpfs can be mounted here');
    execFileSync('cp', ['-a', `${laptop.directories.ccs}/.`, small]);
    rmSync(laptop.directories.ccs, { recursive: true });
    symlinkSync(small, laptop.directories.ccs);
    server.put('auth', A, login(2));
    await server.sync();
    const fill = join(small, 'fill');
    try {
      writeFileSync(fill, Buffer.alloc(1024 * 1024));
    } catch {
      // Full now: what was meant.
    }
    const report = await laptop.run();
    expect(report.exitCode).toBe(1);
    expect(report.results.flatMap(({ failures }) => failures).join()).toMatch(/disk is full/);
    expect(laptop.read('ccs', A)).toEqual(login(1));
    expect(laptop.read('auth', A)).toEqual(login(2));
    expect(files(`${small}/`).filter((path) => path.includes('.tmp'))).toEqual([]);
    rmSync(fill);
    await settle(where, [laptop, server]);
  });

  test('a read-only directory: said; the other places go on, and what is deleted there stays deleted', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], {
      [A]: login(1),
      'b.json': login(1),
      'c.json': login(1),
    })) as [Host, Host];
    const disk = join(where.root, 'disk');
    if (!mountSmall(disk))
      return console.warn('SKIPPED: a read-only directory, since no tmpfs can be mounted here');
    execFileSync('cp', ['-a', `${laptop.directories.ccs}/.`, disk]);
    rmSync(laptop.directories.ccs, { recursive: true });
    symlinkSync(disk, laptop.directories.ccs);
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    server.put('auth', A, login(2));
    await server.sync();
    const report = await laptop.run();
    expect(report.exitCode).toBe(1);
    expect(report.results.flatMap(({ failures }) => failures).join()).toMatch(/read-only/);
    expect(laptop.read('auth', A)).toEqual(login(2));
    laptop.remove('auth', A);
    await laptop.run();
    expect(laptop.names('auth')).toEqual(['b.json', 'c.json']);
    await server.sync();
    expect(server.names('auth')).toEqual(['b.json', 'c.json']);
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    await settle(where, [laptop, server]);
  });
});

/** Whole numbers below a limit, the same for the same seed. */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
}

function ftruncate(path: string): void {
  writeFileSync(path, readFileSync(path).subarray(0, 40));
}

/** A process of its own that holds the host's lock. */
async function holder(host: Host): Promise<ChildProcess> {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = spawn(
    process.execPath,
    ['--import', tsx, join(import.meta.dirname, 'holder.mts'), host.stateDir],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', (data: Buffer) =>
      String(data).startsWith('held') ? resolve() : reject(new Error(String(data))),
    );
    child.once('exit', () => reject(new Error('the holder ended')));
  });
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  await new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
}

/** A file system of half a megabyte; false where none can be mounted. */
function mountSmall(path: string): boolean {
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return false;
  }
  onTestFinished(() => {
    if (existsSync(path)) execFileSync('umount', ['-l', path]);
  });
  return true;
}
