import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type BundleName,
  type Ended,
  type Home,
  runBundle,
  STAND_IN_PROXY,
  startBundle,
  startProgram,
} from '../support/bundle.ts';
import type { Narrator } from './narrator.ts';
import { importServiceAccount } from './service-account.ts';
import type { World } from './world.ts';

export interface Check {
  readonly text: string;
  readonly ok: boolean;
}

const CLAUDE = 'claude-me@example.com.json';
const CODEX = 'codex-me@example.com.json';
const ANTIGRAVITY = 'antigravity-me@example.com.json';

/**
 * Plays it all.
 *
 * @returns What was found true or not, in the order of the story; what is about the end is looked up at the end.
 */
export async function tell(world: World, say: Narrator): Promise<readonly Check[]> {
  const { laptop, server, store, network } = world;
  const checks: Check[] = [];
  const check = (text: string, ok: boolean) => checks.push({ text, ok });

  await introduce(world, say);
  const names = await logIn();
  await hydrate();
  await rotate();
  await conflict();
  await deletion();
  await massDeletion();
  await crash();
  await atTheEnd();
  return checks;

  async function logIn(): Promise<string[]> {
    say.step('A login on the laptop');
    say.text(
      'CLIProxyAPI keeps each login as a JSON file, a "credential", in ~/.cli-proxy-api/objectstore/auths. ' +
        "Our `cliproxyapi` is a wrapper: it syncs, runs the proxy's own program with the same arguments, and syncs again.",
    );
    const first =
      world.realProxy === undefined ? await standInLogin() : await importServiceAccount(world, run);
    say.text('Three more logins of other providers, the same way.');
    for (const flag of [
      '-codex-login',
      '-antigravity-login',
      '-xai-login',
      ...(first === CLAUDE ? [] : ['-claude-login']),
    ]) {
      await quietly('wrapper', [flag], laptop, { CLIPROXY_BIN: STAND_IN_PROXY });
    }
    say.text(
      'The proxy serves a request and adds a device id to the Claude login. A watch on the directory then runs `backup`:',
    );
    await proxy(laptop, '-request', CLAUDE);
    await run('backup', [], laptop);
    const local = await credentials(laptop);
    say.seen(`store: ${(await store.keys('auths/')).join(', ')}, and the same under backup/auths/`);
    check('a login on the laptop is in the store, byte for byte', await sameInStore(first, 'auths/'));
    check('and in the backup copy', await sameInStore(first, 'backup/auths/'));
    check('so is what the proxy added later', await sameInStore(CLAUDE, 'auths/'));
    return local;
  }

  async function standInLogin(): Promise<string> {
    await run('wrapper', ['-claude-login'], laptop);
    return CLAUDE;
  }

  async function hydrate(): Promise<void> {
    say.step('The server gets all logins');
    say.text(
      'A new machine starts with an empty directory. `hydrate` fills it and writes nothing to the store.',
    );
    await run('hydrate', [], server);
    const modes = await Promise.all(
      names.map(async (name) => (await stat(fileOf(server, name))).mode & 0o777),
    );
    say.seen(`server: ${(await credentials(server)).join(', ')}`);
    check('the server has every login, byte for byte', await sameOnBoth(names));
    check(
      'readable by its user alone (mode 0600)',
      modes.every((mode) => mode === 0o600),
    );
    say.text(
      "`start` syncs, renders config.yaml and becomes the proxy, which sees none of the store's keys:",
    );
    await serve();
  }

  async function serve(): Promise<void> {
    say.command('server', 'start');
    const running = world.watch(startBundle('start', [], server));
    const until = Date.now() + 20_000;
    // "clients" is how the real one counts what it loaded.
    const ready = () => /\bserving\b|server started|\bclients\b/i.test(running.output());
    while (!ready() && Date.now() < until) await sleep(20);
    const up = ready();
    running.kill('SIGTERM');
    const { code } = await running.ended;
    say.output(lastLines(running.output(), 4));
    check('the proxy on the server started with them, and a SIGTERM ended it', up && code === 0);
  }

  async function rotate(): Promise<void> {
    say.step('A refreshed token goes over');
    say.text(
      'The proxy refreshes tokens by itself, in place, and a new token is as long as the old one. Here the file ' +
        'even keeps its time. (`aws s3 sync` compares size and time, and would skip it.)',
    );
    const path = fileOf(laptop, CLAUDE);
    const before = { text: await readFile(path, 'utf8'), stats: await stat(path) };
    await proxy(laptop, '-refresh', CLAUDE);
    await utimes(path, before.stats.atime, before.stats.mtime);
    const after = { text: await readFile(path, 'utf8'), stats: await stat(path) };
    say.seen(
      `laptop: ${CLAUDE} has ${after.stats.size} bytes, as before, of ${clock(after.stats.mtime)}, as before, ` +
        `and the refresh token ${ending(after.text)} instead of ${ending(before.text)}`,
    );
    await run('backup', [], laptop);
    say.text('On the server a timer runs `sync` every five minutes:');
    await run('cliproxyapi-sync', ['sync'], server);
    const there = await readFile(fileOf(server, CLAUDE), 'utf8');
    say.seen(`server: the refresh token is ${ending(there)}`);
    const alike =
      before.stats.size === after.stats.size &&
      Math.floor(before.stats.mtimeMs / 1000) === Math.floor(after.stats.mtimeMs / 1000);
    check(
      'a token of the same size and in the same second went over',
      alike && there === after.text && there !== before.text,
    );
  }

  async function conflict(): Promise<void> {
    say.step('Both refresh at once');
    say.text(
      'Both machines refresh the same login while they do not see each other: the laptop first, the server a moment later.',
    );
    await proxy(laptop, '-refresh', CLAUDE);
    // `last_refresh` has whole seconds.
    await sleep(1100);
    await proxy(server, '-refresh', CLAUDE);
    const older = await readFile(fileOf(laptop, CLAUDE), 'utf8');
    const fresher = await readFile(fileOf(server, CLAUDE), 'utf8');
    say.seen(`laptop: refresh token ${ending(older)}; server, fresher: ${ending(fresher)}`);
    await run('backup', [], server);
    await run('backup', [], laptop);
    const kept = await history(CLAUDE);
    const loser = kept.find(({ text }) => refreshToken(text) === refreshToken(older));
    say.seen(
      `both have ${ending(await readFile(fileOf(laptop, CLAUDE), 'utf8'))}; the other one is ${loser?.key.slice(0, 60) ?? 'LOST'}...`,
    );
    const fresherEverywhere = (
      await Promise.all([laptop, server].map((home) => readFile(fileOf(home, CLAUDE), 'utf8')))
    )
      .concat((await inStore(`auths/${CLAUDE}`)) ?? '')
      .every((text) => refreshToken(text) === refreshToken(fresher));
    check('of two refreshes at once the fresher is everywhere', fresherEverywhere);
    check("and the other is in the store's history", loser !== undefined);
  }

  async function deletion(): Promise<void> {
    say.step('A deletion stays one');
    say.text('The Codex account goes. The server is off meanwhile, and comes back with the old file.');
    const deleted = await readFile(fileOf(laptop, CODEX), 'utf8');
    say.command('laptop', `rm ~/.cli-proxy-api/objectstore/auths/${CODEX}`);
    await rm(fileOf(laptop, CODEX));
    await run('backup', [], laptop);
    const isOld = (await readFile(fileOf(server, CODEX), 'utf8')) === deleted;
    await run('cliproxyapi-sync', ['sync'], server);
    const left = [...(await credentials(laptop)), ...(await credentials(server))].includes(CODEX);
    say.seen(`server: ${(await credentials(server)).join(', ')}`);
    check('a deleted login is gone from both machines, though one came back with it', isOld && !left);
    check(
      'it is still in history, for a change of mind',
      (await history(CODEX)).some(({ text }) => text === deleted),
    );
  }

  async function massDeletion(): Promise<void> {
    say.step('Not everything at once');
    say.text('A script, a disk that is not mounted, a wrong click: the directory is suddenly empty.');
    const before = await credentials(laptop);
    say.command('laptop', 'rm ~/.cli-proxy-api/objectstore/auths/*.json');
    for (const name of before) await rm(fileOf(laptop, name));
    const { code } = await run('backup', [], laptop);
    const back = await credentials(laptop);
    say.seen(`exit code ${code}; laptop: ${back.join(', ')}`);
    check('the mass-deletion guard refused, with exit code 1', code === 1);
    check('and put every file back', back.join() === before.join() && (await sameOnBoth(before)));
  }

  async function crash(): Promise<void> {
    const name = ANTIGRAVITY;
    say.step('A crash in the middle');
    await proxy(laptop, '-refresh', name);
    const fresh = await readFile(fileOf(laptop, name), 'utf8');
    let ended: Ended;
    if (network) {
      say.text(
        'A token is refreshed. In the middle of its upload the connection hangs, and the run is killed (kill -9):',
      );
      say.command('laptop', 'backup');
      const running = world.watch(startBundle('backup', [], laptop));
      network.spoil(({ kind, key }) => {
        if (kind !== 'PUT' || key !== `backup/auths/${name}`) return undefined;
        running.kill('SIGKILL');
        return { kind: 'silence' };
      });
      ended = await running.ended;
      network.spoil(() => undefined);
    } else {
      say.text('A token is refreshed. In the middle of its upload the run is killed (kill -9):');
      say.command('laptop', 'backup');
      const killer = fileURLToPath(new URL('./kill-before-rename.cjs', import.meta.url));
      const env = { NODE_OPTIONS: `--require=${killer}`, KILL_BEFORE_RENAME: `backup/auths/${name}` };
      ended = await startBundle('backup', [], laptop, { env }).ended;
    }
    say.output(`${ended.stderr}\nKilled`);
    const half = { current: await inStore(`auths/${name}`), backup: await inStore(`backup/auths/${name}`) };
    say.seen(
      `store: auths/${name} has the new token ${ending(half.current)}, the backup copy the old one ${ending(half.backup)}; no half file anywhere`,
    );
    check(
      'a run was killed between the store and its backup copy',
      ended.signal === 'SIGKILL' && half.current === fresh && half.backup !== fresh,
    );
    check(
      'and left whole files only',
      isCredential(half.current) && isCredential(half.backup) && (await sameOnDisk(laptop, name, fresh)),
    );
    say.text('Nothing to repair, no lock to remove: the next run goes on.');
    const { code } = await run('backup', [], laptop);
    await run('cliproxyapi-sync', ['sync'], server);
    say.seen(
      `backup copy: ${ending(await inStore(`backup/auths/${name}`))}; server: ${ending(await readFile(fileOf(server, name), 'utf8'))}`,
    );
    const everywhere = [await inStore(`auths/${name}`), await inStore(`backup/auths/${name}`)].every(
      (text) => text === fresh,
    );
    check(
      'the next run finished it, on both machines',
      code === 0 && everywhere && (await sameOnDisk(server, name, fresh)),
    );
  }

  async function atTheEnd(): Promise<void> {
    say.step('In step');
    say.text(
      'When all is in step, a run changes nothing, so the watch on the directory does not go round in circles:',
    );
    const before = await everything();
    await run('cliproxyapi-sync', ['sync'], laptop);
    await run('cliproxyapi-sync', ['sync'], server);
    check(
      'a run with nothing to do changes nothing, on disk or in the store',
      (await everything()) === before,
    );
    const left = names.filter((name) => name !== CODEX);
    const inStoreNow = (
      await Promise.all(
        left.flatMap((name) => [sameInStore(name, 'auths/'), sameInStore(name, 'backup/auths/')]),
      )
    ).every(Boolean);
    check(
      `at the end laptop, server, store and backup copy hold the same ${left.length} logins`,
      inStoreNow && (await sameOnBoth(left)),
    );
    const gone = [...(await store.keys('auths/')), ...(await store.keys('backup/auths/'))].every(
      (key) => !key.endsWith(CODEX),
    );
    check(
      'and not the deleted one, whose tombstone is there',
      gone && (await store.keys('sync/tombstones/')).some((key) => key.includes(CODEX)),
    );
  }

  /** Runs one of our programs, as one would type it. */
  async function run(program: BundleName, args: readonly string[], home: Home): Promise<Ended> {
    say.command(home.name, [program === 'wrapper' ? 'cliproxyapi' : program, ...args].join(' '));
    const running = world.watch(startBundle(program, args, home));
    const ended = await running.ended;
    say.output(running.output());
    return ended;
  }

  async function quietly(
    program: BundleName,
    args: readonly string[],
    home: Home,
    env: Record<string, string>,
  ): Promise<void> {
    const { code, stderr } = await runBundle(program, args, home, { env });
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stderr}`);
  }

  /** What the proxy does by itself while it serves. */
  async function proxy(home: Home, flag: string, name: string): Promise<void> {
    const args = [STAND_IN_PROXY, '-config', join(home.proxyHome, 'config.yaml'), flag, name];
    const { code, stderr } = await startProgram(process.execPath, args, home).ended;
    if (code !== 0) throw new Error(`the proxy's ${flag} ended with ${code}: ${stderr}`);
  }

  async function inStore(key: string): Promise<string | undefined> {
    return (await store.read(key))?.toString();
  }

  async function sameInStore(name: string, prefix: string): Promise<boolean> {
    return sameOnDisk(laptop, name, await inStore(prefix + name));
  }

  async function sameOnBoth(expected: readonly string[]): Promise<boolean> {
    const lists = await Promise.all([credentials(laptop), credentials(server)]);
    if (!lists.every((list) => list.join() === [...expected].sort().join())) return false;
    const pairs = expected.map(async (name) =>
      sameOnDisk(server, name, await readFile(fileOf(laptop, name), 'utf8')),
    );
    return (await Promise.all(pairs)).every(Boolean);
  }

  async function history(name: string): Promise<{ readonly key: string; readonly text: string }[]> {
    const keys = await store.keys(`sync/history/${name}/`);
    return Promise.all(keys.map(async (key) => ({ key, text: (await inStore(key)) ?? '' })));
  }

  /** Contents of the store, and of both directories with their times. */
  async function everything(): Promise<string> {
    const stored = (await store.keys('')).map(async (key) => [key, await inStore(key)]);
    const local = [laptop, server]
      .flatMap((home) => [home.authDir, home.proxyHome])
      .map(async (directory) => {
        const names = await readdir(directory);
        const times = names.map(async (name) => [name, (await stat(join(directory, name))).mtimeMs]);
        return [directory, (await stat(directory)).mtimeMs, await Promise.all(times)];
      });
    return JSON.stringify([await Promise.all(stored), await Promise.all(local)]);
  }
}

