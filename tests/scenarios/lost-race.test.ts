/**
 * What a run writes when another host was faster in the moment between its look and its write: the second try knows
 * what it replaces, the record in history may not, and hosts that still hold that are to know it.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { forgetting, restoring } from '../../ts/src/history/choices.ts';
import type { Store } from '../../ts/src/stores/store.ts';
import { version } from './choices/choosing.ts';
import { type Content, type Host, login, type World, world } from './world.ts';

const A = 'a.json' as CredentialName;

/** A login with a date that says nothing about which of two refreshes is the later one. */
const UNDATED: Content = { ...login(9), last_refresh: undefined, expired: '2124-05-01T00:00:00Z' };

// An hour ago, until the next login: what comes back at once counts as a proxy's.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Before the first commit, that is done. */
function beforeCommit(what: () => Promise<unknown>) {
  let done = false;
  return (store: Store): Store => ({
    ...store,
    async commit(changes) {
      if (!done) {
        done = true;
        await what();
      }
      return store.commit(changes);
    },
  });
}

/** Two hosts that agree on a login; the server has a fresher one that nobody knows of yet. */
async function started(): Promise<{ where: World; laptop: Host; server: Host }> {
  const where = world();
  const [laptop, server] = [where.host('laptop'), where.host('server')];
  laptop.put('auth', A, login(1));
  laptop.put('auth', 'b.json', login(1));
  await laptop.sync();
  await server.sync();
  server.put('auth', A, login(2));
  return { where, laptop, server };
}

/** The next login, on the laptop, is the one that lives, on the server too. */
async function expectNextLives(where: World, laptop: Host, server: Host): Promise<void> {
  vi.useRealTimers();
  laptop.put('auth', A, UNDATED);
  await laptop.sync();
  await server.sync();
  await laptop.sync();
  const expected = JSON.parse(JSON.stringify(UNDATED));
  expect(where.stored(`auths/${A}`)).toEqual(expected);
  for (const host of [laptop, server]) expect(host.read('auth', A)).toEqual(expected);
}

describe('another host was faster', () => {
  test('a login that reaches the store in the moment of a deletion is deleted with it, and stays so', async () => {
    const { where, laptop, server } = await started();
    const choices = forgetting([A], Date.now());
    await laptop.sync({ choices, through: beforeCommit(() => server.sync()) });
    expect(where.store.names('auths')).toEqual(['b.json']);
    expect(where.store.history(A)).toContainEqual(login(2));
    await expectNextLives(where, laptop, server);
  });

  test('what a restore replaced in its second try is known to have been replaced', async () => {
    const { where, laptop, server } = await started();
    const choices = restoring(new Map([[A, version(login(1))]]), laptop.name, Date.now());
    await laptop.sync({ choices, through: beforeCommit(() => server.sync()) });
    expect(laptop.read('auth', A)).toMatchObject({ access_token: 'access-01' });
    await laptop.sync({ choices: forgetting([A], Date.now()) });
    await expectNextLives(where, laptop, server);
  });
});
