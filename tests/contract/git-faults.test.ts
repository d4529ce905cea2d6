import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { GitOptions } from '../../ts/src/stores/git/options.ts';
import { type Store, StoreError } from '../../ts/src/stores/store.ts';
import { git, nativeWriter } from '../support/git.ts';
import { config, filesWith, type GitWorld, gitWorld } from '../support/git-world.ts';
import { memoryInMemory } from '../support/memory.ts';
import { create, credential, current, entry, named, readAll, versionIn } from './suite.ts';

const MARKER = { id: 'the-marker', format: 1 };
const RECORDS = 'cliproxyapi-sync';

let world: GitWorld;
beforeEach(async () => {
  world = await gitWorld();
});
afterEach(() => world.end());

async function prepared(more: Partial<GitOptions> = {}): Promise<Store> {
  const store = world.open(more);
  await store.prepare(MARKER);
  return store;
}

async function errorOf(run: Promise<unknown>): Promise<StoreError> {
  const error = await run.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof StoreError) return error;
  throw error;
}

/** For this test; undefined takes a variable away. */
function setEnvironment(variables: Readonly<Record<string, string | undefined>>): void {
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  onTestFinished(() => {
    for (const [name, value] of before) set(name, value);
  });
  for (const [name, value] of Object.entries(variables)) set(name, value);
}

describe('the branches', () => {
  test('hold what CLIProxyAPI has in its layout, and nothing else; each is one parentless commit of its', async () => {
    const store = await prepared();
    const bytes = credential('a');
    await store.commit([{ ...create('team/a.json', bytes), keepAside: [Buffer.from('x')] }]);
    await store.commitConfig({ bytes: Buffer.from('port: 1\n'), seen: undefined, keep: [] });
    const id = versionIn(bytes);
    expect(world.outside.files('master')).toEqual([
      'auths/.gitkeep',
      'auths/team/a.json',
      'config/.gitkeep',
      'config/config.yaml',
    ]);
    expect(world.outside.files(RECORDS)).toEqual([
      'backup/auths/team/a.json',
      `sync/history/team/a.json/${id}.json`,
      `sync/history/team/a.json/${id}.meta.json`,
      'sync/rejected/team/a.json/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
      'sync/store.json',
    ]);
    for (const branch of ['master', RECORDS])
      expect(git(world.path, ['log', '--format=%an <%ae> %cn <%ce> [%P]', branch]).toString()).toBe(
        'CLIProxyAPI <cliproxy@local> CLIProxyAPI <cliproxy@local> []\n',
      );
    expect(git(world.path, ['fsck', '--strict', '--no-dangling']).toString()).toBe('');
  });

  test('of a changed credential are replaced in one push, and a look at what has not moved fetches nothing', async () => {
    const { server, http } = await world.serve();
    await prepared(http);
    const store = world.open(http);
    const seen = server.requests.length;
    await store.list();
    expect(server.requests.slice(seen).filter((line) => line.startsWith('POST'))).toHaveLength(1);
    await store.commit([create('a.json', credential('a'))]);
    const pushes = server.requests.filter((line) => /POST .*receive-pack/.test(line));
    // The new branch, the marker, and this.
    expect(pushes).toHaveLength(3);
  });

  test.each(['main', 'master', 'trunk'])('the default branch is taken where it is %s', async (branch) => {
    await world.end();
    world = await gitWorld(branch);
    world.outside.write(branch, { 'auths/a.json': credential('a') });
    world.outside.write('zebra', { 'auths/b.json': credential('b') });
    const store = await prepared();
    expect([...(await store.list()).current.keys()]).toEqual(['a.json']);
    await store.commit([create('c.json', credential('c'))]);
    expect(world.outside.files(branch)).toEqual(['auths/a.json', 'auths/c.json']);
    expect(world.outside.files('zebra')).toEqual(['auths/b.json']);
  });

  test('an empty repository gets master first, as from CLIProxyAPI, and another branch if that is set', async () => {
    await prepared();
    expect(world.outside.refs()).toMatch(/cliproxyapi-sync\n.*refs\/heads\/master\n$/);
    await world.end();
    world = await gitWorld();
    await prepared({ branch: 'logins' });
    expect(world.outside.refs()).toMatch(/cliproxyapi-sync\n.*refs\/heads\/logins\n$/);
  });

  test('a branch that is set and not there is made, and the others stay', async () => {
    const others = world.outside.write('master', { README: Buffer.from('a project') });
    const store = await prepared({ branch: 'logins' });
    await store.commit([create('a.json', credential('a'))]);
    expect(world.outside.head('master')).toBe(others);
    expect(world.outside.files('logins')).toContain('auths/a.json');
    expect(world.outside.files('logins')).not.toContain('README');
  });

  test('our own branch as the default branch is a mistake in the settings, and says how to mend it', async () => {
    await prepared();
    git(world.path, ['symbolic-ref', 'HEAD', `refs/heads/${RECORDS}`]);
    const { kind, message, remedy } = await errorOf(world.open().list());
    expect(kind).toBe('configuration');
    expect(message).toMatch(/default branch of .* is cliproxyapi-sync/);
    expect(remedy).toMatch(/Make master the default branch/);
  });

  test('a repository with SHA-256 objects is refused', async () => {
    await rm(world.path, { recursive: true });
    await mkdir(world.path);
    git(world.path, ['init', '--quiet', '--bare', '--object-format=sha256']);
    const tree = git(world.path, ['mktree'], { input: Buffer.alloc(0) })
      .toString()
      .trim();
    const commit = git(world.path, ['commit-tree', '-m', 'x', tree]).toString().trim();
    git(world.path, ['update-ref', 'refs/heads/master', commit]);
    expect(await errorOf(world.open().list())).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('SHA-256'),
    });
  });

  test('are asked of the server again where a change has nothing to write to one of them', async () => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    world.outside.write('master', { 'auths/a.json': credential('b') });
    const put = { kind: 'put', bytes: credential('a'), seen: undefined } as const;
    expect(await store.commit([{ name: named('a.json'), keep: [], current: put }])).toEqual([
      { kind: 'lost', step: 'current' },
    ]);
    const keep = [entry(credential('new'))];
    world.outside.write('master', { 'auths/a.json': credential('c') });
    expect(
      await store.commit([{ name: named('a.json'), keep, current: { ...put, bytes: credential('b') } }]),
    ).toEqual([{ kind: 'lost', step: 'current' }]);
  });

  test('a store that was only looked at is as it was', async () => {
    const store = world.open();
    expect((await store.list()).present).toBe(false);
    await store.history();
    await store.readConfig();
    expect(world.outside.refs()).toBe('');
  });
});

