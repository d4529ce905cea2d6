/** What the tests beside this file begin with: a repository of its own for each test, and a store on it. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, onTestFinished } from 'vitest';
import type { GitOptions } from '../../../ts/src/stores/git/options.ts';
import type { Store } from '../../../ts/src/stores/store.ts';
import { type GitWorld, gitWorld } from '../../support/git-world.ts';
import { MARKER } from '../vocabulary.ts';

export const RECORDS = 'cliproxyapi-sync';

export let world: GitWorld;
beforeEach(async () => {
  world = await gitWorld();
});
afterEach(() => world.end());

/** Another repository in the place of this test's, with this default branch. */
export async function anotherWorld(branch?: string): Promise<void> {
  await world.end();
  world = await gitWorld(branch);
}

export async function prepared(more: Partial<GitOptions> = {}): Promise<Store> {
  const store = world.open(more);
  await store.prepare(MARKER);
  return store;
}

/** For this test; undefined takes a variable away. */
export function setEnvironment(variables: Readonly<Record<string, string | undefined>>): void {
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  onTestFinished(() => {
    for (const [name, value] of before) set(name, value);
  });
  for (const [name, value] of Object.entries(variables)) set(name, value);
}

export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
