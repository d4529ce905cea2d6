/** A program that held a file open writes to it while a run replaces or removes it. */
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { type Host, login, world } from '../../scenarios/world.ts';

const hooks = vi.hoisted(() => ({ afterRename: (_to: string) => {}, afterUnlink: (_path: string) => {} }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const rename: typeof real.rename = async (from, to) => {
    await real.rename(from, to);
    hooks.afterRename(String(to));
  };
  const unlink: typeof real.unlink = async (path) => {
    await real.unlink(path);
    hooks.afterUnlink(String(path));
  };
  return { ...real, rename, unlink, default: { ...real, rename, unlink } };
});

beforeEach(() => {
  hooks.afterRename = () => {};
  hooks.afterUnlink = () => {};
});

const A = 'a.json';

/** Once a file has taken the name, or the name is gone, what the old one was is written to. */
function writesLate(host: Host, text: string, hook: 'afterRename' | 'afterUnlink'): () => void {
  const path = join(host.directories.auth, A);
  const old = openSync(path, 'r+');
  let isFirst = true;
  hooks[hook] = (to) => {
    if (to !== path || !isFirst) return;
    isFirst = false;
    ftruncateSync(old);
    writeSync(old, text, 0);
  };
  return () => closeSync(old);
}

async function agreed(): Promise<Host> {
  const host = world().host('laptop');
  for (const name of [A, 'b.json', 'c.json']) host.put('auth', name, login(1));
  await host.sync();
  return host;
}

test('a refresh that a proxy writes while the file is replaced is the newest, and goes everywhere', async () => {
  const host = await agreed();
  host.put('ccs', A, login(2));
  const close = writesLate(host, JSON.stringify(login(3)), 'afterRename');
  await host.sync();
  close();
  expect([host.read('auth', A), host.read('ccs', A)]).toEqual([login(3), login(3)]);
});

test('half a write is kept aside, and what took its place stays', async () => {
  const host = await agreed();
  host.put('ccs', A, login(2));
  const close = writesLate(host, '{"type', 'afterRename');
  await host.sync();
  close();
  expect(host.read('auth', A)).toEqual(login(2));
  const aside = join(host.stateDir, 'rejected', A);
  expect(readdirSync(aside).map((name) => readFileSync(join(aside, name), 'utf8'))).toEqual(['{"type']);
});

test('a refresh that a proxy writes while its file is removed lives', async () => {
  const host = await agreed();
  host.put('auth', A, login(1, { disabled: true }));
  await host.sync();
  host.remove('ccs', A);
  const close = writesLate(host, JSON.stringify(login(3)), 'afterUnlink');
  await host.run();
  close();
  await host.sync();
  expect([host.read('auth', A), host.read('ccs', A)]).toEqual([login(3), login(3)]);
});