describe("other people's files", () => {
  const link = Buffer.from('notes.txt');

  test('stay as they are, whatever their kind, in a branch of one commit', async () => {
    world.outside.write('master', {
      'notes.txt': Buffer.from('mine\r\n'),
      '.gitattributes': Buffer.from('* text=auto eol=crlf ident\n'),
    });
    world.outside.write('master', { link }, { mode: '120000' });
    world.outside.write('master', { 'tools/run': Buffer.from('#!/bin/sh\n') }, { mode: '100755' });
    const submodule = world.outside.head('master') ?? '';
    git(world.path, ['read-tree', 'master'], { env: { GIT_INDEX_FILE: join(world.home, 'index') } });
    git(world.path, ['update-index', '--add', '--cacheinfo', `160000,${submodule},module`], {
      env: { GIT_INDEX_FILE: join(world.home, 'index') },
    });
    const tree = git(world.path, ['write-tree', '--missing-ok'], {
      env: { GIT_INDEX_FILE: join(world.home, 'index') },
    });
    const commit = git(world.path, ['commit-tree', tree.toString().trim(), '-m', 'x']).toString().trim();
    git(world.path, ['update-ref', 'refs/heads/master', commit]);
    const before = git(world.path, ['ls-tree', '-r', 'master']).toString();

    const store = await prepared();
    const bytes = credential('a', '{"type":"claude",\r\n"access_token":"$Id$"}\r\n');
    await store.commit([create('a.json', bytes)]);
    const after = git(world.path, ['ls-tree', '-r', 'master']).toString();
    expect(after.replace(/^.*\tauths\/a\.json\n/m, '')).toBe(before);
    expect(world.outside.read('master', 'auths/a.json')).toEqual(bytes);
  });

  test('with a history are not replaced by one commit: that is refused before anything is written', async () => {
    world.outside.write('master', { 'main.c': Buffer.from('1') }, { email: 'ada@example.org' });
    world.outside.write(
      'master',
      { 'main.c': Buffer.from('2') },
      { email: 'ada@example.org', keepHistory: true },
    );
    const before = world.outside.refs();
    const store = world.open();
    expect((await store.list()).current.size).toBe(0);
    const { kind, message, remedy } = await errorOf(store.prepare(MARKER));
    expect(kind).toBe('refused');
    expect(message).toMatch(/The branch master of .* has a history that is not CLIProxyAPI's/);
    expect(remedy).toMatch(/GITSTORE_GIT_BRANCH/);
    expect(await store.commit([create('a.json', credential('a'))])).toMatchObject([
      { kind: 'failed', error: { kind: 'refused' } },
    ]);
    expect(world.outside.refs()).toBe(before);
  });

  test('on a branch that has our name by accident stay', async () => {
    world.outside.write(RECORDS, { 'package.json': Buffer.from('{}') });
    const before = world.outside.head(RECORDS);
    expect(await errorOf(world.open().prepare(MARKER))).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('package.json'),
    });
    expect(world.outside.head(RECORDS)).toBe(before);
  });

  test('in the place of a credential or a folder are not read or written through, and not replaced', async () => {
    const store = await prepared();
    world.outside.write(
      'master',
      { 'auths/a.json': Buffer.from('../config/config.yaml') },
      { mode: '120000' },
    );
    world.outside.write('master', { 'auths/b.json': credential('b') });
    world.outside.write('master', { 'auths/team/c.json': credential('c') });
    const before = world.outside.head('master');
    const tag = (await store.list()).current.get('a.json')?.tag;
    expect(await readAll(store, [current('a.json')])).toMatchObject([
      { kind: 'failed', reason: expect.stringContaining('symbolic link') },
    ]);
    const changes = [
      { name: named('a.json'), keep: [], current: { kind: 'put', bytes: credential('x'), seen: tag } },
      {
        name: named('b.json/x.json'),
        keep: [],
        current: { kind: 'put', bytes: credential('x'), seen: undefined },
      },
      { name: named('team'), keep: [], current: { kind: 'put', bytes: credential('x'), seen: undefined } },
    ] as const;
    for (const outcome of await store.commit(changes))
      expect(outcome).toMatchObject({ kind: 'failed', step: 'current', error: { kind: 'refused' } });
    expect(world.outside.head('master')).toBe(before);
  });

  test('a file that is called auths is not replaced by a folder', async () => {
    world.outside.write('master', { auths: Buffer.from('a list of people') });
    const store = await prepared();
    expect(await store.commit([create('a.json', credential('a'))])).toMatchObject([
      { kind: 'failed', error: { message: expect.stringMatching(/^auths in the repository is a file/) } },
    ]);
    expect(world.outside.read('master', 'auths')?.toString()).toBe('a list of people');
  });

  test('a huge project is not fetched to its end', async () => {
    world.outside.write('master', {
      'video.mp4': execFileSync('head', ['-c', '12000000', '/dev/urandom'], { maxBuffer: 2e7 }),
    });
    const limits = { fetchBytes: 300_000 };
    const { server, http } = await world.serve();
    server.spoil(({ method }) => (method === 'POST' ? { kind: 'slow' } : undefined));
    const error = await errorOf(
      world
        .open({ ...http, limits })
        .list()
        .then(async () => {
          throw new StoreError('configuration', 'it was fetched', '');
        }),
    );
    expect(error).toMatchObject({ kind: 'refused', message: expect.stringMatching(/hold more than 0 MB/) });
  });
});

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

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe('TLS', () => {
  test('a certificate that is not trusted is refused until its authority is named; plain HTTP is told', async () => {
    const key = join(world.home, 'key.pem');
    const cert = join(world.home, 'cert.pem');
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ].concat([
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=DNS:localhost',
        '-keyout',
        key,
        '-out',
        cert,
      ]),
      { stdio: 'ignore' },
    );
    const answer = createTlsServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) =>
      response.writeHead(404).end(),
    );
    const url = `https://localhost:${await listen(answer)}/x.git`;
    const options = { url, transport: 'http', token: 't0k' } as const;
    expect(await errorOf(world.open(options).list())).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/the certificate of localhost:\d+ is not trusted/),
      remedy: expect.stringMatching(/GIT_SSL_CAINFO/),
    });
    setEnvironment({ SSL_CERT_FILE: cert, GIT_SSL_CAINFO: undefined });
    expect(await errorOf(world.open(options).list())).toMatchObject({
      message: expect.stringMatching(/there is no such repository/),
    });
    const { server } = await world.serve();
    const plain = world.open({ ...options, url: `${server.origin.replace('http', 'https')}/logins.git` });
    expect(await errorOf(plain.list())).toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/does not speak TLS/),
    });
  });
});

