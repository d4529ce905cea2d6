/** A look at the store takes a while. What others do there meanwhile must not be read as what they did not do. */
import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { forgetting } from '../../ts/src/history/choices.ts';
import type { Store } from '../../ts/src/stores/store.ts';
import { login, world } from './world.ts';

const A = 'a.json' as CredentialName;

/** Before the store is first asked for contents, that is done. */
function beforeReading(what: () => Promise<unknown>) {
  let done = false;
  return (store: Store): Store => ({
    ...store,
    async read(references, receive) {
      if (!done && references.length > 0) {
        done = true;
        await what();
      }
      return store.read(references, receive);
    },
  });
}

describe('a look that others write into', () => {
  test('what is deleted between the listing and the reading is deleted, not damage that is to be healed', async () => {
    const where = world();
    const [laptop, server] = [where.host('laptop'), where.host('server')];
    laptop.put('auth', A, login(1));
    laptop.put('auth', 'b.json', login(1));
    await laptop.sync();
    await server.sync();
    laptop.put('auth', A, login(2));
    await laptop.sync();
    // The server has the listing with the refresh in it; before it reads that, a person forgets the login.
    const through = beforeReading(() => laptop.sync({ choices: forgetting([A], Date.now()) }));
    await server.sync({ through });
    expect(where.store.names('auths')).toEqual(['b.json']);
    expect(where.store.names('sync/tombstones')).toEqual([A]);
    expect(server.names('auth')).toEqual(['b.json']);
  });

  test('a deletion that is ended between the listing and the reading is no deletion', async () => {
    const where = world();
    const [laptop, server] = [where.host('laptop'), where.host('server')];
    laptop.put('auth', A, login(1));
    laptop.put('auth', 'b.json', login(1));
    await laptop.sync();
    await server.sync();
    laptop.remove('auth', A);
    await laptop.sync();
    laptop.put('auth', A, login(3));
    await server.sync({ through: beforeReading(() => laptop.sync()) });
    expect(server.read('auth', A)).toEqual(login(3));
    expect(where.store.names('sync/tombstones')).toEqual([]);
  });

  test('an object that is in every listing and never there is named, and all else goes on', async () => {
    const where = world();
    const laptop = where.host('laptop');
    laptop.put('auth', A, login(1));
    let listings = 0;
    const report = await laptop.run({
      through: (store) => ({
        ...store,
        async list() {
          listings++;
          const listing = await store.list();
          const current = new Map([...listing.current, ['phantom.json', { tag: 't', size: 2 }] as const]);
          return { ...listing, current };
        },
      }),
    });
    expect(listings).toBeLessThan(10);
    expect(where.store.names('auths')).toEqual([A]);
    expect(report.exitCode).toBe(1);
    expect(report.problems).toMatchObject([
      { subject: 'phantom.json', reason: expect.stringContaining('is not there when it is read') },
    ]);
  });

  test('a store that is emptied and made anew meanwhile is another store', async () => {
    const where = world();
    const [laptop, server] = [where.host('laptop'), where.host('server')];
    laptop.put('auth', A, login(1));
    await laptop.sync();
    const emptied = beforeReading(async () => {
      await rm(where.storePath, { recursive: true });
    });
    const report = await server.run({ through: emptied });
    expect(report.exitCode).toBe(75);
    await laptop.sync();
    await server.sync();
    expect(server.read('auth', A)).toEqual(login(1));
  });
});