async function introduce({ network, realProxy }: World, say: Narrator): Promise<void> {
  say.text(
    network
      ? 'The store between them is a bucket of a real S3 server (SeaweedFS), just started here. The laptop has an ' +
          'address of its own for it, at which this demo can cut the line.'
      : 'The store between them is a shared directory instead of S3, since SeaweedFS is not installed (Python 3 with venv is missing).',
  );
  say.text(
    realProxy === undefined
      ? 'In place of CLIProxyAPI runs a stand-in that treats files as it does; CLIPROXY_BIN=/path/to/cliproxyapi takes the real one.'
      : `The proxy is ${realProxy}. Logins that need a browser, and refreshes, are made by a stand-in.`,
  );
  say.text(
    'All commands are the real programs (ts/dist/*.mjs), each a process with a HOME of its own; settings are in ~/dotfiles/.env.',
  );
}

function fileOf(home: Home, name: string): string {
  return join(home.authDir, name);
}

async function credentials(home: Home): Promise<string[]> {
  return (await readdir(home.authDir)).filter((name) => name.endsWith('.json')).sort();
}

async function sameOnDisk(home: Home, name: string, text: string | undefined): Promise<boolean> {
  return text !== undefined && (await readFile(fileOf(home, name), 'utf8')) === text;
}

function refreshToken(text: string | undefined): string {
  const content: unknown = text === undefined ? undefined : JSON.parse(text);
  if (typeof content !== 'object' || content === null || !('refresh_token' in content)) return '';
  return typeof content.refresh_token === 'string' ? content.refresh_token : '';
}

/** As much of a token as tells it from another. */
function ending(text: string | undefined): string {
  return `...${refreshToken(text).slice(-6)}`;
}

function isCredential(text: string | undefined): boolean {
  return refreshToken(text) !== '';
}

function clock(time: Date): string {
  return time.toISOString().slice(11, 19);
}

function lastLines(text: string, count: number): string {
  return text.trim().split('\n').slice(-count).join('\n');
}
