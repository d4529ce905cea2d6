/** The Git store: a server that refuses or fails. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Store } from '../../../ts/src/stores/store.ts';
import { config } from '../../support/git-world.ts';
import { memoryInMemory } from '../../support/memory.ts';
import { create, credential, errorOf, MARKER } from '../vocabulary.ts';
import { listen, prepared, RECORDS, world } from './git-store.ts';

describe('a push that the server refuses', () => {
  async function hook(name: string, script: string): Promise<void> {
    await mkdir(join(world.path, 'hooks'), { recursive: true });
    await writeFile(join(world.path, 'hooks', name), `#!/bin/sh\n${script}\n`);
    await chmod(join(world.path, 'hooks', name), 0o755);
  }

  test.each([
    [
      'by receive.denyNonFastForwards',
      async () => config(world, 'receive.denyNonFastForwards', 'true'),
      /non-fast-forward/,
    ],
    [
      'as GitHub does',
      () => hook('update', 'echo "error: GH006: Protected branch update failed for $1." >&2; exit 1'),
      /GH006: Protected branch update failed/,
    ],
    [
      'as GitLab does',
      () =>
        hook(
          'pre-receive',
          'echo "GitLab: You are not allowed to force push code to a protected branch on this project." >&2; exit 1',
        ),
      /not allowed to force push/,
    ],
  ])('%s: a protected branch is said, and what to change; nothing was lost', async (_, protect, words) => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    await protect();
    const before = world.outside.refs();
    const [outcome] = await store.commit([create('b.json', credential('b'))]);
    expect(outcome).toMatchObject({ kind: 'failed', error: { kind: 'refused' } });
    if (outcome?.kind !== 'failed') return;
    expect(outcome.error.message).toMatch(words);
    expect(outcome.error.remedy).toMatch(/must not be protected.*GitHub: .*GitLab: .*Bitbucket/);
    expect(world.outside.refs()).toBe(before);
  });

  test('because it looks for secrets says that, and what to change', async () => {
    await hook('pre-receive', 'echo "error: GH013: Push cannot contain secrets" >&2; exit 1');
    const { message, remedy } = await errorOf(world.open().prepare(MARKER));
    expect(message).toMatch(/GH013: Push cannot contain secrets/);
    expect(remedy).toMatch(/push protection/);
  });

  test('for a server without pushes of several branches is done in the order of the contract, which is said once known', async () => {
    config(world, 'receive.advertiseAtomic', 'false');
    const memory = memoryInMemory();
    const store = world.open({}, memory);
    await store.prepare(MARKER);
    expect(store.weaknesses?.()).toEqual([]);
    await hook('pre-receive', `cat >> ${world.home}/order; echo >> ${world.home}/order`);
    await store.commit([create('a.json', credential('a'))]);
    const order = (await readFile(join(world.home, 'order'), 'utf8')).trim().split(/\n+/);
    expect(order.map((line) => line.replace(/.*refs\/heads\//, ''))).toEqual([RECORDS, 'master', RECORDS]);
    expect(world.open({}, memory).weaknesses?.()[0]).toMatch(/cannot replace two branches in one step/);
  });
});

describe('a server that fails', () => {
  test.each([
    [
      '401',
      { kind: 'answer', status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } },
      'refused',
      /does not take the user name and token/,
    ],
    ['403', { kind: 'answer', status: 403 }, 'refused', /has no right to do so/],
    ['404', { kind: 'answer', status: 404 }, 'refused', /there is no such repository/],
    ['429', { kind: 'answer', status: 429 }, 'unreachable', /asks to slow down/],
    ['500', { kind: 'answer', status: 500 }, 'unreachable', /the server failed/],
    ['503', { kind: 'answer', status: 503 }, 'unreachable', /the server failed/],
    [
      'a login page',
      { kind: 'answer', status: 200, body: '<html>Log in</html>' },
      'unreachable',
      /is no Git server/,
    ],
    ['a reset', { kind: 'reset' }, 'unreachable', /broke the connection/],
    ['nothing', { kind: 'silence' }, 'unreachable', /did not answer in time/],
  ] as const)('answers %s: that is told as what it is', async (title, fault, kind, words) => {
    const { server, http } = await world.serve();
    const store = await prepared(http);
    await store.commit([create('a.json', credential('a'))]);
    const before = world.outside.refs();
    server.spoil(() => fault);
    const limits = { idleSeconds: 2, commandMs: 8_000 };
    const listing = await errorOf(world.open({ ...http, limits }).list());
    expect(listing).toMatchObject({ kind, message: expect.stringMatching(words) });
    expect(listing.message).toMatch(/^Cannot look at git 127\.0\.0\.1:\d+\/logins\.git: /);
    expect(listing.remedy).not.toBe('');
    server.spoil(({ service }) => (service === 'git-receive-pack' ? fault : undefined));
    const writing = world.open({ ...http, limits });
    const answer = await writing.commit([create('b.json', credential('b'))]).then(
      ([outcome]) => (outcome?.kind === 'failed' ? outcome.error : undefined),
      (error: unknown) => error,
    );
    // A page has no branches, so the lease is lost.
    const said = title === 'a login page' ? /shows them as they were/ : words;
    expect(answer).toMatchObject({ kind, message: expect.stringMatching(said) });
    expect(world.outside.refs()).toBe(before);
  });

  test('after it took the push, and whose answer is lost: it is found to have arrived', async () => {
    const { server, http } = await world.serve();
    const store = await prepared(http);
    let lost = 0;
    server.spoil(({ method, service }) => {
      if (method !== 'POST' || service !== 'git-receive-pack') return undefined;
      lost++;
      return { kind: 'lose-answer' };
    });
    const [outcome] = await store.commit([create('a.json', credential('a'))]);
    expect(lost).toBeGreaterThan(0);
    expect(outcome).toMatchObject({ kind: 'done' });
    expect(world.outside.read('master', 'auths/a.json')).toEqual(credential('a'));
  });

  test('after a few calls, in the middle of a write, leaves all or nothing', async () => {
    const { server, http } = await world.serve();
    await prepared(http);
    for (let calls = 0; calls < 8; calls++) {
      const start = server.requests.length;
      server.spoil(() => (server.requests.length - start >= calls ? { kind: 'reset' } : undefined));
      const name = `${calls}.json`;
      const answer = await world
        .open(http)
        .commit([create(name, credential(name))])
        .catch((error: unknown) => error);
      server.spoil(() => undefined);
      const listing = await world.open(http).list();
      expect(listing.current.has(name)).toBe(listing.backup.has(name));
      if (listing.current.has(name)) continue;
      expect(answer).toMatchObject({ kind: 'unreachable' });
    }
  });

  test.each([
    [
      'unknown host',
      'http://no-such-host.invalid/x.git',
      'unreachable',
      /host name no-such-host\.invalid is not known/,
    ],
    ['nobody there', 'http://127.0.0.1:9/x.git', 'unreachable', /nothing listens at 127\.0\.0\.1:9/],
  ] as const)('%s', async (_, url, kind, words) => {
    const store = world.open({ url, transport: 'http', token: 't0k' });
    expect(await errorOf(store.list())).toMatchObject({ kind, message: expect.stringMatching(words) });
  });

  test('a repository that is not there cannot be made, which is said', async () => {
    const { http } = await world.serve();
    for (const options of [
      { ...http, url: http.url.replace('logins', 'none') },
      { url: join(world.home, 'none.git') },
    ])
      for (const run of [(store: Store) => store.list(), (store: Store) => store.prepare(MARKER)])
        expect(await errorOf(run(world.open(options)))).toMatchObject({
          kind: 'refused',
          message: expect.stringMatching(/there is no such repository/),
          remedy: expect.stringMatching(/make an empty private one/),
        });
  });

  test('a token that is wrong or missing, or may only read', async () => {
    const { server, http } = await world.serve();
    expect(await errorOf(world.open({ ...http, token: 'wrong-S3CR3T' }).list())).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/does not take the user name and token/),
      remedy: expect.stringMatching(/GitLab: oauth2.*x-token-auth/),
    });
    const { token, ...without } = http;
    expect(await errorOf(world.open(without).list())).toMatchObject({
      kind: 'refused',
      remedy: expect.stringMatching(/Set GITSTORE_GIT_TOKEN/),
    });
    server.spoil(({ service }) =>
      service === 'git-receive-pack' ? { kind: 'answer', status: 403 } : undefined,
    );
    expect(await errorOf(world.open(http).prepare(MARKER))).toMatchObject({
      kind: 'refused',
      remedy: expect.stringMatching(/right to write/),
    });
    expect(token).toBe(server.token);
  });

  test('one that redirects to another host gets no token for that host', async () => {
    const { server } = await world.serve();
    const asked: (string | undefined)[] = [];
    const other = await listen(
      createServer((request, response) => {
        asked.push(request.headers.authorization);
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="thief"' }).end();
      }),
    );
    server.spoil(({ url }) => ({
      kind: 'answer',
      status: 302,
      headers: { Location: `http://localhost:${other}${url}` },
    }));
    const http = { url: `${server.origin}/logins.git`, transport: 'http', token: server.token } as const;
    expect(await errorOf(world.open(http).list())).toMatchObject({ kind: 'refused' });
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((each) => each !== undefined)).toEqual([]);
  });
});
