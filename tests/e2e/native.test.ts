/** Native mode: the proxy talks to the store itself, and we guard before it starts and beside it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { parse } from 'yaml';
import {
  NATIVE_KINDS,
  type NativeHome,
  type NativeKind,
  type NativeWorld,
  putFiles,
  save,
  says,
  test,
  until,
} from '../support/native.ts';
import { decent, type Ended, held, NODE_24, type Running, run, startBundle } from './world.ts';

const SERVES = /serving natively with (\d+) credentials/;
const ON_FILES = /runs on local files this time, since (.*)/;
/** Where the stand-in stops on its way. */
const POINTS: Readonly<Record<NativeKind, readonly string[]>> = {
  postgres: ['connect', 'list', 'clear', 'fill', 'serve'],
  s3: ['list', 'fill', 'serve'],
  git: ['connect', 'list'],
};

/** Where it dies: one of them in `make test`, all with CRASH_POINTS=all. */
const DIES: Readonly<Record<NativeKind, readonly string[]>> =
  process.env.CRASH_POINTS === 'all' ? POINTS : { postgres: ['clear'], s3: ['fill'], git: ['list'] };

/** A login refreshed in this minute of a day long gone: the later the fresher. */
function login(name: string, minute = 0, more: Readonly<Record<string, unknown>> = {}) {
  const two = String(minute).padStart(2, '0');
  return {
    type: 'claude',
    email: `${name}@example.com`,
    access_token: `S3CR3T-${name}-${two}`,
    refresh_token: `S3CR3T-${name}-refresh-${two}`,
    last_refresh: `2026-03-01T12:${two}:00Z`,
    expired: `2026-03-01T20:${two}:00Z`,
    disabled: false,
    ...more,
  };
}

function logins(...names: readonly string[]) {
  return Object.fromEntries(names.map((name) => [`${name}.json`, login(name)]));
}

function contents(directory: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(held(directory)).map(([name, text]) => [name, text === '' ? '' : JSON.parse(text)]),
  );
}

/** Starts the proxy through us, until it serves natively. */
async function serving(
  world: NativeWorld,
  home: NativeHome,
  env: Record<string, string> = {},
): Promise<Running> {
  const running = world.start(home, 'start', [], { env });
  await says(running, SERVES);
  return running;
}

async function stop(running: Running): Promise<Ended> {
  running.kill('SIGTERM');
  return decent(await running.ended);
}

/** A run that does not wait for a proxy that starts. */
const hasty = (home: NativeHome, program: 'backup' | 'hydrate' = 'backup') =>
  run(home, program, [], { env: { CLIPROXY_LOCK_WAIT: '0.2' } });

