/**
 * From a symptom to a machine that works, by what the programs print alone: each case breaks something, and somebody
 * who knows no more than the README types what `status` (or what failed) says, until it ends with 0.
 *
 * `make test` tries the likeliest; SYMPTOMS=all tries all.
 */
import { chmod, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { startProgram } from '../support/bundle.ts';
import { personAt, setVariable } from '../support/person.ts';
import { freePort } from '../support/programs.ts';
import {
  command,
  credential,
  credentials,
  done,
  type Home,
  held,
  NOBODY,
  put,
  type S3World,
  s3Server,
  stored,
  sync,
  test,
  type World,
} from './world.ts';

const VARIABLES = (s3: S3World) => ({
  OBJECTSTORE_ENDPOINT: s3.settings.endpoint,
  OBJECTSTORE_BUCKET: s3.settings.bucket,
  OBJECTSTORE_ACCESS_KEY: s3.settings.accessKey,
  OBJECTSTORE_SECRET_KEY: s3.settings.secretKey,
});

/** A machine that worked until now: three logins, in step. */
async function worked(world: World): Promise<Home> {
  const home = await world.home('laptop', { ccs: true });
  await put(home.authDir, credentials('a', 'b', 'c'));
  await done(sync(home));
  return home;
}

/** Those that take their time beside the likeliest. */
const rarer = test.skipIf(process.env.SYMPTOMS !== 'all');

/** Whether this user may mount: root in most places. */
const canMount = process.platform === 'linux' && process.getuid?.() === 0;

const CLOCK = support('shifted-clock.cjs');
const SIGNALLED = support('signal-in-lock.cjs');

function support(name: string): string {
  return fileURLToPath(new URL(`../support/${name}`, import.meta.url));
}

describe.skipIf(!s3Server)('the way to the store', () => {
  test('a secret key that is wrong', async ({ s3 }) => {
    const home = await worked(s3);
    await setVariable(home.envFile, 'OBJECTSTORE_SECRET_KEY', 'S3CR3T-wrong');
    const person = await personAt(home, { knows: VARIABLES(s3) });
    expect(await person.follow()).toEqual(['OBJECTSTORE_SECRET_KEY=']);
  });

  rarer.for([
    ['an access key that is not known', { OBJECTSTORE_ACCESS_KEY: 'nobody' }],
    ['an endpoint where nothing listens', { OBJECTSTORE_ENDPOINT: 'http://127.0.0.1:1' }],
    ['a host that is not known', { OBJECTSTORE_ENDPOINT: 'http://nowhere.invalid:9000' }],
    ['TLS where there is none', { OBJECTSTORE_ENDPOINT: 'https' }],
    ['an endpoint that is none', { OBJECTSTORE_ENDPOINT: 'ftp://nowhere.invalid' }],
    ['a key that is missing', { OBJECTSTORE_SECRET_KEY: '' }],
    ['another bucket', { OBJECTSTORE_BUCKET: '..' }],
  ] as const)('%s', async ([, wrong], { s3 }) => {
    const home = await worked(s3);
    const endpoint = s3.settings.endpoint.replace('http:', 'https:');
    for (const [name, value] of Object.entries(wrong))
      await setVariable(home.envFile, name, value === 'https' ? endpoint : value);
    const person = await personAt(home, { knows: VARIABLES(s3) });
    expect(await person.follow()).toEqual(Object.keys(wrong).map((name) => `${name}=`));
  });

  test('a clock that is hours off', async ({ s3 }) => {
    const home = await worked(s3);
    const offset = join(home.path, 'offset');
    await writeFile(offset, String(-5 * 3600_000));
    const person = await personAt(home, {
      env: { CLOCK_OFFSET_FILE: offset, NODE_OPTIONS: `--require=${CLOCK}` },
      machine: { timedatectl: `[ "$*" = 'set-ntp true' ] && echo 0 > '${offset}'` },
    });
    expect(await person.follow()).toEqual(['sudo timedatectl set-ntp true']);
  });
});

describe('on this machine', () => {
  test('a login that somebody deleted', async ({ world }) => {
    const home = await worked(world);
    await rm(join(home.authDir, 'a.json'));
    await done(sync(home));
    const person = await personAt(home);
    expect(await person.follow('cliproxyapi-sync status', (shown) => !/deleted/.test(shown))).toEqual([
      'cliproxyapi-sync restore --deleted a.json',
    ]);
    expect(Object.keys(held(home.authDir))).toEqual(['a.json', 'b.json', 'c.json']);
  });

  test('all logins gone at once', async ({ world }) => {
    const home = await worked(world);
    for (const name of ['a', 'b', 'c']) await rm(join(home.authDir, `${name}.json`));
    const person = await personAt(home);
    expect(await person.follow()).toEqual(['cliproxyapi-sync sync']);
    expect(Object.keys(held(home.authDir))).toEqual(['a.json', 'b.json', 'c.json']);
  });

  rarer('an env file that is named and missing', async ({ world }) => {
    const home = await worked(world);
    await rm(home.envFile);
    const person = await personAt(home, {
      knows: { LOCALSTORE_PATH: join(world.root, 'store') },
      env: { CLIPROXY_ENV_FILE: home.envFile },
    });
    expect(await person.follow()).toEqual(['LOCALSTORE_PATH=']);
  });

  test('an env file that is gone', async ({ world }) => {
    const home = await worked(world);
    await rm(home.envFile);
    const person = await personAt(home, { knows: { LOCALSTORE_PATH: join(world.root, 'store') } });
    expect(await person.follow()).toEqual(['LOCALSTORE_PATH=']);
  });

  test('a store on a share that is not mounted', async ({ world }) => {
    const home = await worked(world);
    const store = join(world.root, 'store');
    await rename(store, `${store}.away`);
    const mount = () => rename(`${store}.away`, store).catch(() => undefined);
    const person = await personAt(home, { hands: [[/mount that first/, mount]] });
    const isWell = (shown: string) => /all in step/.test(shown);
    await person.follow('cliproxyapi-sync status', isWell);
    expect(Object.keys(await stored(world.store, 'sync/history/')).length).toBeGreaterThan(0);
    expect((await sync(home)).stderr).toMatch(/all in step/);
  });

  test('a store that somebody emptied', async ({ world }) => {
    const home = await worked(world);
    await rm(join(world.root, 'store'), { recursive: true });
    const person = await personAt(home);
    expect(await person.follow()).toEqual(['cliproxyapi-sync sync']);
    expect(Object.keys(await stored(world.store, 'auths/'))).toHaveLength(3);
    expect(Object.keys(held(home.authDir))).toHaveLength(3);
  });

  test('a login that was cut short', async ({ world }) => {
    const home = await worked(world);
    const file = join(home.authDir, 'a.json');
    await writeFile(file, '{"type":"cla');
    const person = await personAt(home, { hands: [[/Wait a minute/, () => utimes(file, 1, 1)]] });
    expect(await person.follow('cliproxyapi-sync status', (shown) => /all in step/.test(shown))).toEqual([
      'cliproxyapi-sync sync',
    ]);
  });

  rarer('a new login that was cut short', async ({ world }) => {
    const home = await worked(world);
    await writeFile(join(home.authDir, 'd.json'), '{"type":"cla');
    const person = await personAt(home);
    expect(await person.follow()).toEqual([`mv ${home.authDir}/d.json ${home.authDir}/d.json.away`]);
  });

  rarer('a link in the place of a login', async ({ world }) => {
    const home = await worked(world);
    await rename(join(home.authDir, 'a.json'), join(home.path, 'a'));
    await symlink(join(home.path, 'a'), join(home.authDir, 'a.json'));
    const person = await personAt(home);
    expect(await person.follow()).toEqual([expect.stringMatching(/^cp -L .* && mv -f /)]);
  });

  test.for([
    ['a folder', 'mkdir', 'rmdir PATH'],
    ['a named pipe', 'mkfifo', 'mv PATH PATH.away'],
  ] as const)('%s in the place of a login', async ([, make, remedy], { world }) => {
    const home = await worked(world);
    const path = join(home.authDir, 'a.json');
    await rm(path);
    await done(command(home, [make, path]));
    const person = await personAt(home);
    expect(await person.follow()).toEqual([
      `${remedy.replaceAll('PATH', path)} && cliproxyapi-sync restore a.json`,
    ]);
    expect(Object.keys(held(home.authDir))).toEqual(['a.json', 'b.json', 'c.json']);
  });

  rarer('a conflict', async ({ world }) => {
    const home = await worked(world);
    const server = await world.home('server');
    await done(sync(server));
    await put(server.authDir, { 'a.json': credential('a@example.com', 5) });
    await done(sync(server));
    await put(home.authDir, { 'a.json': credential('a@example.com', 7) });
    const person = await personAt(home);
    expect(await person.follow('cliproxyapi-sync status', (shown) => /all in step/.test(shown))).toEqual([
      'cliproxyapi-sync sync',
    ]);
  });

  rarer('a file in the place of the auth dir', async ({ world }) => {
    const home = await worked(world);
    await rm(home.authDir, { recursive: true });
    await writeFile(home.authDir, '');
    const person = await personAt(home);
    expect(await person.follow()).toEqual([
      'cliproxyapi-sync doctor',
      `mv ${home.authDir} ${home.authDir}.away`,
    ]);
  });

  test.skipIf(!NOBODY?.length)('an auth dir that may only be read', async ({ world }) => {
    const home = await worked(world);
    await put(home.authDir, { 'd.json': credential('d@example.com') });
    const person = await personAt(home, { as: NOBODY ?? [] });
    await done(command(home, ['chown', '-R', '65534:65534', world.root]));
    await chmod(home.authDir, 0o500);
    await chmod(home.ccsDir, 0o500);
    expect(await person.follow('cliproxyapi-sync sync')).toEqual([
      'cliproxyapi-sync doctor',
      ...[home.authDir, home.ccsDir].map((path) => `sudo chown -R "$(id -un)" ${path} && chmod 700 ${path}`),
    ]);
    expect(Object.keys(held(home.ccsDir))).toContain('d.json');
  });

  rarer('a port that another program has', async ({ world }) => {
    const home = await worked(world);
    const port = await freePort();
    const other = startProgram(
      process.execPath,
      ['-e', `require('http').createServer((_, a) => a.end('hello')).listen(${port}, '127.0.0.1')`],
      home,
    );
    world.after(() => other.kill('SIGKILL'));
    await writeFile(join(home.proxyHome, 'config.yaml'), `port: ${port}\nauth-dir: ${home.authDir}\n`);
    await expect
      .poll(() => fetch(`http://127.0.0.1:${port}/`).then(({ status }) => status, String))
      .toBe(200);
    const person = await personAt(home, {
      hands: [[/pid=(\d+)/, ([, pid]) => process.kill(Number(pid))]],
    });
    await person.follow('cliproxyapi-sync doctor');
    await expect(other.ended).resolves.toMatchObject({ signal: 'SIGTERM' });
  });

  test.skipIf(!canMount)('a disk that is full', async ({ world }) => {
    const home = await worked(world);
    await done(command(home, ['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', home.stateDir]));
    world.after(() => command(home, ['umount', home.stateDir]));
    await done(sync(home));
    await put(home.authDir, { 'd.json': credential('d@example.com') });
    await command(home, ['sh', '-c', `cat /dev/zero > '${home.stateDir}/ballast'`]);
    const person = await personAt(home, {
      hands: [[/[Mm]ake room|[Ff]ree some space/, () => rm(join(home.stateDir, 'ballast'), { force: true })]],
    });
    await person.follow('cliproxyapi-sync sync');
    expect(held(home.stateDir)).not.toHaveProperty('ballast');
    expect(await stored(world.store, 'auths/')).toHaveProperty(['d.json']);
  });

  test('a run that was killed while it held the lock', async ({ world }) => {
    const home = await worked(world);
    // It stands in the middle of its work: another run would have to wait for it.
    await writeFile(join(home.authDir, 'd.json'), credential('d@example.com'));
    const killed = world.start(home, 'cliproxyapi-sync', ['sync'], {
      env: { NODE_OPTIONS: `--require=${SIGNALLED}`, SIGNAL_IN_LOCK: 'SIGKILL' },
    });
    await expect(killed.ended).resolves.toMatchObject({ signal: 'SIGKILL' });
    const person = await personAt(home);
    const from = Date.now();
    expect(await person.follow('cliproxyapi-sync sync')).toEqual([]);
    expect(Date.now() - from).toBeLessThan(10_000);
    expect(await person.follow()).toEqual([]);
  });
});
