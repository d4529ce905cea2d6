import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import {
  credential,
  credentials,
  done,
  expectInStep,
  type GitWorld,
  held,
  isKept,
  nodes,
  put,
  run,
  sync,
  test,
  texts,
} from './world.ts';

describe('a Git repository over HTTP as the store', () => {
  test.for(nodes('the Git store'))(
    'brings a login to another machine, and its deletion back (%s)',
    async ([, node], { git }) => {
      const [laptop, server] = [await git.home('laptop'), await git.home('server')];
      const files = credentials('a', 'b', 'team/c');
      await put(laptop.authDir, files);
      const backedUp = await done(run(laptop, 'backup', [], { node }));
      expect(backedUp.stderr).toContain(`store git 127.0.0.1:`);
      await done(run(server, 'hydrate', [], { node }));
      expect(held(server.authDir)).toEqual(texts(files));
      await done(sync(server, [], { node }));
      await expectInStep(git, [laptop, server], files);

      await rm(join(server.authDir, 'b.json'));
      await done(sync(server, [], { node }));
      await done(sync(laptop, [], { node }));
      const { 'b.json': gone, ...left } = files;
      await expectInStep(git, [laptop, server], left);
      expect(await isKept(git, gone as Buffer)).toBe(true);
    },
  );

  test('with nothing to do is looked at once, and its refs stay', async ({ git }) => {
    const home = await git.home();
    await put(home.authDir, credentials('a', 'b'));
    await done(sync(home));
    await done(sync(home));
    const refs = await git.store.fingerprint();
    const before = git.server.requests.length;
    await done(sync(home));
    expect(await git.store.fingerprint()).toBe(refs);
    const asked = git.server.requests.slice(before).filter((line) => !line.endsWith(' 401'));
    expect(asked).toHaveLength(2);
  });

  test('doctor asks for the right to push without pushing, and looks at the clock of the server', async ({
    git,
  }) => {
    const home = await git.home();
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    const refs = await git.store.fingerprint();
    const looked = async () => {
      const { stdout } = await run(home, 'cliproxyapi-sync', ['doctor', '--json']);
      const checks: { id: string; status: string; message: string }[] = JSON.parse(stdout).checks;
      return Object.fromEntries(checks.map(({ id, ...check }) => [id, check]));
    };
    expect(await looked()).toMatchObject({
      'store-write': { status: 'ok', message: expect.stringMatching(/may push/) },
      clock: { status: 'ok', message: "agrees with the store's" },
    });
    expect(await git.store.fingerprint()).toBe(refs);

    git.server.spoil(({ service }) =>
      service === 'git-receive-pack' ? { kind: 'answer', status: 403 } : undefined,
    );
    expect(await looked()).toMatchObject({ 'store-write': { status: 'failed' }, store: { status: 'ok' } });
  });

  test('takes over what a proxy with its native store pushed, and what that replaced is kept', async ({
    git,
  }) => {
    const home = await git.home();
    const files = credentials('a', 'b');
    await put(home.authDir, files);
    await done(sync(home));
    const newer = credential('a@example.com', 30);
    await git.store.write('auths/a.json', newer);
    await done(sync(home));
    await expectInStep(git, [home], { ...files, 'a.json': newer });
    expect(await isKept(git, files['a.json'] as Buffer)).toBe(true);
  });

  test.for([
    ['a wrong token', { GITSTORE_GIT_TOKEN: 'wrong-S3CR3T' }, 1, /does not take the user name and token/],
    ['a repository that is not there', { GITSTORE_GIT_URL: '/none.git' }, 1, /there is no such repository/],
    ['no git', { CLIPROXY_GIT: '/none/git' }, 78, /"\/none\/git" is not there/],
    ['a URL that is none', { GITSTORE_GIT_URL: 'S3CR3T' }, 78, /GITSTORE_GIT_URL is no URL/],
    [
      'nobody there',
      { GITSTORE_GIT_URL: 'http://git:S3CR3T@127.0.0.1:9/x.git' },
      75,
      /nothing listens at 127\.0\.0\.1:9/,
    ],
  ] as const)(
    '%s: exit code and message, and the local files stay',
    async ([, env, code, words], { git }) => {
      const home = await git.home();
      const files = credentials('a', 'b');
      await put(home.authDir, files);
      for (const program of ['hydrate', 'backup'] as const) {
        const ended = await run(home, program, [], { env });
        expect(ended.code, ended.stderr).toBe(code);
        expect(ended.stderr).toMatch(words);
        expect(ended.stderr.match(/^error:/gm), ended.stderr).toHaveLength(1);
        expect(held(home.authDir)).toEqual(texts(files));
      }
      await done(sync(home));
      await expectInStep(git, [home], files);
    },
  );

  test('no token is told as such', async ({ git }) => {
    const { kind, url } = git.settings;
    const home = await git.home('laptop', { store: { kind, url } });
    const { code, stderr } = await sync(home);
    expect(code).toBe(1);
    expect(stderr).toMatch(/the server wants a login/);
    expect(stderr).toMatch(/Set GITSTORE_GIT_TOKEN/);
  });

  test('that is down: exit 75; up again: nothing was lost', async ({ git }) => {
    const home = await git.home();
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    const files = { 'a.json': credential('a@example.com', 40), 'b.json': credential('b@example.com') };
    await put(home.authDir, files);
    git.server.spoil(() => ({ kind: 'reset' }));
    expect((await sync(home)).code).toBe(75);
    expect(held(home.authDir)).toEqual(texts(files));
    git.server.spoil(() => undefined);
    await done(sync(home));
    await expectInStep(git, [home], files);
  });

  test('does not keep a start waiting when it hangs', async ({ git }) => {
    const home = await git.home();
    await put(home.authDir, credentials('a'));
    git.server.spoil(() => ({ kind: 'silence' }));
    const running = git.start(home, 'start');
    await expect.poll(() => running.output(), { timeout: 20_000 }).toMatch(/serving with/);
    expect(running.output()).toMatch(/did not answer within 10 s/);
    expect(processesOf(git)).toBe('');
  });

  test('a run that is killed at any call leaves the old or the new state, and the next one mends it', {
    timeout: 180_000,
  }, async ({ git }) => {
    const points = await callsOf(git);
    expect(points).toBeGreaterThan(3);
    const home = await git.home('host');
    await done(sync(home));
    for (let point = 0; point < points; point++) {
      // In turns, unless all are asked for.
      const both = ['before', 'after'] as const;
      for (const when of process.env.CRASH_POINTS === 'all' ? both : [both[point % 2] ?? 'before']) {
        const name = `${point}-${when}`;
        const files = { ...texts(await inStore(git)), [`${name}.json`]: String(credential(name)) };
        await put(home.authDir, { [`${name}.json`]: Buffer.from(files[`${name}.json`] ?? '') });
        const start = git.server.requests.length;
        const running = git.start(home, 'cliproxyapi-sync', ['sync']);
        git.server.spoil(() => {
          const here = git.server.requests.length - start >= point;
          if (!here) return undefined;
          running.kill('SIGKILL');
          return when === 'before' ? { kind: 'reset' } : { kind: 'lose-answer' };
        });
        await running.ended;
        git.server.spoil(() => undefined);
        await done(sync(home));
        expect(held(home.authDir)).toEqual(files);
        expect(texts(await inStore(git))).toEqual(files);
      }
    }
  });
});

async function inStore({ store }: GitWorld): Promise<Record<string, Buffer>> {
  const keys = (await store.keys('auths/')).filter((key) => key.endsWith('.json'));
  const pairs = keys.map(
    async (key) => [key.slice('auths/'.length), (await store.read(key)) as Buffer] as const,
  );
  return Object.fromEntries(await Promise.all(pairs));
}

/** How many calls a run with one new credential makes. */
async function callsOf(git: GitWorld): Promise<number> {
  const home = await git.home('counting');
  await done(sync(home));
  await put(home.authDir, credentials('first'));
  const start = git.server.requests.length;
  await done(sync(home));
  return git.server.requests.length - start;
}

/** What still talks to the repository. */
function processesOf({ settings }: GitWorld): string {
  const lines = execFileSync('ps', ['-eo', 'args', 'ww']).toString().split('\n');
  return lines.filter((line) => line.includes(settings.url)).join('\n');
}