describe('ssh', () => {
  test.each([
    ['git@host.example: Permission denied (publickey).', 'refused', /takes none of this user's ssh keys/],
    ['Host key verification failed.', 'refused', /does not know the key of/],
    [
      'ssh: Could not resolve hostname host.example: Name or service not known',
      'unreachable',
      /is not known \(DNS\)/,
    ],
    ['ssh: connect to host host.example port 22: Connection refused', 'unreachable', /nothing listens/],
    [
      'ssh: connect to host host.example port 22: Connection timed out',
      'unreachable',
      /did not answer in time/,
    ],
    ['ERROR: Repository not found.', 'refused', /there is no such repository/],
    ['ERROR: Permission to a/b.git denied to deploy key', 'refused', /no right to write/],
    ['remote: GitLab: The project you were looking for could not be found', 'refused', /no such repository/],
  ] as const)('%s', async (said, kind, words) => {
    setEnvironment({ GIT_SSH_COMMAND: `sh -c 'echo "${said}" >&2; exit 255' --` });
    const store = world.open({ url: 'git@host.example:me/logins.git', transport: 'ssh', token: 't0k' });
    const error = await errorOf(store.list());
    expect(error).toMatchObject({ kind, message: expect.stringMatching(words) });
    expect(error.message).toContain('git host.example/me/logins.git');
  });

  test('without an ssh program says so; with one, nobody is asked anything', async () => {
    const bin = join(world.home, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'ssh'), `#!/bin/sh\necho "$@" > ${world.home}/ssh-args\nexit 255\n`, {
      mode: 0o755,
    });
    setEnvironment({ PATH: `${bin}:${process.env.PATH}` });
    const store = () =>
      world.open({ url: 'ssh://git@host.example/x.git', transport: 'ssh', token: 't0k-S3CR3T' });
    await errorOf(store().list());
    const args = await readFile(join(world.home, 'ssh-args'), 'utf8');
    expect(args).toMatch(/BatchMode=yes/);
    expect(args).not.toMatch(/S3CR3T/);
  });
});

