/** Several hosts in rounds: what the tests beside this file begin with and end on. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Content, type Host, killedAt, type World } from '../world.ts';

export const A = 'a.json';

/** Several rounds, each host once; then every place of every host and the store hold the same. */
export async function settle(where: World, hosts: readonly Host[], rounds = 3): Promise<void> {
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
export async function agreed(
  where: World,
  names: readonly string[],
  credentials: Readonly<Record<string, Content>>,
): Promise<Host[]> {
  const hosts = names.map((name) => where.host(name));
  for (const [name, content] of Object.entries(credentials)) hosts[0]?.put('auth', name, content);
  for (const host of hosts) await host.sync();
  return hosts;
}

export async function killedRun(host: Host, keeps: Parameters<typeof killedAt>[0]): Promise<void> {
  await expect(host.run({ through: killedAt(keeps) })).rejects.toThrow('killed');
}
