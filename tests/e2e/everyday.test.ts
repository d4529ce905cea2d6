/** See it, trust it, undo it: status, history, restore and forget as a person types them. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import stringWidth from 'string-width';
import { describe, expect } from 'vitest';
import { violations } from '../support/json-schema.ts';
import { onTerminal } from '../support/on-terminal.ts';
import { personAt } from '../support/person.ts';
import { STATUS_SCHEMA } from '../support/status-schema.ts';
import {
  test as base,
  bundlePath,
  command,
  credential,
  credentials,
  done,
  expectInStep,
  findProgram,
  type Home,
  held,
  isKept,
  KINDS,
  nodes,
  put,
  run,
  s3Server,
  startBundle,
  sync,
  texts,
  tree,
  type World,
} from './world.ts';

const all = (home: Home, ...args: string[]) => run(home, 'cliproxyapi-sync', args);
const python = findProgram('python3') !== undefined;

interface SeenStatus {
  readonly exitCode: number;
  readonly store: { readonly reachable: boolean };
  readonly problems: readonly {
    readonly subject: string;
    readonly reason: string;
    readonly remedy: string;
  }[];
  readonly lastSuccess: { readonly command: string } | null;
  readonly lastRun: { readonly exitCode: number } | null;
  readonly credentials: readonly { name: string; state: string; places: Record<string, string> }[];
}

/** `status --json`, which has to be as the schema says. */
async function statusOf(home: Home, code = 0): Promise<SeenStatus> {
  const ended = await all(home, 'status', '--json');
  expect(ended.code, ended.stderr).toBe(code);
  const document = JSON.parse(ended.stdout);
  expect(violations(STATUS_SCHEMA, document)).toEqual([]);
  expect(document.exitCode).toBe(code);
  return document;
}

const states = ({ credentials: found }: SeenStatus) =>
  Object.fromEntries(found.map(({ name, state }) => [name, state]));

/** Two homes that agree on these credentials. */
async function two(world: World, files: Readonly<Record<string, Uint8Array>>): Promise<[Home, Home]> {
  const laptop = await world.home('laptop', { ccs: true });
  const server = await world.home('server');
  await put(laptop.authDir, files);
  for (const home of [laptop, server]) await done(sync(home));
  return [laptop, server];
}

