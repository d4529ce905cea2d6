import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { STORE_VARIABLES } from '../../ts/src/settings/store-settings.ts';
import { bundlePath, command, credentials, put, stored, test } from './world.ts';

const COMPOSE = parse(readFileSync(new URL('../../docs/compose.yaml', import.meta.url), 'utf8'));

test('the compose file keeps the proxy from the store, and gives neither container a right too many', () => {
  const { sync, proxy } = COMPOSE.services;
  for (const service of [sync, proxy]) {
    expect(service.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toContain('no-new-privileges:true');
  }
  for (const kind of ['postgres', 's3', 'git'] as const)
    expect(proxy.environment[STORE_VARIABLES[kind][0]]).toBe('');
  expect(proxy.volumes).toContain('./data/proxy:/data/proxy');
  expect(sync.volumes).toContain('./data/proxy:/data/proxy');
});

test('what it has the container run is what this program understands, and its health check says yes', async ({
  world,
}) => {
  const home = await world.home('container');
  const { sync } = COMPOSE.services;
  /** The container's paths, as they are here. */
  const here = (word: string) =>
    word
      .replace(/^\/(data|tmp)/, join(home.path, '$1'))
      .replace('/app/cliproxyapi-sync.mjs', bundlePath('cliproxyapi-sync'));
  const env = Object.fromEntries(
    Object.entries<string>(sync.environment).map(([name, value]) => [name, here(value)]),
  );
  for (const name of ['data/proxy', 'data/state', 'tmp'])
    await mkdir(join(home.path, name), { recursive: true, mode: 0o700 });
  const options = {
    env: { ...env, LOCALSTORE_PATH: join(world.root, 'store'), CLIPROXY_ENV_FILE: undefined },
  };
  const [node, bundle, ...args] = sync.command.map(here);
  expect([node, bundle]).toEqual(['node', bundlePath('cliproxyapi-sync')]);
  const watch = world.start(home, 'cliproxyapi-sync', args, options);
  await put(join(env.CLIPROXY_HOME ?? '', 'objectstore/auths'), credentials('a'));
  for (let tries = 0; tries < 200 && !/wrote the store/.test(watch.output()); tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(Object.keys(await stored(world.store, 'auths/'))).toEqual(['a.json']);
  for (const line of watch.output().trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('level');

  const [kind, ...check] = sync.healthcheck.test.map(here);
  expect(kind).toBe('CMD');
  expect((await command(home, [process.execPath, ...check.slice(1)], options)).code).toBe(0);
  watch.kill('SIGTERM');
  expect(await watch.ended).toMatchObject({ code: 0 });
  // It ends well before the container is killed.
  expect(Number.parseInt(sync.stop_grace_period, 10)).toBeGreaterThan(8);
});
