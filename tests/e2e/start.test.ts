import { chmod, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { parse } from 'yaml';
import { bundlePath, STAND_IN_PROXY } from '../support/bundle.ts';
import {
  command,
  credential,
  credentials,
  decent,
  done,
  type Ended,
  held,
  KINDS,
  NODE_24,
  nodes,
  put,
  type Running,
  run,
  s3Server,
  stored,
  sync,
  test,
  texts,
  tree,
  type World,
} from './world.ts';

/** Variables of a store that the proxy must not see. */
const NATIVE = ['PGSTORE_DSN', 'OBJECTSTORE_ENDPOINT', 'GITSTORE_GIT_URL', 'HOME_JWT'];

describe.each(nodes('start'))('start on %s', (_, node) => {
  test('becomes the proxy: its process where Node can, its signals and its exit code', async ({ world }) => {
    const proxy = await script(
      world,
      `trap 'exit 7' TERM
       echo "pid $$"
       n=0; while [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done`,
    );
    const home = await world.home('laptop', { proxy });
    const running = world.start(home, 'start', ['--quiet'], { node });
    const pid = Number((await seen(running, /pid (\d+)/))[1]);
    if (node === NODE_24) expect(pid).toBe(running.pid);
    else expect(pid).not.toBe(running.pid);
    running.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 7, stderr: '' });
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  });

  test('the proxy’s own arguments, exit code and end by a signal are passed on', async ({ world }) => {
    const echo = await script(world, 'for arg; do echo "<$arg>"; done; exit 3');
    const home = await world.home('laptop', { proxy: echo });
    const args = ['-local-model', '-x', 'a "b" $c', ''];
    const { code, stdout } = await run(home, 'start', args, { node });
    const config = join(home.proxyHome, 'config.yaml');
    expect(stdout).toBe(['-config', config, ...args].map((arg) => `<${arg}>\n`).join(''));
    expect(code).toBe(3);

    await writeFile(echo, '#!/bin/sh\nkill -KILL $$\n');
    const killed = await run(home, 'start', [], { node });
    expect(killed.signal === 'SIGKILL' || killed.code === 137).toBe(true);
  });

  test('the proxy runs on files alone: config rendered, no store in sight, no .env in its directory', async ({
    world,
  }) => {
    const template = '# mine\nport: 8317\napi-keys:\n  - __API_KEY__\n  - __NOT_SET__\n';
    const home = await world.home('laptop', { template });
    await put(home.authDir, credentials('a'));
    const record = join(world.root, 'record.json');
    // A directory that someone else filled: none of it is ours to read.
    const cwd = join(world.root, 'elsewhere');
    await put(cwd, {
      '.env': Buffer.from(`OBJECTSTORE_ENDPOINT=http://127.0.0.1:1\nPGSTORE_DSN=postgres://x/y\n`),
    });
    const running = world.start(home, 'start', [], {
      node,
      cwd,
      env: { STAND_IN_RECORD: record, API_KEY: 'k: "1" | & \\ # *', gitstore_git_url: '', HOME_JWT: '' },
    });
    await seen(running, /serving with 1 credentials/);
    const seenByProxy: { cwd: string; env: Record<string, string> } = JSON.parse(
      await readFile(record, 'utf8'),
    );
    for (const name of NATIVE) expect(seenByProxy.env[name], name).toBe('');
    for (const name of NATIVE) expect(seenByProxy.env[name.toLowerCase()], name.toLowerCase()).toBe('');
    expect(Object.keys(held(seenByProxy.cwd))).toEqual([]);
    const config = join(home.proxyHome, 'config.yaml');
    const text = await readFile(config, 'utf8');
    expect(text).toMatch(/^# mine\n/);
    expect(parse(text)).toEqual({
      port: 8317,
      'api-keys': ['k: "1" | & \\ # *'],
      'auth-dir': home.authDir,
    });
    expect((await stat(config)).mode & 0o777).toBe(0o600);
    await stop(running);
    expect(await stored(world.store, 'auths/')).toEqual(held(home.authDir));
  });
});