/** Runs until a run says that all is in step. */
async function settle(home: NativeHome): Promise<Ended> {
  let last: Ended | undefined;
  await until('all in step', async () => {
    last = await run(home, 'cliproxyapi-sync', ['sync']);
    return last.code === 0 && /all in step/.test(last.stderr) && !/not yet in/.test(last.stderr);
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${last?.stderr}`);
  });
  return last as Ended;
}

/** The mirror, the store and nothing but these, and nothing deleted. */
async function expectHeld(
  world: NativeWorld,
  home: NativeHome,
  expected: Readonly<Record<string, unknown>>,
): Promise<void> {
  expect(contents(home.authDir), 'the mirror').toEqual(expected);
  expect(await world.store.read(), 'the store').toEqual(expected);
}

describe.each(NATIVE_KINDS)('native mode (%s)', (kind) => {
  test.override({ kind });

  test('before it starts: what only this host has is in the store and its history, and so is the config', async ({
    native,
  }) => {
    const home = await native.home('laptop', { template: 'port: 8317\napi-keys:\n  - __KEY__\n' });
    const files = logins('a', 'b');
    await putFiles(home.authDir, files);
    const running = await serving(native, home, { KEY: 'k1' });
    await expectHeld(native, home, files);
    expect(await native.kept('a.json')).toEqual([files['a.json']]);
    const config = parse((await native.store.config()) ?? '');
    expect(config).toMatchObject({ port: 8317, 'api-keys': ['k1'] });
    // What the proxy reads is what the store has.
    const mirrored = join(home.authDir, '../config/config.yaml');
    expect(parse(readFileSync(mirrored, 'utf8'))).toEqual(config);
    await settle(home);
    await expectHeld(native, home, files);
    await stop(running);
  });

  test('a new machine gets everything', async ({ native }) => {
    const files = logins('a', 'b', 'c');
    for (const [name, content] of Object.entries(files)) await native.store.write(name, content);
    const home = await native.home();
    const running = await serving(native, home);
    await expectHeld(native, home, files);
    await stop(running);
  });

  test('a store that cannot be reached: the proxy serves from local files; no older copy wins later', async ({
    native,
  }) => {
    const home = await native.home();
    await putFiles(home.authDir, logins('a', 'b'));
    await stop(await serving(native, home));
    // Refreshed while nobody could be told.
    const newer = login('a', 30);
    await putFiles(home.authDir, { 'a.json': newer });
    const offline = native.start(home, 'start', [], { env: native.store.unreachable });
    await says(offline, /serving with 2 credentials/);
    const { stderr } = await stop(offline);
    expect(stderr.match(new RegExp(ON_FILES, 'g'))).toHaveLength(1);
    expect(stderr).toMatch(/The next start is native again/);
    expect(contents(home.authDir)['a.json']).toEqual(newer);
    // The config that it ran with is the one that it had.
    expect(parse(readFileSync(join(home.proxyHome, 'config.yaml'), 'utf8'))).toMatchObject({
      'auth-dir': home.authDir,
    });

    const online = await serving(native, home);
    await expectHeld(native, home, { 'a.json': newer, 'b.json': login('b') });
    await stop(online);
  });

  test('runs at every moment of a start: nothing is taken for deleted, and the start succeeds', async ({
    native,
  }) => {
    const home = await native.home();
    const files = logins('a', 'b', 'c', 'd', 'e');
    await putFiles(home.authDir, files);
    await stop(await serving(native, home));
    await settle(home);
    const running = native.start(home, 'start', [], { env: { NATIVE_STOPS: POINTS[kind].join(',') } });
    for (const point of POINTS[kind]) {
      await says(running, new RegExp(`at ${point}`));
      for (const program of ['backup', 'hydrate'] as const) {
        const { code, stderr } = await hasty(home, program);
        expect([0, 75], stderr).toContain(code);
      }
      await native.tell(home, 'go');
    }
    await says(running, SERVES);
    await settle(home);
    await expectHeld(native, home, files);
    expect(await native.tombstones()).toEqual([]);
    await stop(running);
  });

  test.for(DIES[kind])(
    'a proxy that dies at "%s": nothing is deleted, everything is put back',
    async (point, { native }) => {
      const home = await native.home();
      const files = logins('a', 'b', 'c', 'd', 'e');
      await putFiles(home.authDir, files);
      await stop(await serving(native, home));
      await settle(home);
      await native.start(home, 'start', [], { env: { NATIVE_DIES: point } }).ended;
      const { code, stderr } = await run(home, 'backup');
      expect(code, stderr).toBe(0);
      await settle(home);
      await expectHeld(native, home, files);
      expect(await native.tombstones()).toEqual([]);
      await stop(await serving(native, home));
    },
  );

  test('over a slow link, runs all the while: all 40 are there in the end', async ({ native }) => {
    const home = await native.home();
    const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
    const files = logins(...names);
    await putFiles(home.authDir, files);
    await stop(await serving(native, home));
    const running = native.start(home, 'start', [], { env: { NATIVE_SLOW: '60' } });
    while (!SERVES.test(running.output())) {
      const { code, stderr } = await hasty(home);
      expect([0, 75], stderr).toContain(code);
    }
    await settle(home);
    await expectHeld(native, home, files);
    expect(await native.tombstones()).toEqual([]);
    await stop(running);
  });

  test('a second native proxy on the same mirror, by hand: what that loses is put back', async ({
    native,
  }) => {
    const home = await native.home();
    const files = logins(...Array.from({ length: 20 }, (_, index) => `n${index}`));
    await putFiles(home.authDir, files);
    const first = await serving(native, home);
    await settle(home);
    const second = native.startAlone(home, {
      env: { NATIVE_SLOW: '40', NATIVE_SOCKET: join(native.root, 'second.sock') },
    });
    while (!SERVES.test(second.output())) await hasty(home);
    await sleep(500);
    await settle(home);
    await expectHeld(native, home, files);
    expect(await native.tombstones()).toEqual([]);
    await stop(second);
    await stop(first);
  });

  test('a second start through us: local files, since one runs natively already', async ({ native }) => {
    const home = await native.home();
    await putFiles(home.authDir, logins('a', 'b'));
    const first = await serving(native, home);
    const second = native.start(home, 'start');
    await says(second, /serving with 2 credentials/);
    expect(second.output()).toMatch(/since one runs natively already \(process \d+\)/);
    await stop(second);
    await expectHeld(native, home, logins('a', 'b'));
    await stop(first);
  });

  test('the cache is emptied while it runs: put back, and no deletion', async ({ native }) => {
    const home = await native.home();
    const files = logins('a', 'b', 'c');
    await putFiles(home.authDir, files);
    const running = await serving(native, home);
    await settle(home);
    for (const name of Object.keys(files)) await rm(join(home.authDir, name));
    // Git refuses what it did not remove itself.
    if (kind !== 'git') await until('the store is empty', async () => isEmpty(await native.store.read()));
    const { code, stderr } = await run(home, 'backup');
    expect(code).toBe(1);
    expect(stderr).toMatch(/guard held/);
    await settle(home);
    await expectHeld(native, home, files);
    expect(await native.tombstones()).toEqual([]);
    await stop(running);
  });

  test('the management page deletes one: a deletion for every host', async ({ native }) => {
    const home = await native.home();
    const other = await native.home('server');
    const { 'b.json': gone, ...left } = logins('a', 'b', 'c');
    await putFiles(home.authDir, { ...left, 'b.json': gone });
    const running = await serving(native, home);
    await settle(home);
    await run(other, 'cliproxyapi-sync', ['sync']);
    await native.tell(home, 'delete b.json');
    await until('gone from the store', async () => !('b.json' in (await native.store.read())));
    await settle(home);
    await expectHeld(native, home, left);
    expect(await native.tombstones()).toEqual(['b.json']);
    expect(await native.kept('b.json')).toEqual([gone]);
    await settle(other);
    expect(contents(other.authDir)).toEqual(left);
    await stop(running);
  });

  test('what it refreshes is in the store, in history and in the CCS dir', async ({ native }) => {
    const home = await native.home('laptop', { ccs: true });
    await putFiles(home.authDir, logins('a', 'b'));
    const running = await serving(native, home);
    await settle(home);
    const newer = login('a', 20);
    await native.tell(home, save('a.json', newer));
    await settle(home);
    await expectHeld(native, home, { 'a.json': newer, 'b.json': login('b') });
    expect(contents(home.ccsDir)['a.json']).toEqual(newer);
    expect(await native.kept('a.json')).toContainEqual(newer);
    await stop(running);
  });

  test('an older version that was written over a newer one is put right', async ({ native }) => {
    const home = await native.home();
    const other = await native.home('server');
    const [older, newer] = [login('a'), login('a', 40)];
    await putFiles(home.authDir, { 'a.json': older, 'b.json': login('b') });
    await settle(home);
    await settle(other);
    await putFiles(other.authDir, { 'a.json': newer });
    await settle(other);
    // What a proxy does that had it in memory.
    await native.store.write('a.json', older);
    const running = await serving(native, home);
    await settle(home);
    await expectHeld(native, home, { 'a.json': newer, 'b.json': login('b') });
    await stop(running);
  });

  test('a login in CCS beside a running proxy reaches the store', async ({ native }) => {
    const home = await native.home('laptop', { ccs: true });
    await putFiles(home.authDir, logins('a', 'b'));
    const running = await serving(native, home);
    await settle(home);
    await putFiles(home.ccsDir, { 'c.json': login('c'), 'a.json': login('a', 30) });
    const expected = { ...logins('b', 'c'), 'a.json': login('a', 30) };
    await settle(home);
    await expectHeld(native, home, expected);
    // The proxy goes on as before.
    await native.tell(home, save('b.json', login('b', 10)));
    await settle(home);
    await expectHeld(native, home, { ...expected, 'b.json': login('b', 10) });
    await stop(running);
  });

  test('a login through the wrapper, beside a running proxy and without one', async ({ native }) => {
    const home = await native.home();
    await putFiles(home.authDir, logins('a'));
    const log = (account: string) =>
      run(home, 'wrapper', ['-claude-login'], { env: { STAND_IN_ACCOUNT: account } });
    const alone = await log('first@example.com');
    expect(alone.code, alone.stderr).toBe(0);
    expect(alone.stderr).not.toMatch(ON_FILES);
    expect(Object.keys(await native.store.read())).toContain('claude-first@example.com.json');
    const running = await serving(native, home);
    expect((await log('second@example.com')).code).toBe(0);
    await settle(home);
    const names = ['a.json', 'claude-first@example.com.json', 'claude-second@example.com.json'];
    expect(Object.keys(await native.store.read()).sort()).toEqual(names);
    expect(Object.keys(contents(home.authDir))).toEqual(names);
    await stop(running);
  });

  test('from managed to native and back: a login that never reached the store comes along', async ({
    native,
  }) => {
    const home = await native.home();
    const managed = { CLIPROXY_STORE_MODE: 'managed' };
    const former = join(home.proxyHome, 'objectstore/auths');
    const offline = { ...managed, ...native.store.unreachable };
    await putFiles(former, logins('a', 'b'));
    expect((await run(home, 'backup', [], { env: managed })).code).toBe(0);
    await putFiles(former, { 'c.json': login('c'), 'b.json': login('b', 30) });
    expect((await run(home, 'backup', [], { env: offline })).code).toBe(75);

    const expected = { ...logins('a', 'c'), 'b.json': login('b', 30) };
    // First without the store, so that only the directories can tell.
    const first = native.start(home, 'start', [], { env: native.store.unreachable });
    await says(first, /serving with 3 credentials/);
    await stop(first);
    expect(contents(home.authDir)).toEqual(expected);
    const running = await serving(native, home);
    await settle(home);
    await expectHeld(native, home, expected);
    await native.tell(home, 'delete a.json');
    await settle(home);
    await stop(running);
    if (kind === 's3') return;
    // Back again: what was deleted meanwhile stays so, though the former directory still has it.
    await putFiles(home.authDir, { 'd.json': login('d') });
    const back = native.start(home, 'start', [], { env: managed });
    await says(back, /serving with 3 credentials/);
    await stop(back);
    const { 'a.json': _, ...left } = expected as Record<string, unknown>;
    expect(contents(former)).toEqual({ ...left, 'd.json': login('d') });
    expect(await native.store.read()).toEqual({ ...left, 'd.json': login('d') });
  });

  test('the config: an edit on the management page stays, a changed template is put, and what it replaces is kept', async ({
    native,
  }) => {
    const template = (port: number) => `port: ${port}\nremote-management:\n  secret-key: __SECRET__\n`;
    const home = await native.home('laptop', { template: template(8317) });
    const env = { SECRET: 'S3CR3T-key' };
    await stop(await serving(native, home, env));
    const first = (await native.store.config()) ?? '';
    // The hash of the same secret is no change.
    const hash = '$2b$04$0RlFCBpQAXOtqLTsNPf53uwUCxNxMBCRLu5ClAy.q7FjP5cOZJ8hK';
    await native.store.writeConfig(first.replace('S3CR3T-key', hash));
    const edited = `${first}debug: true\n`;
    await native.store.writeConfig(edited);
    const ended = await stop(await serving(native, home, env));
    expect(ended.stderr).toMatch(/config in .* was changed since it was put there/);
    expect(await native.store.config()).toBe(edited);

    await writeFile(join(home.proxyHome, 'config.template.yaml'), template(8318));
    const again = await stop(await serving(native, home, env));
    expect(again.stderr).toMatch(/put the config into/);
    expect(parse((await native.store.config()) ?? '')).toMatchObject({ port: 8318 });
    expect(await native.configHistory()).toContain(edited);
    // Another host with the same template agrees, though its auth dir is another.
    const other = await native.home('server', { template: template(8318) });
    const before = await native.store.config();
    await stop(await serving(native, other, env));
    expect(await native.store.config()).toBe(before);
  });

  test('without a template the store’s config stands; without any config it is exit 78', async ({
    native,
  }) => {
    const home = await native.home();
    await rm(join(home.proxyHome, 'config.template.yaml'));
    const without = await run(home, 'start');
    expect(without.code).toBe(78);
    expect(without.stderr).toMatch(/has no config/);
    await native.store.writeConfig('port: 4711\n');
    await stop(await serving(native, home));
    expect(await native.store.config()).toBe('port: 4711\n');
  });

  test('foreign names beside credentials: left alone; a name that is a folder too: local files', async ({
    native,
  }) => {
    const home = await native.home();
    await putFiles(home.authDir, logins('a', 'b'));
    await native.store.write('notes', { text: 'mine' });
    await native.store.write('team/c.json', login('c'));
    const running = await serving(native, home);
    await settle(home);
    expect(await native.store.read()).toEqual({
      ...logins('a', 'b'),
      notes: { text: 'mine' },
      'team/c.json': login('c'),
    });
    await stop(running);
    if (kind === 'git') return;
    await native.store.write('x', login('x'));
    await native.store.write('x/y.json', login('y'));
    const clash = native.start(home, 'start');
    await says(clash, /serving with \d credentials/);
    expect(clash.output()).toMatch(/since .* holds both x and something below it/);
    await stop(clash);
  });

  test('a file that a native start would destroy: local files, and the file is named', async ({ native }) => {
    const home = await native.home();
    await putFiles(home.authDir, { ...logins('a'), 'half.json': '{"type":"cla' });
    const running = native.start(home, 'start');
    await says(running, /serving with 2 credentials/);
    expect(running.output()).toMatch(/since half\.json in the auth dir/);
    expect(readFileSync(join(home.authDir, 'half.json'), 'utf8')).toBe('{"type":"cla');
    await stop(running);
  });

  test('ours and a native proxy on two hosts, in turns and at once: no version is lost', async ({
    native,
  }) => {
    const mine = await native.home();
    const theirs = await native.home('theirs');
    await putFiles(mine.authDir, logins('a', 'b'));
    await settle(mine);
    await native.store.writeConfig('port: 8317\n');
    // Nothing of ours guards this one.
    const alone = native.startAlone(theirs);
    await says(alone, SERVES);
    const versions: unknown[] = [];
    for (let minute = 1; minute <= 6; minute++) {
      const version = login('a', minute);
      versions.push(version);
      if (minute % 2 === 0) {
        await native.tell(theirs, save('a.json', version));
        await settle(mine);
      } else {
        await putFiles(mine.authDir, { 'a.json': version });
        await settle(mine);
      }
    }
    const kept = await native.kept('a.json', [mine]);
    for (const version of versions) expect(kept).toContainEqual(version);
    // At once, on different logins and on the same one.
    await putFiles(mine.authDir, { 'a.json': login('a', 20), 'c.json': login('c') });
    const [saved] = await Promise.all([
      native.tell(theirs, save('a.json', login('a', 21))).then(
        () => true,
        () => false,
      ),
      native.tell(theirs, save('b.json', login('b', 20))).catch(() => undefined),
      run(mine, 'cliproxyapi-sync', ['sync']),
    ]);
    await settle(mine);
    const everywhere = [
      ...(await native.kept('a.json', [mine])),
      (await native.store.read())['a.json'],
      contents(theirs.authDir)['a.json'],
    ];
    // What that proxy said to have failed to save is its user's to save again.
    for (const version of [...versions, login('a', 20), ...(saved ? [login('a', 21)] : [])])
      expect(everywhere).toContainEqual(version);
    expect(await native.store.read()).toMatchObject({ 'c.json': login('c') });
    await stop(alone);
  });
});

function isEmpty(record: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(record).length === 0;
}

describe('beside a native proxy with Git', () => {
  test.override({ kind: 'git' });

  test('its branch is left to it, our records are written; a change of another host waits for the proxy', async ({
    native,
  }) => {
    const home = await native.home('laptop', { ccs: true });
    const files = logins('a', 'b');
    await putFiles(home.authDir, files);
    const running = await serving(native, home);
    await settle(home);
    const before = await native.store.fingerprint();
    // Another host, with our program and no proxy, changes one and deletes another.
    const other = await native.home('server');
    await settle(other);
    await putFiles(other.authDir, { 'a.json': login('a', 30) });
    await settle(other);
    const theirs = await native.store.fingerprint();
    expect(theirs).not.toBe(before);

    const waiting = await run(home, 'backup');
    expect(waiting.code, waiting.stderr).toBe(0);
    expect(waiting.stderr).toMatch(/not yet in the auth dir .*the proxy that runs brings them there/);
    expect(contents(home.authDir)['a.json']).toEqual(files['a.json']);
    expect(await native.store.fingerprint()).toBe(theirs);
    // Its next save brings it, and works.
    await native.tell(home, save('b.json', login('b', 10)));
    await settle(home);
    await expectHeld(native, home, { 'a.json': login('a', 30), 'b.json': login('b', 10) });
    await stop(running);
  });

  test('a deletion elsewhere waits for its next start, and is not undone by it', async ({ native }) => {
    const home = await native.home();
    await putFiles(home.authDir, logins('a', 'b', 'c'));
    const running = await serving(native, home);
    await settle(home);
    const other = await native.home('server');
    await settle(other);
    await rm(join(other.authDir, 'b.json'));
    await settle(other);
    const waiting = await run(home, 'backup');
    expect(waiting.code, waiting.stderr).toBe(0);
    expect(existsSync(join(home.authDir, 'b.json'))).toBe(true);
    await stop(running);
    const again = await serving(native, home);
    await expectHeld(native, home, logins('a', 'c'));
    expect(await native.tombstones()).toEqual(['b.json']);
    await stop(again);
  });

  test('a file that changed on both sides: saves fail, and the next start mends it with both versions kept', async ({
    native,
  }) => {
    const home = await native.home();
    await putFiles(home.authDir, logins('a', 'b'));
    const running = await serving(native, home);
    await settle(home);
    await native.store.write('a.json', login('a', 30));
    await putFiles(home.authDir, { 'a.json': login('a', 20) });
    await says(running, /conflicts with local change auths\/a\.json/);
    const waiting = await run(home, 'backup');
    expect(waiting.code, waiting.stderr).toBe(0);
    await stop(running);
    const again = await serving(native, home);
    await expectHeld(native, home, { 'a.json': login('a', 30), 'b.json': login('b') });
    expect(await native.kept('a.json', [home])).toContainEqual(login('a', 20));
    await native.tell(home, save('b.json', login('b', 5)));
    await settle(home);
    await stop(again);
  });

  test('neither the token nor a password is in the clone', async ({ native }) => {
    const home = await native.home();
    await putFiles(home.authDir, logins('a'));
    const running = await serving(native, home, { GITSTORE_GIT_TOKEN: 'S3CR3T-token' });
    const gitDir = join(home.authDir, '../.git');
    for (const name of ['config', 'HEAD'])
      expect(readFileSync(join(gitDir, name), 'utf8')).not.toMatch(/S3CR3T/);
    expect(readdirSync(join(home.authDir, '..')).filter((name) => /^\.git-/.test(name))).toEqual([]);
    await stop(running);
  });
});

describe.skipIf(NODE_24 === undefined)('on a Node that can become another program', () => {
  test.override({ kind: 'git' });

  test('the process that is noted is the proxy', async ({ native }) => {
    const home = await native.home();
    await putFiles(home.authDir, logins('a'));
    const running = startBundle('start', [], home, NODE_24 === undefined ? {} : { node: NODE_24 });
    await says(running, SERVES);
    const note = JSON.parse(readFileSync(join(home.stateDir, 'native-proxy.json'), 'utf8'));
    expect(note.process.pid).toBe(running.pid);
    const second = native.start(home, 'start');
    await says(second, /since one runs natively already/);
    await stop(second);
    await stop(running);
  });
});
