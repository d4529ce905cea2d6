/** `doctor` on this machine: one broken set-up for each check, and what a person sees and types. */
import { readFileSync } from 'node:fs';
import { chmod, chown, mkdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { RunOptions } from '../support/bundle.ts';
import { onTerminal } from '../support/on-terminal.ts';
import { personAt } from '../support/person.ts';
import { diagnosed, doctor, wellHome } from './diagnosis.ts';
import {
  asNobody,
  baseOf,
  credential,
  findProgram,
  type Home,
  NOBODY,
  run,
  s3Server,
  test,
  tree,
  type World,
} from './world.ts';

const python = findProgram('python3') !== undefined;

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
    /** Whether its remedy, typed as it stands, is all that is to be done. */
    readonly typed?: boolean;
    breakIt(home: Home, world: World): Promise<RunOptions | undefined>;
  }[] = [
    {
      what: 'an env file that others may read',
      id: 'env-file',
      code: 0,
      said: /dotfiles\/\.env is open to other users/,
      remedy: /^chmod 600 \/.*\/dotfiles\/\.env$/,
      typed: true,
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
      typed: true,
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
      typed: true,
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
      typed: true,
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
      typed: true,
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
      said: /c\.json \(auth dir\) is not valid JSON/,
      remedy: /Log in again.*`mv \S*c\.json \S*c\.json\.away`$/,
      typed: true,
      async breakIt({ authDir }) {
        await writeFile(join(authDir, 'c.json'), '{"type":"cla', { mode: 0o600 });
        return undefined;
      },
    },
    {
      what: 'a link in the place of a login',
      id: 'credentials',
      code: 1,
      said: /c\.json \(auth dir\) is a symbolic link/,
      remedy: /`cp -L \S*c\.json /,
      typed: true,
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
      typed: true,
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
      typed: true,
      async breakIt({ authDir }) {
        await writeFile(join(authDir, 'A.json'), credential('A@example.com'), { mode: 0o600 });
        return undefined;
      },
    },
    {
      what: 'a login where the proxy alone keeps them',
      id: 'elsewhere',
      code: 0,
      said: /\.cli-proxy-api itself has 1 \(of-old\.json\), which nothing keeps safe/,
      remedy:
        /^Stop that proxy if it runs, then `mkdir -p -m 700 .*auths && install -m 600 .*of-old\.json .*auths && cliproxyapi-sync sync`$/,
      typed: true,
      async breakIt({ path }) {
        await writeFile(join(path, '.cli-proxy-api/of-old.json'), credential('old@example.com'));
        return undefined;
      },
    },
    {
      what: 'a state that is damaged',
      id: 'state',
      code: 0,
      said: /base\.json is damaged/,
      remedy: /^cliproxyapi-sync sync$/,
      typed: true,
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
      typed: true,
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
      typed: true,
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

  const typed = BROKEN.filter((broken) => broken.typed).map((broken) => [broken.what, broken] as const);
  test.skipIf(!python).for(typed)(
    '%s: what it says to type mends it',
    async ([, { id, breakIt }], { world }) => {
      const home = await wellHome(world);
      await breakIt(home, world);
      const { remedy } = (await doctor(home)).of(id);
      const line = /`([^`]+)`/.exec(remedy ?? '')?.[1] ?? remedy ?? '';
      const { code, shown } = await (await personAt(home)).type(line);
      // The guard says once more what it did.
      if (!/mass-deletion guard held/.test(shown)) expect(code, shown).toBe(0);
      const { status, message } = (await doctor(home)).of(id);
      expect(status, message).toMatch(/^ok$|^warning$/);
      if (status === 'warning') expect(message).toMatch(/the next run would change/);
    },
  );

  test('a store of which half is set: nothing is said of what a run would do', async ({ world }) => {
    const home = await wellHome(world);
    const env = { OBJECTSTORE_ENDPOINT: 'http://127.0.0.1:1' };
    const found = await doctor(home, [], { env });
    expect(found.failed).toEqual(['variables']);
    expect(found.of('credentials')).toMatchObject({ status: 'skipped' });
  });

  test('an env file that is a directory, or far too large, is said once, with what to type', async ({
    world,
  }) => {
    const home = await wellHome(world);
    const env = { CLIPROXY_ENV_FILE: join(home.path, 'odd') };
    await mkdir(env.CLIPROXY_ENV_FILE);
    const directory = await doctor(home, [], { env });
    expect(directory.failed).toEqual(['env-file']);
    expect(directory.of('env-file').remedy).toMatch(/`mv \S+odd \S+odd\.away`/);
    expect(directory.of('variables').message).toBe('"env file" comes first');
    await rm(env.CLIPROXY_ENV_FILE, { recursive: true });
    await writeFile(env.CLIPROXY_ENV_FILE, Buffer.alloc(2 * 1024 * 1024, 'a'), { mode: 0o600 });
    expect((await doctor(home, [], { env })).of('env-file').message).toMatch(/is larger than 1 MB/);
    const endless = await doctor(home, [], { env: { CLIPROXY_ENV_FILE: '/dev/zero' } });
    expect(endless.of('env-file').message).toMatch(/is larger than 1 MB/);
  });

  test('a file in the place of the state is a matter of configuration, said once', async ({ world }) => {
    const home = await wellHome(world);
    await rename(home.stateDir, `${home.stateDir}.x`);
    await writeFile(home.stateDir, '');
    for (const args of [['sync'], ['status'], ['history']]) {
      const { code, stderr } = await run(home, 'cliproxyapi-sync', args);
      expect(code, stderr).toBe(78);
      expect(stderr).toMatch(
        /^error: cannot use the state at .*: (ENOTDIR|EEXIST)\n .*cliproxyapi-sync doctor/,
      );
    }
    const found = await doctor(home);
    expect(found.failed).toEqual(['state-dir']);
    for (const id of ['state', 'lock', 'last-run', 'credentials'])
      expect(found.of(id).message).toBe('"state directory" comes first');
  });

  test.skipIf(!NOBODY?.length)('a state of root, after a `sudo`', async ({ world }) => {
    const home = await wellHome(world);
    await chmod(home.stateDir, 0o700);
    await chown(home.stateDir, 0, 0);
    const but = [home.stateDir];
    for (const args of [['sync'], ['status']]) {
      const { code, stderr } = await asNobody(world, home, 'cliproxyapi-sync', args, { but });
      expect(code, stderr).toBe(78);
      expect(stderr).toMatch(/^error: cannot use the state at .*: EACCES\n .*`cliproxyapi-sync doctor`/);
    }
    const args = ['doctor', '--json'];
    const found = diagnosed(await asNobody(world, home, 'cliproxyapi-sync', args, { but }));
    expect(found.failed).toEqual(['state-dir']);
    expect(found.of('state-dir').remedy).toMatch(/^sudo chown -R "\$\(id -un\)" \S+ && chmod 700 \S+$/);
  });

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

describe('for people', () => {
  test.for(['doctor', 'watch'])('%s --help explains itself with examples', async (name, { world }) => {
    const { code, stdout } = await run(await world.home(), 'cliproxyapi-sync', [name, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`\nExamples:\n  cliproxyapi-sync ${name}\n`));
    expect(stdout).toMatch(/--log-format <format>/);
  });

  test.skipIf(!python).for([
    ['in colour on a terminal', {}, true],
    ['without it where NO_COLOR says so', { NO_COLOR: '1' }, false],
  ] as const)('%s, the words are the same', async ([, env, hasColour], { world }) => {
    const home = await wellHome(world);
    await chmod(home.authDir, 0o755);
    const { shown } = await onTerminal(home, 'cliproxyapi-sync', ['doctor'], { columns: 200, env });
    expect(/\u001b\[33m! warning\u001b\[0m auth dir/.test(shown)).toBe(hasColour);
    expect(shown.replaceAll(/\u001b\[\d*m/g, '')).toMatch(/^! warning auth dir: .*\n {10}chmod 700 /m);
  });

  test('--quiet says what is wrong alone', async ({ world }) => {
    const home = await wellHome(world);
    await chmod(home.authDir, 0o755);
    const { code, stderr } = await run(home, 'cliproxyapi-sync', ['doctor', '--quiet']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^! warning auth dir: .*\n {10}chmod 700 .*\n$/);
  });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