describe('the git program', () => {
  async function script(text: string): Promise<string> {
    const path = join(world.home, 'fake-git');
    await writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return path;
  }

  test('that is missing, or too old, or no git, is named with what is needed', async () => {
    for (const [program, words] of [
      ['no-such-git', /"no-such-git" is not there/],
      [
        await script('echo git version 2.20.1'),
        /is git version 2\.20\.1; the Git store needs 2\.32 or later/,
      ],
    ] as const)
      expect(await errorOf(world.open({ program }).list())).toMatchObject({
        kind: 'configuration',
        message: expect.stringMatching(words),
        remedy: expect.stringMatching(/CLIPROXY_GIT/),
      });
    const noGit = world.open({ program: await script('echo hello') });
    expect(await errorOf(noGit.list())).toMatchObject({ kind: 'configuration' });
  });

  test('that hangs is ended with all that it started', async () => {
    const pids = join(world.home, 'pids');
    const program = await script(
      `if [ "$1" = version ]; then exec git version; fi\nsleep 1000 & echo $! $$ > ${pids}; trap '' TERM; wait; sleep 1000`,
    );
    const started = Date.now();
    const error = await errorOf(world.open({ program, limits: { commandMs: 500 } }).list());
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/did not answer in time/),
    });
    expect(Date.now() - started).toBeLessThan(8_000);
    for (const pid of (await readFile(pids, 'utf8')).trim().split(' '))
      expect(existsSync(`/proc/${pid}/cmdline`) && (await readFile(`/proc/${pid}/cmdline`)).length > 0).toBe(
        false,
      );
  });

  test('is ended when the store is closed', async () => {
    const { server, http } = await world.serve();
    server.spoil(() => ({ kind: 'silence' }));
    const store = world.open(http);
    const listing = errorOf(store.list());
    await new Promise((resolve) => setTimeout(resolve, 500));
    const processes = () => execFileSync('ps', ['-eo', 'args', 'ww']).toString().includes(http.url);
    expect(processes()).toBe(true);
    await store.close();
    expect(processes()).toBe(false);
    expect(await listing).toMatchObject({ kind: 'unreachable' });
  });
});

