/** Real files, `run` over several hosts' folders and one store: versions that meet. */
import { describe, expect, test } from 'vitest';
import { type Host, login, world } from '../world.ts';
import { A, agreed, killedRun, settle } from './rounds.ts';

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
