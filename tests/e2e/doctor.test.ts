import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { RunOptions } from '../support/bundle.ts';
import { violations } from '../support/json-schema.ts';
import {
  asNobody,
  baseOf,
  bundlePath,
  command,
  credential,
  credentials,
  done,
  type Ended,
  findProgram,
  type Home,
  NOBODY,
  put,
  run,
  s3Server,
  sync,
  test,
  tree,
  type World,
} from './world.ts';

const SCHEMA = JSON.parse(readFileSync(new URL('../../docs/doctor.schema.json', import.meta.url), 'utf8'));

interface Check {
  readonly id: string;
  readonly status: string;
  readonly message: string;
  readonly remedy: string | null;
  readonly fixable: boolean;
  readonly fixed: boolean;
}

interface Diagnosis extends Ended {
  readonly checks: readonly Check[];
  of(id: string): Check;
  /** Checks that failed, in order. */
  readonly failed: readonly string[];
  readonly warned: readonly string[];
}

async function doctor(
  home: Home,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Diagnosis> {
  return diagnosed(await run(home, 'cliproxyapi-sync', ['doctor', '--json', ...args], options));
}

function diagnosed(ended: Ended): Diagnosis {
  const document = JSON.parse(ended.stdout);
  expect(violations(SCHEMA, document)).toEqual([]);
  expect(document.exitCode).toBe(ended.code);
  const checks: readonly Check[] = document.checks;
  const ids = (status: string) => checks.filter((check) => check.status === status).map(({ id }) => id);
  return {
    ...ended,
    checks,
    of(id) {
      const check = checks.find((one) => one.id === id);
      if (!check) throw new Error(`there is no check ${id}`);
      return check;
    },
    failed: ids('failed'),
    warned: ids('warning'),
  };
}

/** A machine on which all is well: two logins in step, a config, a proxy that is not the stand-in's port. */
async function wellHome(world: World, options: Parameters<World['home']>[1] = {}): Promise<Home> {
  // A port of its own: on 8317 a developer's proxy may answer.
  const home = await world.home('laptop', { template: `port: ${await freePort()}\n`, ...options });
  await put(home.authDir, credentials('a', 'b'));
  await done(sync(home));
  return home;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test.skipIf(!s3Server)(
  'on a machine where all is well, nothing is wrong, and nothing is changed',
  async ({ s3 }) => {
    const home = await wellHome(s3, { ccs: true });
    const before = await tree(home.path, home);
    const store = await s3.store.fingerprint();
    const all = await doctor(home);
    expect(all.code, all.stdout).toBe(0);
    expect([...all.failed, ...all.warned]).toEqual([]);
    for (const id of ['store', 'store-write', 'conditions', 'clock', 'credentials', 'proxy'])
      expect(all.of(id).status, id).toBe('ok');
    expect(await tree(home.path, home)).toEqual(before);
    expect(await s3.store.fingerprint()).toBe(store);

    const { stdout, stderr, code } = await run(home, 'cliproxyapi-sync', ['doctor']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/^✓ ok {6}store: s3:\/\/.* lists 2 credentials$/m);
    expect(stderr).toMatch(/^nothing failed of \d+ checks\n$/m);
  },
);

describe('each thing that can be wrong here is found and named, with what to type', () => {
  /** What is broken, which check says so and how, and whether --fix mends it. */
  const BROKEN: readonly {
    readonly what: string;
    readonly id: string;
    readonly code: number;
    readonly said: RegExp;
    readonly remedy: RegExp;
    readonly fixed?: boolean;
    breakIt(home: Home, world: World): Promise<RunOptions | undefined>;
  }[] = [
    {
      what: 'an env file that others may read',
      id: 'env-file',
      code: 0,
      said: /dotfiles\/\.env is open to other users/,
      remedy: /^chmod 600 \/.*\/dotfiles\/\.env$/,
      fixed: true,
      async breakIt({ envFile }) {
        await chmod(envFile, 0o644);
        return undefined;
      },
    },
    {
      what: 'an env file that is named and not there',
      id: 'env-file',
      code: 78,
      said: /does not exist/,
      remedy: /CLIPROXY_ENV_FILE/,
      breakIt: async ({ path }) => ({ env: { CLIPROXY_ENV_FILE: join(path, 'none') } }),
    },
    {
      what: 'a store of which half is set',
      id: 'variables',
      code: 78,
      said: /half-configured: .*OBJECTSTORE_SECRET_KEY/,
      remedy: /Set OBJECTSTORE_BUCKET/,
      breakIt: async () => ({ env: { OBJECTSTORE_ENDPOINT: 'http://127.0.0.1:1' } }),
    },
    {
      what: 'an auth dir that others may look into',
      id: 'auth-dir',
      code: 0,
      said: /open to other users.*mode 755/,
      remedy: /^chmod 700 \//,
      fixed: true,
      async breakIt({ authDir }) {
        await chmod(authDir, 0o755);
        return undefined;
      },
    },
    {
      what: 'an auth dir that is missing',
      id: 'auth-dir',
      code: 0,
      said: /is not there/,
      remedy: /^mkdir -p -m 700 \//,
      fixed: true,
      async breakIt({ authDir }) {
        await rm(authDir, { recursive: true });
        return undefined;
      },
    },
    {
      what: 'a file in the place of the auth dir',
      id: 'auth-dir',
      code: 1,
      said: /is no directory/,
      remedy: /^mv \//,
      async breakIt({ authDir }) {
        await rm(authDir, { recursive: true });
        await writeFile(authDir, '');
        return undefined;
      },
    },
    {
      what: 'a login that others may read',
      id: 'file-rights',
      code: 0,
      said: /1 of 2 login files/,
      remedy: /^chmod 600 .*a\.json$/,
      fixed: true,
      async breakIt({ authDir }) {
        await chmod(join(authDir, 'a.json'), 0o644);
        return undefined;
      },
    },
    {
      what: 'what a killed run left',
      id: 'leftovers',
      code: 0,
      said: /left .*\.tmp/,
      remedy: /^cliproxyapi-sync sync$/,
      fixed: true,
      async breakIt({ authDir }) {
        const path = join(authDir, '.cliproxyapi-sync-0123456789abcdef.tmp');
        await writeFile(path, 'half');
        await utimes(path, 1, 1);
        return undefined;
      },
    },
    {
      what: 'a login that is cut short',
      id: 'credentials',
      code: 1,
      said: /c\.json \(auth\) is not valid JSON/,
      remedy: /Log in again.*`mv \S*c\.json \S*c\.json\.away`$/,
      async breakIt({ authDir }) {
        await writeFile(join(authDir, 'c.json'), '{"type":"cla', { mode: 0o600 });
        return undefined;
      },
    },
    {
      what: 'a link in the place of a login',
      id: 'credentials',
      code: 1,
      said: /c\.json \(auth\) is a symbolic link/,
      remedy: /`cp -L \S*c\.json /,
      async breakIt({ authDir }) {
        await symlink('a.json', join(authDir, 'c.json'));
        return undefined;
      },
    },
    {
      what: 'all logins deleted at once',
      id: 'credentials',
      code: 1,
      said: /mass-deletion guard holds: 2 of 2/,
      remedy: /^`cliproxyapi-sync sync` puts them back\. .*`cliproxyapi-sync forget a\.json b\.json`$/,
      async breakIt({ authDir }) {
        for (const name of ['a.json', 'b.json']) await rm(join(authDir, name));
        return undefined;
      },
    },
    {
      what: 'names that differ in case alone',
      id: 'twins',
      code: 0,
      said: /(a\.json and A\.json|A\.json and a\.json) differ in case alone/,
      remedy: /^cd .* && mv /,
      async breakIt({ authDir }) {
        await writeFile(join(authDir, 'A.json'), credential('A@example.com'), { mode: 0o600 });
        return undefined;
      },
    },
    {
      what: 'a state that is damaged',
      id: 'state',
      code: 0,
      said: /base\.json is damaged/,
      remedy: /^cliproxyapi-sync sync$/,
      async breakIt(home) {
        await writeFile(await baseOf(home), 'nonsense');
        return undefined;
      },
    },
    {
      what: 'a state that a newer program wrote',
      id: 'state',
      code: 1,
      said: /written by a newer cliproxyapi-sync/,
      remedy: /Update/,
      async breakIt(home) {
        await writeFile(await baseOf(home), '{"format":99}');
        return undefined;
      },
    },
    {
      what: 'the lock of a run that is gone',
      id: 'lock',
      code: 0,
      said: /gone has left it behind/,
      remedy: /doctor --fix/,
      fixed: true,
      async breakIt({ stateDir }) {
        await mkdir(join(stateDir, 'lock'));
        await utimes(join(stateDir, 'lock'), 1, 1);
        return undefined;
      },
    },
    {
      what: 'no proxy',
      id: 'proxy',
      code: 78,
      said: /does not exist/,
      remedy: /CLIPROXY_BIN/,
      breakIt: async () => ({ env: { CLIPROXY_BIN: '/none/cliproxyapi' } }),
    },
    {
      what: 'a config template that is no YAML',
      id: 'config',
      code: 78,
      said: /is not valid YAML at line 1/,
      remedy: /Correct/,
      async breakIt({ proxyHome }) {
        await writeFile(join(proxyHome, 'config.template.yaml'), 'a: [S3CR3T');
        return undefined;
      },
    },
    {
      what: 'a config with the auth dir of another one',
      id: 'config',
      code: 0,
      said: /does not name .*auths as auth-dir/,
      remedy: /cliproxyapi-sync start/,
      async breakIt({ proxyHome }) {
        await writeFile(join(proxyHome, 'config.yaml'), 'auth-dir: ~/.cli-proxy-api\n');
        return undefined;
      },
    },
    {
      what: "another program on the proxy's port",
      id: 'port',
      code: 1,
      said: /not CLIProxyAPI answers on/,
      remedy: /^`(ss -ltnp|lsof) .*` shows which program/,
      async breakIt({ proxyHome }, world) {
        const server = createServer((_, answer) => answer.end('hello'));
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        world.after(() => server.close());
        const { port } = server.address() as AddressInfo;
        await writeFile(join(proxyHome, 'config.yaml'), `server:\n  port: ${port}\n`);
        return undefined;
      },
    },
    {
      what: 'runs that have not succeeded for long',
      id: 'last-run',
      code: 0,
      said: /none has succeeded since 2026-01-01T00:00:00Z/,
      remedy: /^cliproxyapi-sync sync$/,
      async breakIt({ stateDir }) {
        const ran = { command: 'sync', time: Date.UTC(2026, 0), exitCode: 0, store: 'x' };
        const text = JSON.stringify({ format: 1, last: ran, success: ran });
        await writeFile(join(stateDir, 'last-run.json'), text);
        return undefined;
      },
    },
    {
      what: 'no store chosen',
      id: 'variables',
      code: 0,
      said: /none chooses a store/,
      remedy: /OBJECTSTORE_/,
      async breakIt({ envFile }) {
        await writeFile(envFile, readFileSync(envFile, 'utf8').replace(/^LOCALSTORE.*\n/m, ''), {
          mode: 0o600,
        });
        return undefined;
      },
    },
  ];

  test.for(BROKEN.map((broken) => [broken.what, broken] as const))(
    '%s',
    async ([, { id, code, said, remedy, fixed, breakIt }], { world }) => {
      const home = await wellHome(world);
      expect((await doctor(home)).of(id).status).toMatch(/ok|skipped/);
      const options = await breakIt(home, world);
      const found = await doctor(home, [], options);
      const check = found.of(id);
      expect({ code: found.code, status: check.status }, found.stdout).toEqual({
        code,
        status: code === 0 ? 'warning' : 'failed',
      });
      expect(check.message).toMatch(said);
      expect(check.remedy).toMatch(remedy);
      expect(check.fixable).toBe(fixed ?? false);
      if (!fixed) return;
      const mended = await doctor(home, ['--fix'], options);
      expect(mended.of(id), mended.stdout).toMatchObject({ status: 'ok', fixed: true });
      expect((await doctor(home, [], options)).of(id)).toMatchObject({ status: 'ok', fixed: false });
    },
  );

  test.skipIf(NOBODY === undefined)('directories that this user may not write', async ({ world }) => {
    const home = await wellHome(world);
    const but = NOBODY?.length ? [home.authDir] : [];
    if (!NOBODY?.length) await chmod(home.authDir, 0o500);
    const found = diagnosed(await asNobody(world, home, 'cliproxyapi-sync', ['doctor', '--json'], { but }));
    expect(found.of('auth-dir')).toMatchObject({ status: 'failed' });
    expect(found.of('auth-dir').remedy).toMatch(/^sudo chown -R /);
    expect(found.code).toBe(1);
  });

  test('the lock of a process that was killed is taken away by --fix, that of a living one is not', async ({
    world,
  }) => {
    const home = await wellHome(world);
    const holder = world.start(home, 'cliproxyapi-sync', ['watch']);
    for (let tries = 0; tries < 100 && !/sync: /.test(holder.output()); tries++) await pause(50);
    expect((await doctor(home, ['--fix'])).of('lock').status).toBe('ok');
    holder.kill('SIGTERM');
    await holder.ended;
    const lock = join(home.stateDir, 'lock');
    await mkdir(lock);
    // As it is while someone works.
    expect((await doctor(home, ['--fix'])).of('lock').message).toMatch(/under way/);
    expect((await stat(lock)).isDirectory()).toBe(true);
  });
});

describe.skipIf(!s3Server)('the way to the store', () => {
  test('a name that is not known, a port that nobody listens at: 75, the rest is looked at', async ({
    s3,
  }) => {
    const home = await wellHome(s3);
    for (const [endpoint, id] of [
      ['http://nowhere.invalid:9000', 'dns'],
      ['http://127.0.0.1:1', 'tcp'],
    ] as const) {
      const found = await doctor(home, [], { env: { OBJECTSTORE_ENDPOINT: endpoint } });
      expect(found.code, found.stdout).toBe(75);
      expect(found.failed).toContain(id);
      expect(found.failed).toContain('store');
      expect(found.of('auth-dir').status).toBe('ok');
    }
  });

  test('a server without TLS where TLS is asked for, or none of S3', async ({ s3 }) => {
    const home = await wellHome(s3);
    const endpoint = s3.settings.endpoint.replace('http:', 'https:');
    const found = await doctor(home, [], { env: { OBJECTSTORE_ENDPOINT: endpoint } });
    expect(found.of('tls')).toMatchObject({
      status: 'failed',
      remedy: expect.stringMatching(/^openssl s_client/),
    });
    expect(found.code).toBe(78);
  });

  test('a wrong key is 1, and neither key is in what is said', async ({ s3 }) => {
    const home = await wellHome(s3);
    const env = { OBJECTSTORE_SECRET_KEY: 'S3CR3T-wrong' };
    const found = await doctor(home, [], { env });
    expect(found.code, found.stdout).toBe(1);
    expect(found.of('store').message).toMatch(/signature is wrong|key/);
    expect(found.of('tcp').status).toBe('ok');
    expect(found.stdout + found.stderr).not.toContain(s3.settings.secretKey);
  });

  test('a key that may only read', async ({ s3 }) => {
    const home = await wellHome(s3);
    const reader = s3Server?.reader;
    const env = { OBJECTSTORE_ACCESS_KEY: reader?.accessKey, OBJECTSTORE_SECRET_KEY: reader?.secretKey };
    const found = await doctor(home, [], { env });
    expect(found.of('store').status).toBe('ok');
    expect(found.of('store-write').message).toMatch(/no right/);
    expect(found.code).toBe(1);
  });

  test('a bucket that is not there yet is a warning', async ({ s3 }) => {
    const home = await s3.home();
    const found = await doctor(home);
    expect(found.of('store')).toMatchObject({ status: 'warning', remedy: 'cliproxyapi-sync sync' });
    expect(found.code).toBe(0);
    expect(found.of('store-write').status).toBe('skipped');
  });

  test('a provider that ignores conditions', async ({ s3 }) => {
    const home = await wellHome(s3, { store: s3.throughNetwork });
    s3.network.spoil(() => ({ kind: 'ignore-conditions' }));
    const found = await doctor(home);
    expect(found.of('conditions')).toMatchObject({ status: 'warning' });
    expect(found.of('conditions').message).toMatch(/ignores conditions on writes/);
  });

  test.for([
    [120, 'warning', 0],
    [-3000, 'failed', 1],
  ] as const)('a clock that is off by %i s', async ([seconds, status, code], { s3 }) => {
    const home = await wellHome(s3, { store: s3.throughNetwork });
    s3.network.spoil(({ kind, bucket }) =>
      kind === 'BUCKET' && bucket === ''
        ? {
            kind: 'answer',
            status: 403,
            headers: { date: new Date(Date.now() + seconds * 1000).toUTCString() },
          }
        : undefined,
    );
    const found = await doctor(home);
    expect(found.of('clock').status).toBe(status);
    expect(found.of('clock').message).toMatch(
      seconds > 0 ? /(119|120|121) s behind/ : /(2999|3000|3001) s ahead of/,
    );
    expect(found.of('clock').remedy).toMatch(/timedatectl|sntp/);
    expect(found.code).toBe(code);
  });

  test('a store that never answers holds it up for a bounded time', async ({ s3 }) => {
    const home = await wellHome(s3, { store: s3.throughNetwork });
    s3.network.spoil(() => ({ kind: 'silence' }));
    const from = Date.now();
    const found = await doctor(home, [], { timeoutMs: 100_000 });
    expect(Date.now() - from).toBeLessThan(60_000);
    expect(found.code).toBe(75);
    expect(found.of('state').status).toBe('ok');
  });
});

describe('for people', () => {
  test.for(['doctor', 'watch'])('%s --help explains itself with examples', async (name, { world }) => {
    const { code, stdout } = await run(await world.home(), 'cliproxyapi-sync', [name, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`\nExamples:\n  cliproxyapi-sync ${name}\n`));
    expect(stdout).toMatch(/--log-format <format>/);
  });

  const scriptProgram = findProgram('script');
  test.skipIf(scriptProgram === undefined).for([
    ['in colour on a terminal', {}, true],
    ['without it where NO_COLOR says so', { NO_COLOR: '1' }, false],
  ] as const)('%s, the words are the same', async ([, env, hasColour], { world }) => {
    const home = await wellHome(world);
    await chmod(home.authDir, 0o755);
    const typed = `'${process.execPath}' '${bundlePath('cliproxyapi-sync')}' doctor`;
    const shown = await onTerminal(scriptProgram ?? '', typed, { ...home.env, TERM: 'xterm', ...env });
    expect(/\u001b\[33m! warning\u001b\[0m auth dir/.test(shown)).toBe(hasColour);
    expect(shown.replaceAll(/\u001b\[\d*m/g, '')).toMatch(/^! warning auth dir: .*\r?\n {10}chmod 700 /m);
  });

  test('--quiet says what is wrong alone', async ({ world }) => {
    const home = await wellHome(world);
    await chmod(home.authDir, 0o755);
    const { code, stderr } = await run(home, 'cliproxyapi-sync', ['doctor', '--quiet']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^! warning auth dir: .*\n {10}chmod 700 .*\n$/);
  });

  test('what is typed as the remedy is what mends it', async ({ world }) => {
    const home = await wellHome(world);
    await rm(home.authDir, { recursive: true });
    const remedy = (await doctor(home)).of('auth-dir').remedy ?? '';
    await done(command(home, ['sh', '-c', remedy]));
    expect((await doctor(home)).of('auth-dir').status).toBe('ok');
    expect(await readdir(home.authDir)).toEqual([]);
  });
});

function onTerminal(program: string, typed: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['-qefc', typed, '/dev/null'], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.once('error', reject);
    child.once('close', () => resolve(text));
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