describe.for(KINDS)('with the %s store', (kind) => {
  const test = base.override('kind', kind);

  test('status tells where each login stands, and writes nothing, anywhere', async ({ world }) => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const [laptop, server] = await two(world, credentials(...names));
    expect(Object.values(states(await statusOf(laptop)))).toEqual(names.map(() => 'in step'));

    // On the server: rotated, deleted, and one that both rotate.
    await put(server.authDir, {
      'b.json': credential('b@example.com', 5),
      'd.json': credential('d@example.com', 5),
    });
    await rm(join(server.authDir, 'e.json'));
    await done(sync(server));
    await put(laptop.authDir, {
      'c.json': credential('c@example.com', 5),
      'd.json': credential('d@example.com', 6),
      'new.json': credential('new@example.com'),
      'bad.json': Buffer.from('{"type":'),
    });
    await mkdir(join(dirname(laptop.ccsDir), 'auth-paused'));
    await rename(join(laptop.ccsDir, 'f.json'), join(dirname(laptop.ccsDir), 'auth-paused/f.json'));
    // What git has fetched is kept for the next look.
    const everything = async () =>
      (await tree(world.root)).filter((line) => !/cliproxyapi-sync\/git[/ ]/.test(line));
    const before = [await everything(), await world.store.fingerprint()];
    const seen = await statusOf(laptop, 1);
    expect(states(seen)).toEqual({
      'a.json': 'in step',
      'b.json': 'changed there',
      'bad.json': 'invalid',
      'c.json': 'changed here',
      'd.json': 'conflict',
      'e.json': 'deleted',
      'f.json': 'paused',
      'g.json': 'in step',
      'h.json': 'in step',
      'new.json': 'changed here',
    });
    const places = Object.fromEntries(seen.credentials.map((one) => [one.name, one.places]));
    expect(places['c.json']).toEqual({ auth: 'current', ccs: 'other', store: 'other', backup: 'other' });
    expect(places['new.json']).toEqual({
      auth: 'current',
      ccs: 'missing',
      store: 'missing',
      backup: 'missing',
    });
    expect(places['f.json']).toEqual({
      auth: 'current',
      ccs: 'paused',
      store: 'current',
      backup: 'current',
    });
    await all(laptop, 'status');
    await all(laptop, 'history');
    await all(laptop, 'history', 'a.json');
    expect([await everything(), await world.store.fingerprint()]).toEqual(before);

    // What it says is what a sync then does.
    await rm(join(laptop.authDir, 'bad.json'));
    await done(sync(laptop));
    const after = states(await statusOf(laptop));
    expect(after).toMatchObject({ 'b.json': 'in step', 'd.json': 'in step', 'e.json': 'deleted' });
  });

  test('status on a machine where nothing was ever run', async ({ world }) => {
    const home = await world.home();
    expect(await statusOf(home)).toMatchObject({ credentials: [], lastRun: null, lastSuccess: null });
    await put(home.authDir, credentials('a'));
    const before = await tree(world.root);
    expect(states(await statusOf(home))).toEqual({ 'a.json': 'changed here' });
    expect(await tree(world.root)).toEqual(before);
  });

  test('status tells of a login in the proxy’s home itself, until it was brought here; then its copy is no news', async ({
    world,
  }) => {
    const home = await world.home();
    const proxyHome = join(home.path, '.cli-proxy-api');
    const old = credentials('old');
    await put(proxyHome, old);
    // As on a machine where nothing of ours was ever run.
    await rm(dirname(home.authDir), { recursive: true, force: true });
    await writeFile(join(proxyHome, 'settings.json'), '{"theme":"dark"}');
    const { problems } = await statusOf(home, 1);
    expect(problems).toMatchObject([
      {
        subject: 'logins elsewhere',
        reason: expect.stringContaining(`${proxyHome} itself has 1 (old.json)`),
      },
    ]);
    const [command = ''] =
      /(?<=`)mkdir .*(?= && cliproxyapi-sync sync`)/.exec(problems[0]?.remedy ?? '') ?? [];
    execFileSync('sh', ['-c', command]);
    expect(held(home.authDir)).toEqual(texts(old));
    expect(await statusOf(home)).toMatchObject({ problems: [] });
    await done(sync(home));
    await rm(join(home.authDir, 'old.json'));
    await done(sync(home));
    expect(await statusOf(home)).toMatchObject({ problems: [] });
  });

  test('restore makes the version before current everywhere, and a second restore undoes it', async ({
    world,
  }) => {
    const first = credential('me@example.com', 1);
    const [laptop, server] = await two(world, { 'claude-me.json': first });
    const second = credential('me@example.com', 2);
    await put(laptop.authDir, { 'claude-me.json': second });
    for (const home of [laptop, server]) await done(sync(home));

    const dry = await done(all(laptop, 'restore', 'me@example.com', '--dry-run'));
    expect(dry.stderr).toMatch(/claude-me\.json: write .*restored by laptop from version/);
    await expectInStep(world, [laptop, server], { 'claude-me.json': second });

    const { stderr } = await done(all(laptop, 'restore', 'me@example.com', '--yes'));
    expect(stderr).toMatch(/restored by laptop from version [0-9a-f]{12}\)/);
    expect(stderr).toMatch(/warning: claude-me\.json: a refresh token is good for one use/);
    await done(sync(server));
    const token = async (home: Home) =>
      JSON.parse(await readFile(join(home.authDir, 'claude-me.json'), 'utf8')).access_token;
    const tokenOf = (bytes: Buffer) => JSON.parse(String(bytes)).access_token;
    expect([await token(laptop), await token(server)]).toEqual([tokenOf(first), tokenOf(first)]);

    // As its own output says.
    const undo = /to undo it: cliproxyapi-sync (.*)$/m.exec(stderr)?.[1] ?? '';
    await done(all(server, ...undo.split(' '), '--yes'));
    await done(sync(laptop));
    expect([await token(laptop), await token(server)]).toEqual([tokenOf(second), tokenOf(second)]);

    const { stdout } = await done(all(laptop, 'history', 'claude-me', '--json'));
    const [{ versions, current }] = JSON.parse(stdout).credentials;
    expect(versions).toHaveLength(4);
    expect(versions.at(-1)).toMatchObject({ id: current, host: 'server', inStore: true });
    expect(versions.map(({ reason }: { reason: string }) => /^restored by (\w+)/.exec(reason)?.[1])).toEqual([
      undefined,
      undefined,
      'laptop',
      'server',
    ]);
    const chosen = versions[0].id.slice(0, 8);
    await done(all(laptop, 'restore', 'claude-me.json', '--version', chosen, '--yes', '--json'));
    expect(await token(laptop)).toBe(tokenOf(first));
    await done(all(laptop, 'restore', 'claude-me.json', '--at', versions[1].arrived, '--yes'));
  });

  test.skipIf(!python)('what restore and forget say to type works for any name', async ({ world }) => {
    const name = "it's me & co.json";
    const home = await world.home();
    await put(home.authDir, { ...credentials('a', 'b'), [name]: credential('me@example.com', 1) });
    await done(sync(home));
    await put(home.authDir, { [name]: credential('me@example.com', 2) });
    await done(sync(home));
    const person = await personAt(home);
    for (const args of [
      ['restore', name],
      ['restore', name],
    ]) {
      const { stderr } = await done(all(home, ...args, '--yes'));
      const undo = /^to undo it: (.*)$/m.exec(stderr)?.[1] ?? 'false';
      const { code, shown } = await person.type(undo);
      expect(code, `${undo}\n${shown}`).toBe(0);
    }
    const { stderr } = await done(all(home, 'forget', name, '--yes'));
    const { code, shown } = await person.type(/^to bring it back: (.*)$/m.exec(stderr)?.[1] ?? 'false');
    expect(code, shown).toBe(0);
    expect(Object.keys(held(home.authDir))).toContain(name);
  });

  test('forget deletes everywhere, more than half too, and restore --deleted brings it back', async ({
    world,
  }) => {
    const files = credentials('a', 'b', 'c', 'd');
    const [laptop, server] = await two(world, files);
    const { stderr } = await done(all(laptop, 'forget', 'a.json', 'b', 'c@example.com', '--yes'));
    expect(stderr).toContain('cliproxyapi-sync restore --deleted a.json b.json c.json');
    await done(sync(server));
    for (const home of [laptop, server]) expect(Object.keys(held(home.authDir))).toEqual(['d.json']);
    for (const bytes of Object.values(files)) expect(await isKept(world, bytes)).toBe(true);
    expect(states(await statusOf(server))).toMatchObject({ 'a.json': 'deleted', 'd.json': 'in step' });

    await done(all(server, 'restore', '--deleted', 'b.json', '--yes'));
    await done(sync(laptop));
    expect(Object.keys(held(laptop.authDir))).toEqual(['b.json', 'd.json']);
    const { stdout } = await done(all(laptop, 'restore', '--deleted', '--yes', '--json'));
    expect(JSON.parse(stdout).restored.map(({ name }: { name: string }) => name)).toEqual([
      'a.json',
      'c.json',
    ]);
    await done(sync(server));
    for (const home of [laptop, server])
      expect(Object.keys(held(home.authDir))).toEqual(['a.json', 'b.json', 'c.json', 'd.json']);
    expect((await done(all(server, 'restore', '--deleted'))).stderr).toContain('no credential is deleted');
  });

  test('what was deleted a moment ago, and no run has seen yet, is brought back all the same', async ({
    world,
  }) => {
    const files = credentials('a', 'b', 'c');
    const [laptop, server] = await two(world, files);
    await rm(join(laptop.authDir, 'a.json'));
    const { stderr } = await done(all(laptop, 'restore', 'a.json', '--yes'));
    expect(stderr).toMatch(/a\.json: version [0-9a-f]{12} .*it is gone from this host/);
    expect(stderr).toContain('to undo it: cliproxyapi-sync forget a.json');
    await rm(join(laptop.authDir, 'b.json'));
    await done(all(laptop, 'restore', '--deleted', '--yes'));
    for (const home of [laptop, server, laptop]) await done(sync(home));
    for (const home of [laptop, server])
      expect(Object.keys(held(home.authDir))).toEqual(['a.json', 'b.json', 'c.json']);
    expect((await done(all(server, 'restore', '--deleted'))).stderr).toContain('no credential is deleted');
  });

  test('history counts each credential, deleted ones too', async ({ world }) => {
    const [laptop] = await two(world, credentials('a', 'b', 'c'));
    await put(laptop.authDir, { 'a.json': credential('a@example.com', 3) });
    await rm(join(laptop.authDir, 'b.json'));
    await done(sync(laptop));
    const { stdout } = await done(all(laptop, 'history'));
    expect(stdout).toMatch(/^a\.json +2 +0 .*laptop +current$/m);
    expect(stdout).toMatch(/^b\.json +1 +0 .*deleted now on laptop$/m);
    const one = await done(all(laptop, 'history', 'b.json'));
    expect(one.stdout).toMatch(/^✗ +\S+ \S+ +deleted +laptop/m);
  });
});