describe.each(KINDS)('start, with a store (%s)', (kind) => {
  test.override({ kind });

  test('fills an empty auth dir before the proxy runs', async ({ world }) => {
    const laptop = await world.home('laptop');
    const files = credentials('a', 'b');
    await put(laptop.authDir, files);
    await done(run(laptop, 'backup'));
    const server = await world.home('server');
    await rm(server.authDir, { recursive: true });
    const running = world.start(server, 'start');
    await seen(running, /serving with 2 credentials/);
    await stop(running);
    expect(held(server.authDir)).toEqual(texts(files));
  });

  test('takes the store’s config where there is neither a template nor a config', async ({ world }) => {
    const home = await world.home('laptop', { proxy: await script(world, 'exit 0') });
    await rm(join(home.proxyHome, 'config.template.yaml'));
    await world.store.make();
    await world.store.write('config/config.yaml', Buffer.from('port: 1234 # from the store\n'));
    await done(run(home, 'start'));
    expect(parse(await readFile(join(home.proxyHome, 'config.yaml'), 'utf8'))).toEqual({
      port: 1234,
      'auth-dir': home.authDir,
    });
  });
});

test('the config follows the default that it was made from, until someone edits it', async ({ world }) => {
  const home = await world.home('laptop', { proxy: await script(world, 'exit 0') });
  await rm(join(home.proxyHome, 'config.template.yaml'));
  const config = join(home.proxyHome, 'config.yaml');
  const startWith = async (text: string) => {
    const path = join(world.root, 'default.yaml');
    await writeFile(path, text);
    return done(run(home, 'start', ['--quiet'], { env: { CLIPROXY_CONFIG_DEFAULT: path } }));
  };
  await startWith('port: 1\n');
  await startWith('port: 2\n');
  expect(parse(await readFile(config, 'utf8'))).toMatchObject({ port: 2 });
  await writeFile(config, `port: 9\nauth-dir: ${home.authDir}\n`);
  expect((await startWith('port: 3\n')).stderr).toMatch(
    /warning: .*config\.yaml is no longer what was written.*default\.yaml.*move it away/,
  );
  expect((await startWith('port: 3\n')).stderr).toBe('');
  expect(parse(await readFile(config, 'utf8'))).toMatchObject({ port: 9 });
});

describe('start that cannot work is exit 78 with a remedy, and starts nothing:', () => {
  test('no config at all', async ({ world }) => {
    const home = await world.home('laptop', { proxy: await script(world, 'echo STARTED') });
    await rm(join(home.proxyHome, 'config.template.yaml'));
    const { code, stdout, stderr } = await run(home, 'start');
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).toMatch(/has no config: neither .*config\.template\.yaml nor .*config\.yaml/);
    expect(stderr).toMatch(/Write .*config\.template\.yaml/);
  });

  test.for([
    ['that is missing', '/nowhere/cliproxyapi', /\/nowhere\/cliproxyapi\) does not exist/],
    ['that is a directory', '/tmp', /\/tmp\) is not a file/],
    ['that is not in PATH', 'no-such-proxy', /"no-such-proxy" is not in PATH/],
    ['that is one of ours', bundlePath('wrapper'), /is cliproxyapi-sync itself/],
    ['that may not be executed', '/etc/passwd', /may not be executed/],
  ] as const)('a CLIPROXY_BIN %s', async ([, proxy, said], { world }) => {
    const home = await world.home('laptop', { proxy });
    for (const program of ['start', 'wrapper'] as const) {
      const { code, stderr } = await run(home, program);
      expect(code, stderr).toBe(78);
      expect(stderr).toMatch(said);
      expect(stderr).toMatch(/set CLIPROXY_BIN to /i);
    }
    expect(held(home.authDir)).toEqual({});
  });

  test('a program that the system refuses', async ({ world }) => {
    const path = join(world.root, 'not-for-this-machine');
    await writeFile(path, '#!/nowhere/interpreter\n', { mode: 0o755 });
    const home = await world.home('laptop', { proxy: path });
    for (const [, node] of nodes('a program that the system refuses')) {
      const { code, stderr } = await run(home, 'start', [], { node });
      expect(code).toBe(78);
      expect(stderr).toMatch(/cannot be run: .*interpreter/);
    }
  });
});

