/**
 * CLIProxyAPI itself, natively on each store, with us before it and beside it; and the stand-in that the other tests have
 * for it, compared with it. `CLIPROXYAPI_BIN` names the program; it is no part of this repository.
 */
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { parse } from 'yaml';
import { held, NODE_24, type Running, run } from '../e2e/world.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import {
  NATIVE_KINDS,
  NATIVE_PROXY,
  type NativeHome,
  type NativeWorld,
  putFiles,
  says,
  test,
  until,
} from '../support/native.ts';
import { server } from '../support/s3.ts';

const REAL = process.env.CLIPROXYAPI_BIN ?? '';
const isThere = REAL !== '' && existsSync(REAL);
if (!isThere) {
  console.warn(
    '\nSKIPPED: all tests with CLIProxyAPI itself, since CLIPROXYAPI_BIN names no program. ' +
      'Build one (go build ./cmd/server in its repository) and name it there.\n',
  );
}

const KEY = 'management-S3CR3T';

/** A login that nothing has to refresh for years. */
function login(name: string, minute = 0) {
  const two = String(minute).padStart(2, '0');
  return {
    access_token: `S3CR3T-${name}-${two}`,
    disabled: false,
    email: `${name}@example.com`,
    expired: `2036-03-01T20:${two}:00Z`,
    last_refresh: `2026-03-01T12:${two}:00Z`,
    refresh_token: `S3CR3T-${name}-refresh-${two}`,
    type: 'claude',
  };
}

async function freePort(): Promise<number> {
  const listening = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  const { port } = listening.address() as AddressInfo;
  await new Promise((resolve) => listening.close(resolve));
  return port;
}

interface RealHome extends NativeHome {
  readonly port: number;
}

async function realHome(native: NativeWorld, name: string): Promise<RealHome> {
  const port = await freePort();
  const template = `port: ${port}\nhost: 127.0.0.1\nremote-management:\n  secret-key: __KEY__\n  disable-control-panel: true\n`;
  const home = await native.home(name, { proxy: REAL, template, ccs: true });
  return { ...home, env: { ...home.env, KEY }, port };
}

/** Starts it through us, until it listens. */
async function serving(native: NativeWorld, home: RealHome): Promise<Running> {
  const running = native.start(home, 'start', ['-local-model']);
  await until('it listens', () => listens(home.port)).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${running.output()}`);
  });
  expect(running.output()).not.toMatch(/local files this time/);
  await says(running, /file watcher started/);
  return running;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    }).once('error', () => resolve(false));
  });
}

async function stop(running: Running): Promise<void> {
  running.kill('SIGTERM');
  await running.ended;
}

async function deleteByManagement({ port }: RealHome, name: string): Promise<void> {
  const url = `http://127.0.0.1:${port}/v0/management/auth-files?name=${encodeURIComponent(name)}`;
  const answer = await fetch(url, { method: 'DELETE', headers: { Authorization: `Bearer ${KEY}` } });
  expect(answer.status, await answer.text()).toBe(200);
}