const test = base;

test('nothing is changed without a terminal to ask on and without --yes: usage', async ({ world }) => {
  const [laptop] = await two(world, credentials('a', 'b'));
  await put(laptop.authDir, { 'a.json': credential('a@example.com', 3) });
  await done(sync(laptop));
  const before = [await tree(laptop.path), await world.store.fingerprint()];
  for (const args of [['forget', 'a.json'], ['restore', 'a.json'], ['restore'], ['forget']]) {
    const { code, stderr } = await all(laptop, ...args);
    expect(code, stderr).toBe(2);
  }
  expect([await tree(laptop.path), await world.store.fingerprint()]).toEqual(before);
});

test('a name that is none is said, and then nothing is deleted; versions and times that are none too', async ({
  world,
}) => {
  const [laptop] = await two(world, credentials('a', 'b'));
  const before = await world.store.fingerprint();
  const cases: readonly (readonly [number, RegExp, readonly string[]])[] = [
    [1, /nobody\.json: there is no such credential/, ['forget', 'a.json', 'nobody.json', '--yes']],
    [1, /nobody: there is no such credential/, ['history', 'nobody']],
    [1, /a\.json has no version ffff/, ['restore', 'a.json', '--version', 'ffff', '--yes']],
    [1, /a\.json has no version as old as/, ['restore', 'a.json', '--at', '9d', '--yes']],
    [1, /a\.json has no other version/, ['restore', 'a.json', '--yes']],
    [2, /--at yesterday is no time/, ['restore', 'a.json', '--at', 'yesterday', '--yes']],
    [2, /at least the first 4/, ['restore', 'a.json', '--version', 'x', '--yes']],
    [2, /--interval/, ['status', '--watch', '--interval', '0']],
  ];
  for (const [code, said, args] of cases) {
    const ended = await all(laptop, ...args);
    expect(ended.code, args.join(' ')).toBe(code);
    expect(ended.stderr).toMatch(said);
  }
  expect(await world.store.fingerprint()).toBe(before);
  expect(Object.keys(held(laptop.authDir))).toEqual(['a.json', 'b.json']);
});