describe('a store that does not answer', () => {
  const unreachable = (port: number) =>
    ({
      kind: 's3',
      endpoint: `http://127.0.0.1:${port}`,
      bucket: 'credentials',
      accessKey: 'S3CR3T-a',
      secretKey: 'S3CR3T-s',
    }) as const;

  test('because nothing listens keeps no proxy from starting', async ({ world }) => {
    const home = await world.home('laptop', { store: unreachable(1) });
    await put(home.authDir, credentials('a'));
    const started = Date.now();
    const running = world.start(home, 'start');
    await seen(running, /serving with 1 credentials/);
    expect(Date.now() - started).toBeLessThan(10_000);
    expect((await stop(running)).stderr).toMatch(/nothing listens at 127\.0\.0\.1:1/);
  });

  test.concurrent.for([
    ['with credentials', ['a']],
    ['with none, which takes no longer', []],
  ] as const)(
    'because it takes connections and says nothing delays the proxy by ten seconds at most (%s)',
    async ([, names], { world }) => {
      const port = await blackHole(world);
      const home = await world.home('laptop', { store: unreachable(port) });
      await put(home.authDir, credentials(...names));
      const started = Date.now();
      const running = world.start(home, 'start');
      await seen(running, new RegExp(`serving with ${names.length} credentials`));
      const took = Date.now() - started;
      const stopped = Date.now();
      const { stderr } = await stop(running);
      expect(stderr.match(/s3:\/\/credentials at 127\.0\.0\.1:\d+ did not answer/g)).toHaveLength(1);
      // Requests that were given up hold up no stop either.
      expect(Date.now() - stopped).toBeLessThan(5_000);
      // The ten seconds, and two for two programs to start on a busy machine.
      expect(took).toBeLessThan(12_000);
    },
  );
});

describe.skipIf(!s3Server)('in native mode', () => {
  test('the proxy gets the store’s variables, and our directory as its own', async ({ s3 }) => {
    const record = join(s3.root, 'record');
    const home = await s3.home('laptop', { proxy: await script(s3, `env > ${record}`) });
    await done(run(home, 'start', [], { env: { CLIPROXY_STORE_MODE: 'native' } }));
    const lines = (await readFile(record, 'utf8'))
      .split('\n')
      .map((line) => /^([^=]*)=(.*)$/.exec(line) ?? []);
    expect(Object.fromEntries(lines.map(([, name = '', value]) => [name, value]))).toMatchObject({
      OBJECTSTORE_ENDPOINT: s3.settings.endpoint,
      OBJECTSTORE_BUCKET: s3.settings.bucket,
      OBJECTSTORE_SECRET_KEY: s3.settings.secretKey,
      OBJECTSTORE_LOCAL_PATH: home.proxyHome,
    });
  });
});