async function settle(home: NativeHome): Promise<void> {
  let last = '';
  await until('all in step', async () => {
    const { code, stderr } = await run(home, 'cliproxyapi-sync', ['sync']);
    last = stderr;
    return code === 0 && /all in step/.test(stderr) && !/not yet in/.test(stderr);
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${last}`);
  });
}

const contents = (directory: string) =>
  Object.fromEntries(Object.entries(held(directory)).map(([name, text]) => [name, JSON.parse(text)]));

describe.skipIf(!isThere).each(NATIVE_KINDS)('CLIProxyAPI natively on %s', (kind) => {
  test.override({ kind });

  test('a start, a refresh, a login in CCS, a deletion, a second start, with runs all the while', async ({
    native,
  }) => {
    const home = await realHome(native, 'laptop');
    const expectAll = async (expected: Readonly<Record<string, unknown>>) => {
      expect(contents(home.authDir), 'the mirror').toEqual(expected);
      expect(await native.store.read(), 'the store').toEqual(expected);
    };
    const files = { 'a.json': login('a'), 'b.json': login('b'), 'c.json': login('c') };
    await putFiles(home.authDir, files);
    const first = await serving(native, home);
    await settle(home);
    await expectAll(files);
    expect(parse((await native.store.config()) ?? '')).toMatchObject({ port: home.port });

    // As its own save does: a file that takes the name.
    await putFiles(home.authDir, { 'a.json': login('a', 10) });
    await settle(home);
    await expectAll({ ...files, 'a.json': login('a', 10) });
    expect(await native.kept('a.json')).toContainEqual(login('a'));

    await putFiles(home.ccsDir, { 'd.json': login('d') });
    await settle(home);
    const four = { ...files, 'a.json': login('a', 10), 'd.json': login('d') };
    await expectAll(four);

    await deleteByManagement(home, 'b.json');
    await settle(home);
    const { 'b.json': gone, ...three } = four;
    await expectAll(three);
    expect(await native.tombstones()).toEqual(['b.json']);
    expect(await native.kept('b.json')).toContainEqual(gone);
    await stop(first);

    // A start with runs all the while, at whatever moment they come.
    const second = native.start(home, 'start', ['-local-model']);
    for (let runs = 0; runs < 20 && !(await listens(home.port)); runs++) {
      const { code, stderr } = await run(home, 'backup', [], { env: { CLIPROXY_LOCK_WAIT: '0.2' } });
      expect([0, 75], stderr).toContain(code);
    }
    await settle(home);
    await expectAll(three);
    expect(await native.tombstones()).toEqual(['b.json']);
    await stop(second);
  });

  test('its cache is emptied while it runs: put back', async ({ native }) => {
    const home = await realHome(native, 'laptop');
    const files = { 'a.json': login('a'), 'b.json': login('b'), 'c.json': login('c') };
    await putFiles(home.authDir, files);
    const running = await serving(native, home);
    await settle(home);
    for (const name of Object.keys(files)) await rm(join(home.authDir, name));
    if (kind !== 'git')
      await until('the store is empty', async () => Object.keys(await native.store.read()).length === 0);
    expect((await run(home, 'backup')).code).toBe(1);
    await settle(home);
    expect(contents(home.authDir)).toEqual(files);
    expect(await native.store.read()).toEqual(files);
    await stop(running);
  });

  test('killed right after its start began: the next start has everything', async ({ native }) => {
    const home = await realHome(native, 'laptop');
    const files = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [`n${index}.json`, login(`n${index}`)]),
    );
    await putFiles(home.authDir, files);
    await stop(await serving(native, home));
    for (const wait of [5, 20, 60]) {
      // As one process, so that the one that is killed is the proxy.
      const running = native.start(home, 'start', ['-local-model'], NODE_24 ? { node: NODE_24 } : {});
      const note = join(home.stateDir, 'native-proxy.json');
      const before = readFileSync(note, 'utf8');
      await until('it is noted', () => readFileSync(note, 'utf8') !== before).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${running.output()}`);
      });
      await new Promise((resolve) => setTimeout(resolve, wait));
      const { pid } = JSON.parse(readFileSync(note, 'utf8')).process;
      running.kill('SIGKILL');
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It was gone with us.
      }
      await running.ended;
      expect((await run(home, 'backup')).code).toBe(0);
    }
    await settle(home);
    expect(contents(home.authDir)).toEqual(files);
    expect(await native.store.read()).toEqual(files);
    expect(await native.tombstones()).toEqual([]);
  });
});

describe.skipIf(!isThere || !NATIVE_KINDS.includes('s3'))(
  'the stand-in asks of S3 what CLIProxyAPI asks',
  () => {
    test.override({ kind: 's3' });

    test('at a start, for a file that is written, and for one that is removed', async ({ native }) => {
      const network = await startFaultProxy(server().endpoint, server().admin.secretKey);
      const asked = async (program: string): Promise<string[]> => {
        const name = program === REAL ? 'real' : 'stand-in';
        const home = await native.home(name, { proxy: program });
        await native.store.write('a.json', login('a'));
        await native.store.write('team/b.json', login('b'));
        await native.store.writeConfig(`port: ${await freePort()}\nhost: 127.0.0.1\n`);
        const through = { env: { OBJECTSTORE_ENDPOINT: network.endpoint } };
        network.forget();
        const running = native.startAlone(home, { ...through, program, args: ['-local-model'] });
        await says(running, /file watcher started|serving natively/);
        const seen = () =>
          network.requests.map(
            ({ kind, key, headers, conditional }) =>
              `${kind} ${key} ${kind === 'PUT' ? (headers['content-type'] ?? '') : ''}${conditional ? ' conditional' : ''}`,
          );
        const start = seen();
        await putFiles(home.authDir, { 'c.json': login('c') });
        await until('it is written', async () => 'c.json' in (await native.store.read()));
        await rm(join(home.authDir, 'c.json'));
        await until('it is removed', async () => !('c.json' in (await native.store.read())));
        const all = seen();
        await stop(running);
        return [...start, '-- then --', ...all.slice(start.length)];
      };
      try {
        const real = await asked(REAL);
        expect(await asked(NATIVE_PROXY)).toEqual(real);
      } finally {
        await network.stop();
      }
    });
  },
);