test('a wrong CLIPROXY_HISTORY_KEEP is a configuration error that names it', async ({ world }) => {
  const home = await world.home();
  const { code, stderr } = await run(home, 'backup', [], { env: { CLIPROXY_HISTORY_KEEP: 'a lot' } });
  expect(code).toBe(78);
  expect(stderr).toContain('CLIPROXY_HISTORY_KEEP');
});

test('old versions go, a day after the store was first seen', async ({ world }) => {
  const [laptop] = await two(world, credentials('a'));
  for (const minute of [1, 2, 3]) {
    await put(laptop.authDir, { 'a.json': credential('a@example.com', minute) });
    await done(sync(laptop));
  }
  const versions = async () =>
    (await world.store.keys('sync/history/')).filter((key) => /\/[0-9a-f]{64}\.json$/.test(key));
  expect(await versions()).toHaveLength(4);
  const memory = join(laptop.stateDir, 'stores.json');
  const text = await readFile(memory, 'utf8');
  await writeFile(memory, text.replace(/"prunedAt": \d+/, '"prunedAt": 1'));
  const { stderr } = await done(
    run(laptop, 'cliproxyapi-sync', ['sync', '--verbose'], { env: { CLIPROXY_HISTORY_KEEP: '2' } }),
  );
  expect(stderr).toContain('took 2 old versions out of history');
  expect(await versions()).toHaveLength(2);
});