describe('the wrapper', () => {
  test.skipIf(!s3Server)(
    'installed as `cliproxyapi`, finds the real one behind it, and a login is in the bucket when it ends',
    async ({ s3 }) => {
      const home = await s3.home('laptop', { proxy: '' });
      const [ours, theirs] = [join(s3.root, 'ours'), join(s3.root, 'theirs')];
      await put(ours, {});
      await mkdir(ours);
      await symlink(bundlePath('wrapper'), join(ours, 'cliproxyapi'));
      await put(theirs, { cliproxyapi: await readFile(STAND_IN_PROXY) });
      await chmod(join(theirs, 'cliproxyapi'), 0o755);
      const env = { PATH: [ours, theirs, dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter) };

      const ended = decent(await command(home, ['sh', '-c', 'cliproxyapi -claude-login'], { env }));
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      expect(ended.stdout).toMatch(/Saving credentials/);
      const files = held(home.authDir);
      expect(Object.keys(files)).toEqual(['claude-me@example.com.json']);
      expect(await stored(s3.store, 'auths/')).toEqual(files);
      expect(await stored(s3.store, 'backup/auths/')).toEqual(files);
    },
  );

  test('brings what the store has before the proxy runs, and what the proxy made after it', async ({
    world,
  }) => {
    const server = await world.home('server');
    await put(server.authDir, credentials('a'));
    await done(run(server, 'backup'));
    const laptop = await world.home('laptop', {
      proxy: await script(
        world,
        `ls "$HOME/.cli-proxy-api/objectstore/auths"; cp "$NEW" "$HOME/.cli-proxy-api/objectstore/auths/b.json"; exit 5`,
      ),
    });
    await put(world.root, { new: credential('b') });
    const ended = await run(laptop, 'wrapper', ['-login'], { env: { NEW: join(world.root, 'new') } });
    expect(ended).toMatchObject({ code: 5, stdout: 'a.json\n' });
    expect(Object.keys(await stored(world.store, 'auths/'))).toEqual(['a.json', 'b.json']);
  });

  test('a login that fails, with exit code 0 as the proxy has it, changes nothing', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    const before = [await tree(home.authDir), await world.store.fingerprint()];
    const { stderr } = await done(
      run(home, 'wrapper', ['-claude-login'], { env: { STAND_IN_LOGIN: 'fail' } }),
    );
    expect(stderr).toMatch(/browser was closed/);
    expect([await tree(home.authDir), await world.store.fingerprint()]).toEqual(before);
  });

  test('a login while the store is away stays on this machine, which is said', async ({ world }) => {
    const path = join(world.root, 'not-a-directory');
    await writeFile(path, '');
    const home = await world.home('laptop', { store: { kind: 'directory', path } });
    const { code, stderr } = await run(home, 'wrapper', ['-claude-login']);
    expect(code).toBe(0);
    expect(stderr).toContain(path);
    expect(Object.keys(held(home.authDir))).toEqual(['claude-me@example.com.json']);
  });

  test('Ctrl-C ends the proxy, not the sync after it', async ({ world }) => {
    const auths = '"$HOME/.cli-proxy-api/objectstore/auths/late.json"';
    const proxy = await script(
      world,
      `trap 'cp "$NEW" ${auths}; exit 130' INT TERM
       echo ready
       n=0; while [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done`,
    );
    const home = await world.home('laptop', { proxy });
    await put(world.root, { new: credential('late') });
    const running = world.start(home, 'wrapper', [], { env: { NEW: join(world.root, 'new') } });
    await seen(running, /ready/);
    running.kill('SIGINT');
    expect(decent(await running.ended)).toMatchObject({ code: 130 });
    expect(Object.keys(await stored(world.store, 'auths/'))).toEqual(['late.json']);
  });

  test('a `.env` where it is typed has no effect', async ({ world }) => {
    const home = await world.home();
    const cwd = join(world.root, 'project');
    const trap = join(world.root, 'trap');
    await put(cwd, {
      '.env': Buffer.from(`LOCALSTORE_PATH=${trap}\nOBJECTSTORE_ENDPOINT=http://127.0.0.1:1\n`),
    });
    await done(run(home, 'wrapper', ['-claude-login'], { cwd }));
    expect(await stored(world.store, 'auths/')).toEqual(held(home.authDir));
    await expect(stat(trap)).rejects.toThrow(/ENOENT/);
  });
});

/** Waits for something in a program's output. */
async function seen(running: Running, pattern: RegExp): Promise<RegExpExecArray> {
  const until = Date.now() + 30_000;
  for (;;) {
    const match = pattern.exec(running.output());
    if (match) return match;
    if (Date.now() > until) throw new Error(`no ${pattern} in\n${running.output()}`);
    await sleep(20);
  }
}

/** Ends a stand-in proxy that serves. Asked in its first moment it has no ear for it yet, and dies of the signal. */
async function stop(running: Running): Promise<Ended> {
  running.kill('SIGTERM');
  const ended = decent(await running.ended);
  expect(ended.signal === 'SIGTERM' || ended.code === 0 || ended.code === 143, ended.stderr).toBe(true);
  return ended;
}

/** A program in the place of the proxy. */
async function script(world: World, body: string): Promise<string> {
  const path = join(world.root, 'script');
  await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

/** A server that takes connections and never says anything. */
async function blackHole(world: World): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