describe('the cache', () => {
  const runs = async () => (await readdir(world.cacheDir)).map((name) => join(world.cacheDir, name));

  test('may be removed at any time', async () => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    await rm(world.cacheDir, { recursive: true });
    expect(await readAll(store, [current('a.json')])).toMatchObject([{ kind: 'object' }]);
    await store.list();
    await rm(world.cacheDir, { recursive: true });
    expect(await store.commit([create('b.json', credential('b'))])).toMatchObject([{ kind: 'done' }]);
    await store.list();
    await rm(world.cacheDir, { recursive: true });
    expect(await store.history()).toHaveLength(2);
  });

  test.each([
    ['emptied', (path: string) => truncate(path, 0)],
    [
      'garbled',
      async (path: string) => {
        await chmod(path, 0o600);
        await writeFile(path, 'garbage');
      },
    ],
    ['removed', (path: string) => rm(path)],
  ])('whose objects were %s is made anew', async (_, spoil) => {
    const first = await prepared();
    await first.commit(['a.json', 'b.json'].map((name) => create(name, credential(name))));
    const [directory = ''] = await runs();
    const entries = await readdir(join(directory, 'objects'), { recursive: true, withFileTypes: true });
    for (const each of entries) if (each.isFile()) await spoil(join(each.parentPath, each.name));
    const store = world.open();
    expect((await store.list()).current.size).toBe(2);
    expect(await readAll(store, [current('a.json')])).toMatchObject([{ kind: 'object' }]);
    expect(await store.commit([create('c.json', credential('c'))])).toMatchObject([{ kind: 'done' }]);
  });

  test('is shared by stores that read and write at the same time, also while it is thrown away', async () => {
    await prepared();
    const names = Array.from({ length: 6 }, (_, index) => `host-${index}.json`);
    const outcomes = await Promise.all([
      ...names.map(async (name) => {
        const store = world.open();
        await store.list();
        return store.commit([create(name, credential(name))]);
      }),
      (async () => {
        for (let round = 0; round < 5; round++) {
          await new Promise((resolve) => setTimeout(resolve, 60));
          for (const each of await runs()) await rm(join(each, 'heads.json'), { force: true });
        }
        return [];
      })(),
    ]);
    expect(outcomes.flat().map(({ kind }) => kind)).toEqual(names.map(() => 'done'));
    expect((await world.open().list()).current.size).toBe(6);
  });

  test('has nothing of a run left once that is closed, and is for its owner alone', async () => {
    const store = await prepared();
    await store.commit([create('a.json', credential('a'))]);
    await store.close();
    const [directory = ''] = await runs();
    expect((await readdir(directory)).sort()).toEqual(['heads.json', 'objects']);
    expect(execFileSync('stat', ['-c', '%a', directory, join(directory, 'objects')]).toString()).toBe(
      '700\n700\n',
    );
  });

  test('that has grown is begun anew', async () => {
    await (await prepared()).close();
    const [directory = ''] = await runs();
    const folder = join(directory, 'objects/17');
    await mkdir(folder, { recursive: true });
    for (let index = 0; index < 50; index++)
      await writeFile(join(folder, String(index).padStart(38, '0')), '');
    await world.open().list();
    expect(existsSync(folder)).toBe(false);
  });

  test('of a large store is not fetched anew when one credential changes', async () => {
    const { http } = await world.serve();
    const writer = await prepared(http);
    const names = Array.from({ length: 300 }, (_, index) => `account-${index}.json`);
    await writer.commit(names.map((name) => create(name, credential(`${name} ${'x'.repeat(500)}`))));
    const cacheDir = join(world.home, 'other');
    const reader = world.open({ ...http, cacheDir });
    await reader.list();
    await reader.close();
    await writer.commit([create('one-more.json', credential('y'))]);
    const before = objectsIn(cacheDir);
    const listing = await world.open({ ...http, cacheDir }).list();
    expect(listing.current.size).toBe(301);
    // Two commits, the trees on the way to the file, its blobs.
    expect(objectsIn(cacheDir) - before).toBeLessThan(20);
  });

  function objectsIn(cacheDir: string): number {
    const paths = execFileSync('find', [cacheDir, '-path', '*/objects/*', '-type', 'f'])
      .toString()
      .trim()
      .split('\n');
    const packed = paths
      .filter((path) => path.endsWith('.idx'))
      .map(
        (path) =>
          git('/', ['show-index'], { input: execFileSync('cat', [path]) })
            .toString()
            .split('\n').length - 1,
      );
    return (
      paths.filter((path) => /\/[0-9a-f]{38}$/.test(path)).length +
      packed.reduce((sum, count) => sum + count, 0)
    );
  }
});