test('the note of the last run: what failed last and what went well last; damaged, it is as if there was none', async ({
  world,
}) => {
  const [laptop] = await two(world, credentials('a'));
  expect(await statusOf(laptop)).toMatchObject({
    lastSuccess: { command: 'sync' },
    lastRun: { exitCode: 0 },
  });
  await put(laptop.authDir, { 'bad.json': Buffer.from('{') });
  await run(laptop, 'backup');
  expect(await statusOf(laptop, 1)).toMatchObject({
    lastSuccess: { command: 'sync' },
    lastRun: { exitCode: 1 },
  });
  await rm(join(laptop.authDir, 'bad.json'));
  for (const damage of ['{', '[]', '{"format":9}', '{"format":1,"last":{"time":1e99},"success":3}']) {
    await writeFile(join(laptop.stateDir, 'last-run.json'), damage);
    expect(await statusOf(laptop)).toMatchObject({ lastRun: null, lastSuccess: null });
    await done(run(laptop, 'hydrate'));
    expect(await statusOf(laptop)).toMatchObject({ lastSuccess: { command: 'hydrate' } });
  }
});

base(
  'a field that was set and set back is put right in words, with the command that has it all the same',
  async ({ world }) => {
    const home = await world.home();
    const enabled = credential('a@example.com', 3);
    const disabled = Buffer.from(String(enabled).replace('"disabled":false', '"disabled":true'));
    for (const bytes of [enabled, disabled]) {
      await put(home.authDir, { 'a.json': bytes });
      await done(sync(home));
    }
    await put(home.authDir, { 'a.json': enabled });
    const words = /a\.json: the auth dir had version [0-9a-f]{12}.* again, which was replaced before/;
    expect((await all(home, 'status')).stdout).toMatch(words);
    const { stderr } = await done(sync(home));
    expect(stderr).toMatch(words);
    expect(held(home.authDir)['a.json']).toBe(String(disabled));
    const typed =
      /`cliproxyapi-sync (?<args>restore a\.json --version [0-9a-f]+)`/.exec(stderr)?.groups?.args ?? '';
    await done(all(home, ...typed.split(' '), '--yes'));
    expect(JSON.parse(held(home.authDir)['a.json'] ?? '')).toMatchObject({ disabled: false });
  },
);

/** As systemd answers where NixOS runs the services: nothing of the user's, and those of the system. */
const SYSTEM_ONLY = `#!/bin/sh
case "$*" in *--user*) exit 1 ;; *is-system-running*) echo running; exit 0 ;; esac
show() { printf 'Id=%s\\nLoadState=%s\\nActiveState=%s\\nSubState=%s\\nResult=success\\nWantedBy=%s\\nUnitFileState=%s\\n\\n' "$@"; }
show cliproxyapi.service loaded active running multi-user.target enabled
show cliproxyapi-backup.path loaded "$WATCHER" dead paths.target enabled
show cliproxyapi-backup.service loaded inactive dead '' static
show cliproxyapi-sync.timer loaded active waiting timers.target enabled
show cliproxyapi-sync.service not-found inactive dead '' ''
`;

describe.skipIf(process.platform !== 'linux')('services that NixOS runs for the whole system', () => {
  base.for([
    ['inactive', 1, /^services {2}systemd \(system\): cliproxyapi-backup\.path is stopped$/m],
    ['active', 0, /^services {2}systemd \(system\): 4 in order$/m],
  ] as const)('are in the status of any user: %s', async ([watcher, code, words], { world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    const bin = join(world.root, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'systemctl'), SYSTEM_ONLY, { mode: 0o755 });
    const env = { PATH: `${bin}:${home.env.PATH}`, WATCHER: watcher };
    const ended = await run(home, 'cliproxyapi-sync', ['status'], { env });
    expect(ended.code, ended.stdout).toBe(code);
    expect(ended.stdout).toMatch(words);
    if (code === 1) expect(ended.stdout).toContain('`sudo systemctl enable --now cliproxyapi-backup.path`');
  });
});

