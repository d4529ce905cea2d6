import { spawn } from 'node:child_process';
import { fstatSync, openSync, readFileSync } from 'node:fs';
import { mkdir, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import {
  bundlePath,
  credential,
  credentials,
  done,
  type Home,
  put,
  run,
  s3Server,
  sync,
  test,
} from './world.ts';

describe('logs', () => {
  test.for([
    ['--log-format json', ['--log-format', 'json'], {}],
    ['CLIPROXY_LOG_FORMAT=json', [], { CLIPROXY_LOG_FORMAT: 'json' }],
  ] as const)(
    '%s: one object a line, with what was done to which credential and why',
    async ([, args, env], { world }) => {
      const home = await world.home();
      await put(home.authDir, credentials('a'));
      const { stdout, stderr } = await done(run(home, 'backup', args, { env }));
      expect(stdout).toBe('');
      const lines = stderr
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(new Set(lines.map((line) => line.run)).size).toBe(1);
      expect(lines[0]).toMatchObject({
        time: expect.stringMatching(/^\d{4}-/),
        level: 'info',
        run: expect.stringMatching(/^[0-9a-f]{8}$/),
        credential: 'a.json',
        action: 'wrote the store and the backup copy',
        reason: expect.stringMatching(/^new in the auth dir/),
      });
    },
  );

  test('a warning has what to do, and of which credential it is, in fields of their own', async ({
    world,
  }) => {
    const home = await world.home();
    await put(home.authDir, { ...credentials('a'), 'bad.json': Buffer.from('{') });
    const { stderr } = await run(home, 'cliproxyapi-sync', ['sync', '--log-format', 'json']);
    const lines = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const remedy = 'It is not copied anywhere, and nothing is deleted for it.';
    expect(lines.find(({ level }) => level === 'warning')).toMatchObject({
      message: 'bad.json (auth dir) is not valid JSON (cut short, or still being written)',
      credential: 'bad.json',
      reason: 'is not valid JSON (cut short, or still being written)',
      remedy: expect.stringContaining(remedy),
    });
    const people = await sync(home);
    expect(people.stderr).toContain(`still being written). ${remedy}`);
  });

  test('all commands take it, an unknown format is a usage error, and in the variable it is a warning', async ({
    world,
  }) => {
    const home = await world.home();
    for (const words of [
      ['sync'],
      ['backup'],
      ['hydrate'],
      ['doctor'],
      ['services', 'status'],
      ['watch', '--help'],
    ]) {
      const { code } = await run(home, 'cliproxyapi-sync', [...words, '--log-format', 'json']);
      expect(code, words[0]).not.toBe(2);
      expect(await run(home, 'cliproxyapi-sync', [words[0] ?? '', '--log-format', 'xml'])).toMatchObject({
        code: 2,
      });
    }
    const { code, stderr } = await sync(home, [], { env: { CLIPROXY_LOG_FORMAT: 'xml' } });
    expect({ code }).toEqual({ code: 0 });
    expect(stderr).toMatch(/^warning: CLIPROXY_LOG_FORMAT is none of human, json/);
  });

  test.skipIf(process.platform !== 'linux')(
    'under systemd, lines have their priority and the run; elsewhere they have not',
    async ({ world }) => {
      const home = await world.home();
      await put(home.authDir, { ...credentials('a'), 'bad.json': Buffer.from('{') });
      const file = join(world.root, 'journal');
      const { dev, ino } = fstatSync(openSync(file, 'w'));
      await spawned(home, file, { JOURNAL_STREAM: `${dev}:${ino}` });
      const text = readFileSync(file, 'utf8');
      expect(text).toMatch(/^<6>\[([0-9a-f]{8})\] a\.json: wrote the store.*\n<4>\[\1\] warning: bad\.json/m);
      await spawned(home, file, { JOURNAL_STREAM: `${dev}:${ino + 1}` });
      expect(readFileSync(file, 'utf8')).toMatch(/^warning: bad\.json/m);
    },
  );
});

/** Runs `sync` with its messages in a file. */
function spawned(home: Home, file: string, env: Readonly<Record<string, string>>): Promise<unknown> {
  const stderr = openSync(file, 'w');
  const child = spawn(process.execPath, [bundlePath('cliproxyapi-sync'), 'sync'], {
    env: { ...home.env, ...env },
    stdio: ['ignore', 'ignore', stderr],
  });
  return new Promise((resolve) => child.once('close', resolve));
}

describe('a command that is told of what goes wrong', () => {
  /** The documents that it got, one a line. */
  const told = (home: Home): { event: string; problems: unknown[]; run: string }[] => {
    const text = readFileSync(join(home.path, 'told.log'), { encoding: 'utf8', flag: 'a+' });
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  };
  const notifying = (home: Home, more: Record<string, string> = {}) => ({
    env: { CLIPROXY_NOTIFY_COMMAND: `cat >> '${join(home.path, 'told.log')}'`, ...more },
  });

  test('hears of a failure once, of its end once, and of nothing else', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    await sync(home, [], notifying(home));
    expect(told(home)).toEqual([]);
    await writeFile(join(home.authDir, 'bad.json'), '{');
    for (let times = 0; times < 3; times++) {
      expect(await sync(home, [], notifying(home))).toMatchObject({ code: 1 });
      expect(told(home)).toHaveLength(1);
    }
    expect(told(home)[0]).toMatchObject({
      format: 1,
      event: 'problem',
      host: 'laptop',
      command: 'sync',
      exitCode: 1,
      store: { kind: 'directory' },
      problems: [
        {
          kind: 'problem',
          credential: 'bad.json',
          message: expect.stringMatching(/^bad\.json \(auth dir\) is not valid JSON \([^)]*\)$/),
          remedy: expect.stringMatching(/^It is not copied anywhere/),
        },
      ],
    });
    await put(home.authDir, { 'bad.json': credential('bad@example.com') });
    // One that may not write the store has not tried all.
    await done(run(home, 'hydrate', [], notifying(home)));
    expect(told(home)).toHaveLength(1);
    for (let times = 0; times < 2; times++) await done(sync(home, [], notifying(home)));
    expect(told(home)).toHaveLength(2);
    expect(told(home)[1]).toMatchObject({ event: 'recovered', problems: ['problem bad.json'] });
  });

  test('hears of a conflict and of the guard', async ({ world }) => {
    const [home, other] = [await world.home('laptop'), await world.home('server')];
    await put(home.authDir, credentials('a', 'b'));
    await done(sync(home));
    await done(sync(other));
    await put(home.authDir, { 'a.json': credential('a@example.com', 1) });
    await put(other.authDir, { 'a.json': credential('a@example.com', 2) });
    await done(sync(other));
    await done(sync(home, [], notifying(home)));
    expect(told(home)).toMatchObject([{ problems: [{ kind: 'conflict', credential: 'a.json' }] }]);
    for (const name of ['a', 'b']) await unlink(join(home.authDir, `${name}.json`));
    expect(await sync(home, [], notifying(home))).toMatchObject({ code: 1 });
    expect(told(home).at(-1)).toMatchObject({ problems: [{ kind: 'guard' }] });
  });

  test.skipIf(!s3Server)('gets no secret: neither of a login nor of the env file', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    await put(home.authDir, credentials('a'));
    s3.network.spoil(() => ({ kind: 'reset' }));
    const log = join(home.path, 'told.log');
    await sync(home, [], { env: { CLIPROXY_NOTIFY_COMMAND: `cat >> '${log}'; env >> '${log}'` } });
    const text = readFileSync(log, 'utf8');
    expect(text).toMatch(/"kind":"store"/);
    expect(text).toMatch(/^HOME=/m);
    expect(text).not.toMatch(/S3CR3T|admin-secret|admin-key/);
  });

  test.for([
    ['fails', 'exit 3', /^warning: CLIPROXY_NOTIFY_COMMAND ended with 3$/m],
    ['is not there', '/none/notify', /^warning: CLIPROXY_NOTIFY_COMMAND ended with 127$/m],
    ['does not end', 'sleep 60 & sleep 60', /^warning: CLIPROXY_NOTIFY_COMMAND took longer than 10 s/m],
  ] as const)('that %s is a warning, and changes nothing else', async ([, typed, said], { world }) => {
    const home = await world.home();
    await put(home.authDir, { ...credentials('a'), 'bad.json': Buffer.from('{') });
    const from = Date.now();
    const { code, stdout, stderr } = await sync(home, ['--json'], {
      env: { CLIPROXY_NOTIFY_COMMAND: typed },
    });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ exitCode: 1 });
    expect(stderr).toMatch(said);
    expect(Date.now() - from).toBeLessThan(20_000);
  });

  test('what is remembered of it may be damaged, or not writable', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, { ...credentials('a'), 'bad.json': Buffer.from('{') });
    await mkdir(home.stateDir, { recursive: true });
    await writeFile(join(home.stateDir, 'notified.json'), 'nonsense');
    await sync(home, [], notifying(home));
    await sync(home, [], notifying(home));
    expect(told(home)).toHaveLength(1);
    // As often as is wished.
    await sync(home, [], notifying(home, { CLIPROXY_NOTIFY_INTERVAL: '0' }));
    expect(told(home)).toHaveLength(2);
  });
});
