/** The Git store: TLS, ssh, the git program and what is secret. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { git } from '../../support/git.ts';
import { filesWith } from '../../support/git-world.ts';
import { memoryInMemory } from '../../support/memory.ts';
import { create, credential, errorOf, MARKER } from '../vocabulary.ts';
import { listen, setEnvironment, world } from './git-store.ts';

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