describe.skipIf(!s3Server)('the store out of reach', () => {
  test('what was deleted long ago is not said again one by one', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    const gone = ['u', 'v', 'w', 'x'];
    await put(home.authDir, credentials('a', ...gone));
    await done(sync(home));
    await done(all(home, 'forget', ...gone.map((name) => `${name}.json`), '--yes'));
    s3.network.spoil(() => ({ kind: 'reset' }));
    const { code, stderr } = await sync(home);
    expect(code).toBe(75);
    expect(stderr).toMatch(
      /^warning: 4 deletions wait for the store \(u\.json, v\.json, w\.json, \.\.\.\)\. /m,
    );
    expect(stderr.match(/^warning: /gm)).toHaveLength(1);
    const { stdout } = await all(home, 'status');
    expect(stdout.match(/^✗ .*/gm)).toEqual([expect.stringMatching(/^✗ store: /)]);
    expect(stdout.match(/^- {2}.* deleted /gm)).toHaveLength(4);
  });

  test('the local part is shown all the same, from what was last agreed; 75', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    await put(home.authDir, credentials('a', 'b'));
    await done(sync(home));
    await put(home.authDir, { 'b.json': credential('b@example.com', 5) });
    s3.network.spoil(() => ({ kind: 'reset' }));
    const before = await tree(s3.root);
    const seen = await statusOf(home, 75);
    expect(seen.store.reachable).toBe(false);
    expect(states(seen)).toEqual({ 'a.json': 'in step', 'b.json': 'changed here' });
    expect(seen.credentials[0]?.places).toEqual({
      auth: 'current',
      ccs: 'off',
      store: 'unknown',
      backup: 'unknown',
    });
    const words = await all(home, 'status');
    expect(words.stdout).toMatch(/^store .*out of reach$/m);
    const history = await all(home, 'history', 'b.json');
    expect(history.code).toBe(75);
    // It is in the store's history, which cannot be read now: neither new nor missing there.
    expect(history.stdout).toMatch(
      /^\* {2}- .* last agreed on with the store, whose history is out of reach$/m,
    );
    for (const args of [
      ['restore', 'a.json', '--yes'],
      ['forget', 'a.json', '--yes'],
    ])
      expect((await all(home, ...args)).code, args.join(' ')).toBe(75);
    expect(await tree(s3.root)).toEqual(before);
  });
});