describe('a proxy with its native store on', () => {
  test('takes turns with us: each sees what the other wrote, and nothing of either is lost', async () => {
    const { server } = await world.serve();
    const url = `${server.origin.replace('//', `//git:${server.token}@`)}/logins.git`;
    const store = await prepared();
    const proxy = await nativeWriter(join(world.home, 'proxy'), url, 'master');
    for (let turn = 0; turn < 3; turn++) {
      expect(await proxy.save('auths/native.json', credential(`native ${turn}`))).toBe(true);
      const listing = await store.list();
      expect(await readAll(store, [current('native.json')])).toMatchObject([
        { kind: 'object', bytes: new Uint8Array(credential(`native ${turn}`)) },
      ]);
      const seen = listing.current.get('ours.json')?.tag;
      const backup = listing.backup.get('ours.json')?.tag;
      const bytes = credential(`ours ${turn}`);
      const change = create('ours.json', bytes, seen);
      const put = { kind: 'put', bytes, seen: backup } as const;
      expect(await store.commit([{ ...change, backup: put }])).toMatchObject([{ kind: 'done' }]);
    }
    expect(world.outside.files('master')).toEqual([
      'auths/.gitkeep',
      'auths/native.json',
      'auths/ours.json',
      'config/.gitkeep',
    ]);
  });

  test('writes at the same time: nothing is overwritten that was not seen, and every version that we replaced is kept', async () => {
    const store = await prepared();
    // Before the first of the writes that are counted, so that none of those is the oldest line.
    config(world, 'core.logAllRefUpdates', 'always');
    await store.commit([create('shared.json', credential('start'))]);
    const proxy = await nativeWriter(join(world.home, 'proxy'), world.path, 'master');
    let theirs = 0;
    let ours = 0;
    const until = Date.now() + 40_000;
    const isDone = () => (theirs > 2 && ours > 2) || Date.now() > until;
    await Promise.all([
      (async () => {
        for (let round = 0; !isDone(); round++) {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 500));
          if (await proxy.save('auths/shared.json', credential(`native ${round}`))) theirs++;
        }
      })(),
      (async () => {
        for (let round = 0; !isDone(); round++) {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_000));
          const seen = (await store.list()).current.get('shared.json')?.tag;
          const [answer] = await readAll(store, [current('shared.json')]);
          if (answer?.kind !== 'object') throw new Error(`it is ${answer?.kind}`);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
          const bytes = credential(`ours ${round}`);
          const keep = [entry(answer.bytes), entry(bytes)];
          const [outcome] = await store.commit([
            { name: named('shared.json'), keep, current: { kind: 'put', bytes, seen } },
          ]);
          if (outcome?.kind === 'done') ours++;
          else expect(outcome).toEqual({ kind: 'lost', step: 'current' });
        }
      })(),
    ]);
    expect([theirs > 0, ours > 0]).toEqual([true, true]);
    // All that the branch ever was, the newest first.
    const log = git(world.path, ['log', '--walk-reflogs', '--format=%H %s', 'master'])
      .toString()
      .trim()
      .split('\n');
    const contents = log.map((line) => git(world.path, ['show', `${line.slice(0, 40)}:auths/shared.json`]));
    const kept = new Set((await store.history()).map(({ id }) => id));
    let replaced = 0;
    for (const [index, line] of log.slice(0, -1).entries()) {
      if (!line.endsWith(' Sync auth shared.json')) continue;
      replaced++;
      expect(kept).toContain(versionIn(contents[index + 1] ?? Buffer.alloc(0)));
    }
    expect(replaced).toBe(ours);
  });
});

