/** What the tests beside this file do: a person restores or forgets on one of several hosts. */
import { expect } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { parseCredential, type Version } from '../../../ts/src/credential/version.ts';
import { forgetting, restoring } from '../../../ts/src/history/choices.ts';
import type { RunReport } from '../../../ts/src/sync/run.ts';
import { type Content, type Host, login, type RunOptions, type World } from '../world.ts';

export const A = 'a.json';
export const DAY = 24 * 60 * 60 * 1000;
/** A service account's key has no dates. */
export const key = (name: string): Content => ({ type: 'vertex', project_id: 'p', private_key: name });

export function version(content: Content): Version {
  const parsed = parseCredential(Buffer.from(JSON.stringify(content)));
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.version;
}

/** What `restore` does once it knows which version is meant. */
export function restore(host: Host, content: Content, options: RunOptions = {}): Promise<RunReport> {
  const versions = new Map([[A as CredentialName, version(content)]]);
  return host.run({ ...options, choices: restoring(versions, host.name, Date.now()) });
}

export function forget(host: Host, names: readonly string[], options: RunOptions = {}): Promise<RunReport> {
  const choices = forgetting(names as CredentialName[], Date.now());
  return host.run({ ...options, allowDelete: names, choices });
}

/** Three hosts that saw the first version; then the first of them refreshed, and all but the last know. */
export async function refreshedOnce(where: World): Promise<[laptop: Host, server: Host, phone: Host]> {
  const [laptop, server, phone] = [where.host('laptop'), where.host('server'), where.host('phone')];
  laptop.put('auth', A, login(1));
  for (const host of [laptop, server, phone]) await host.sync();
  laptop.put('auth', A, login(2));
  await laptop.sync();
  await server.sync();
  return [laptop, server, phone];
}

export const token = (host: Host, place: 'auth' | 'ccs' = 'auth') => host.read(place, A)?.access_token;

export async function expectToken(
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

export const tokensInHistory = (where: World) =>
  where.store.history(A).map((content) => content.access_token);