describe.skipIf(!python)('on a terminal', () => {
  const WIDE_NAMES = ['日本語テスト日本語テスト日本語テスト', '👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 'plain', 'x'.repeat(90)];

  async function oddHome(world: World): Promise<Home> {
    const home = await world.home('laptop', { ccs: true });
    const files = WIDE_NAMES.map(
      (name, index) => [`${index}.json`, credential(`${name}@example.com`)] as const,
    );
    await put(home.authDir, Object.fromEntries(files));
    await done(sync(home));
    const evil = credential('\u001b[2J\u001b]0;owned\u0007evil', 1, { type: '\u009b31mclaude' });
    await put(home.authDir, { 'evil.json': evil });
    return home;
  }

  test.for([
    [80, true],
    [80, false],
    [200, true],
    [200, false],
  ] as const)(
    'status at %i columns, colour %s: fits, and says the same',
    async ([columns, colour], { world }) => {
      const home = await oddHome(world);
      const env = colour ? {} : { NO_COLOR: '1' };
      const { code, shown } = await onTerminal(home, 'cliproxyapi-sync', ['status'], { columns, env });
      expect(code).toBe(0);
      const plain = shown.replace(/\u001b\[\d*m/g, '');
      expect(shown !== plain).toBe(colour);
      expect(plain).not.toMatch(/[^\P{Cc}\n]/u);
      for (const line of plain.split('\n')) expect(stringWidth(line), line).toBeLessThanOrEqual(columns);
      expect(plain.match(/in step/g)?.length).toBe(WIDE_NAMES.length);
      expect(plain).toContain('changed here');
      expect(plain).toContain('plain@example.com');
      expect(/\bNAME\b/.test(plain)).toBe(columns === 200);
    },
  );

  test('history at 80 columns fits, and says all of the reasons', async ({ world }) => {
    const home = await oddHome(world);
    await put(home.authDir, { '2.json': credential('plain@example.com', 9) });
    await done(sync(home));
    const { shown } = await onTerminal(home, 'cliproxyapi-sync', ['history', '2.json'], { columns: 80 });
    const plain = shown.replace(/\u001b\[\d*m/g, '');
    for (const line of plain.split('\n')) expect(stringWidth(line), line).toBeLessThanOrEqual(80);
    expect(plain.replace(/\s+/g, ' ')).toMatch(/^ ?SINCE VERSION HOST REFRESHED WHY \* /);
    expect(plain).toContain('2026-03-01T12:09:00Z');
  });

  test('status --watch redraws, and ends cleanly at Ctrl-C with the cursor shown', async ({ world }) => {
    const home = await oddHome(world);
    const args = ['status', '--watch', '--interval', '0.3'];
    const drawing = onTerminal(home, 'cliproxyapi-sync', args, {
      columns: 80,
      type: ['late@example.com', '\u0003'],
    });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await put(home.authDir, { 'late.json': credential('late@example.com') });
    const { code, shown } = await drawing;
    expect(code).toBe(0);
    expect(shown.split('\u001b[H').length).toBeGreaterThan(2);
    expect(shown.indexOf('\u001b[?25l')).toBeGreaterThanOrEqual(0);
    expect(shown.trimEnd().endsWith('\u001b[?25h')).toBe(true);
  });

  test('forget and restore ask; no is no, and yes is yes', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a', 'b', 'c'));
    await done(sync(home));
    const ask = (args: readonly string[], keys: string) =>
      onTerminal(home, 'cliproxyapi-sync', args, { columns: 80, type: ['[y/N]', keys] });
    for (const keys of ['n\n', '\n', '\u0003', '\u0004']) {
      const { code, shown } = await ask(['forget', 'a.json'], keys);
      expect(code).toBe(1);
      expect(shown).toContain('nothing was deleted');
    }
    expect(Object.keys(held(home.authDir))).toEqual(['a.json', 'b.json', 'c.json']);
    expect((await ask(['forget', 'a.json'], 'y\n')).code).toBe(0);
    expect(Object.keys(held(home.authDir))).toEqual(['b.json', 'c.json']);
    expect((await ask(['restore', '--deleted'], 'yes\n')).code).toBe(0);
    expect(Object.keys(held(home.authDir))).toEqual(['a.json', 'b.json', 'c.json']);
  });
});

test('status --watch ends once nobody reads it, and complains of nothing', async ({ world }) => {
  const [laptop] = await two(world, credentials('a'));
  const typed = [process.execPath, bundlePath('cliproxyapi-sync'), 'status', '--watch', '--interval', '0.2'];
  // More looks than Node lets listeners pile up without a word.
  const shell = ['bash', '-c', 'set -o pipefail; "$@" | (head -c 8000 >/dev/null)', '-', ...typed];
  const { code, stderr } = await command(laptop, shell, { timeoutMs: 60_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('status --watch --json: one document a line, as the schema says, until SIGTERM', async ({ world }) => {
  const [laptop] = await two(world, credentials('a'));
  const running = startBundle(
    'cliproxyapi-sync',
    ['status', '--watch', '--interval', '0.2', '--json'],
    laptop,
  );
  while (running.output().split('\n').length < 4) await new Promise((resolve) => setTimeout(resolve, 50));
  running.kill('SIGTERM');
  const { code, stdout } = await running.ended;
  expect(code).toBe(0);
  for (const line of stdout.trim().split('\n'))
    expect(violations(STATUS_SCHEMA, JSON.parse(line))).toEqual([]);
});

test.for(nodes('status, history, restore and forget'))('they run on %s', async ([, node], { world }) => {
  const [laptop] = await two(world, credentials('a', 'b'));
  for (const args of [
    ['status'],
    ['history'],
    ['history', 'a.json'],
    ['forget', 'a.json', '--yes'],
    ['restore', '--deleted', '--yes'],
    ['status', '--help'],
    ['restore', '--help'],
  ])
    await done(run(laptop, 'cliproxyapi-sync', args, { node }));
});