describe("the user's own git", () => {
  test('changes nothing, whatever it is told, and learns nothing', async () => {
    const home = join(world.home, 'user');
    const hooks = join(home, 'hooks');
    const template = join(home, 'template/hooks');
    await mkdir(hooks, { recursive: true });
    await mkdir(template, { recursive: true });
    const trap = `#!/bin/sh\necho "$0 $@" >> ${home}/trapped\nexit 1\n`;
    for (const name of ['pre-push', 'reference-transaction', 'post-checkout', 'update'])
      for (const folder of [hooks, template]) await writeFile(join(folder, name), trap, { mode: 0o755 });
    await writeFile(join(home, 'trap'), trap, { mode: 0o755 });
    const { server, http } = await world.serve();
    await writeFile(
      join(home, '.gitconfig'),
      `[core]\n hooksPath = ${hooks}\n autocrlf = true\n askPass = ${home}/trap\n sshCommand = ${home}/trap\n fsmonitor = ${home}/trap\n attributesFile = ${home}/attributes\n` +
        `[commit]\n gpgSign = true\n[push]\n gpgSign = true\n[gpg]\n program = ${home}/trap\n` +
        `[init]\n templateDir = ${home}/template\n[user]\n name = Mallory\n email = mallory@example.org\n` +
        `[credential]\n helper = ${home}/trap\n[url "http://127.0.0.1:9/"]\n insteadOf = ${server.origin}/\n` +
        `[http]\n proxy = http://127.0.0.1:9\n extraHeader = X-Trap: 1\n[transfer]\n fsckObjects = true\n[protocol]\n version = 0\n[remote]\n pushDefault = x\n`,
    );
    await writeFile(join(home, 'attributes'), '* text eol=crlf filter=trap\n');
    await writeFile(join(home, '.netrc'), `machine 127.0.0.1 login git password ${server.token}\n`);
    const hostile: Record<string, string> = {
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      GIT_DIR: join(home, 'elsewhere'),
      GIT_WORK_TREE: home,
      GIT_INDEX_FILE: join(home, 'index'),
      GIT_OBJECT_DIRECTORY: join(home, 'objects'),
      GIT_ASKPASS: join(home, 'trap'),
      SSH_ASKPASS: join(home, 'trap'),
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'core.hooksPath',
      GIT_CONFIG_VALUE_0: hooks,
      GIT_AUTHOR_NAME: 'Mallory',
      GIT_COMMITTER_EMAIL: 'mallory@example.org',
      GIT_TRACE: join(home, 'trace'),
      GIT_TRACE_CURL: join(home, 'trace'),
      GIT_TEMPLATE_DIR: template,
      GIT_NAMESPACE: 'elsewhere',
      GIT_SSL_NO_VERIFY: '1',
      LC_ALL: 'de_DE.UTF-8',
      LANGUAGE: 'de',
    };
    setEnvironment(hostile);
    const content = credential('a', '{"type":"claude",\n"x":1}\r\n');
    for (const options of [{}, http]) {
      const store = world.open({
        ...options,
        cacheDir: join(world.home, `cache-${Object.keys(options).length}`),
      });
      await store.prepare(MARKER);
      const name = `${Object.keys(options).length}.json`;
      expect(await store.commit([create(name, content)])).toMatchObject([{ kind: 'done' }]);
      expect(world.outside.read('master', `auths/${name}`)).toEqual(content);
    }
    const { token: _, ...withoutToken } = http;
    expect(await errorOf(world.open(withoutToken).list())).toMatchObject({
      message: expect.stringMatching(/wants a login/),
    });
    expect(await readdir(home)).not.toContain('trapped');
    expect(await readdir(home)).not.toContain('trace');
    expect(await readdir(home)).not.toContain('elsewhere');
    expect(git(world.path, ['log', '-1', '--format=%an %ce %G?', 'master']).toString()).toBe(
      'CLIProxyAPI cliproxy@local N\n',
    );
  });
});

describe('the token', () => {
  const FORMS = (token: string) => [
    token,
    Buffer.from(`git:${token}`).toString('base64'),
    encodeURIComponent(token),
  ];

  test('is in no argument, no file and no message', async () => {
    const { server, http } = await world.serve();
    const log = join(world.home, 'arguments');
    const program = join(world.home, 'logging-git');
    await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$@" >> ${log}\nexec git "$@"\n`, { mode: 0o755 });
    let processes = '';
    server.spoil(({ service }) => {
      processes += execFileSync('ps', ['-eo', 'args', 'ww'], { maxBuffer: 1e7 }).toString();
      return service === 'git-receive-pack' ? { kind: 'delay', ms: 200 } : undefined;
    });
    const memory = memoryInMemory();
    const store = world.open({ ...http, program }, memory);
    await store.prepare(MARKER);
    await store.commit([create('a.json', credential('a'))]);
    await store.list();
    expect(processes).toMatch(/git-remote-http|remote-http/);
    for (const form of FORMS(server.token)) {
      expect(await readFile(log, 'utf8')).not.toContain(form);
      expect(processes).not.toContain(form);
      expect(await filesWith(world.cacheDir, form)).toEqual([]);
      expect(JSON.stringify(memory.read()) + store.location).not.toContain(form);
    }
    expect(execFileSync('find', [world.cacheDir, '-name', 'logs']).toString()).toBe('');
    // A server that repeats what it was sent.
    server.spoil(() => ({
      kind: 'answer',
      status: 418,
      body: FORMS(server.token).join(' '),
      headers: { 'Content-Type': 'text/plain' },
    }));
    const { message, remedy } = await errorOf(world.open(http).list());
    for (const form of FORMS(server.token)) expect(message + remedy).not.toContain(form);
  });
});

test('a list is one look at the server, and a hundred changes are one push', async () => {
  const { server, http } = await world.serve();
  const log = join(world.home, 'arguments');
  const program = join(world.home, 'logging-git');
  await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$1" >> ${log}\nexec git "$@"\n`, { mode: 0o755 });
  const calls = async () => {
    const lines = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n');
    await rm(log, { force: true });
    return lines;
  };
  const store = world.open({ ...http, program });
  await store.prepare(MARKER);
  const names = Array.from({ length: 100 }, (_, index) => `account-${index}.json`);
  await calls();
  const requests = server.requests.length;
  let started = performance.now();
  await store.commit(names.map((name) => create(name, credential(name))));
  console.info(
    `commit of 100: ${Math.round(performance.now() - started)} ms, ${server.requests.length - requests} requests`,
  );
  expect(await calls()).toEqual(['cat-file', 'fast-import', 'push']);
  const other = world.open({ ...http, program });
  started = performance.now();
  await other.list();
  console.info(`list of 100, nothing moved: ${Math.round(performance.now() - started)} ms`);
  expect((await calls()).sort()).toEqual(['cat-file', 'ls-remote', 'ls-tree', 'ls-tree', 'version']);
  started = performance.now();
  await other.list();
  console.info(`list again: ${Math.round(performance.now() - started)} ms`);
  expect(await calls()).toEqual(['ls-remote']);
});
