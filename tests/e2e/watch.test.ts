import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { type IdleFigures, measureIdle } from '../bench/watch-idle.ts';
import { violations } from '../support/json-schema.ts';
import { server } from '../support/s3.ts';
import {
  credential,
  credentials,
  decent,
  done,
  expectInStep,
  type Home,
  held,
  KINDS,
  nodes,
  put,
  type Running,
  run,
  s3Server,
  stored,
  sync,
  test,
  texts,
  type World,
} from './world.ts';

/** Long after anything should have happened. */
const SOON_MS = 10_000;

async function until(what: string, holds: () => unknown, timeoutMs = SOON_MS): Promise<void> {
  for (const end = Date.now() + timeoutMs; !(await holds()); await pause(20))
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A watch that has got its first run behind it. */
async function watching(
  world: World,
  home: Home,
  args: readonly string[] = [],
  options: { node?: string; env?: Record<string, string> } = {},
): Promise<Running & { ends(signal?: NodeJS.Signals): Promise<void> }> {
  const running = world.start(home, 'cliproxyapi-sync', ['watch', ...args], options);
  // One that was killed in the instant between taking the lock and signing it is waited for until that is stale.
  await until('the first run', () => /sync: \d+ credential|"event":"summary"/.test(running.output()), 45_000);
  return {
    ...running,
    async ends(signal = 'SIGTERM') {
      running.kill(signal);
      const ended = decent(await running.ended);
      expect(ended, running.output()).toMatchObject({ code: 0 });
    },
  };
}

const CAN_MEASURE = process.platform === 'linux' && Boolean(s3Server);
/**
 * What a watch costs at rest: the bounded form of `make watch-idle`, long enough for V8 to have given back what the
 * first run took. While the other tests run, since that is only waiting.
 */
let resting: Promise<readonly (readonly [node: string, figures: IdleFigures])[]> | undefined;
beforeAll(() => {
  if (!CAN_MEASURE) return;
  const { endpoint, admin } = server();
  const measured = nodes('what a watch costs').map(async ([name, node]) => {
    const bucket = `watch-${randomBytes(6).toString('hex')}`;
    return [name, await measureIdle({ kind: 's3', endpoint, bucket, ...admin }, 45, { node })] as const;
  });
  resting = Promise.all(measured);
  // It is awaited below.
  resting.catch(() => undefined);
});
afterAll(async () => {
  await resting?.catch(() => undefined);
});

const isStored = (world: World, files: Readonly<Record<string, Uint8Array>>) => async () =>
  isDeepStrictEqual(await stored(world.store, 'auths/').catch(() => ({})), texts(files));
/** How often a text is in what was said. */
const times = (text: string, part: RegExp) => [...text.matchAll(new RegExp(part, 'gm'))].length;
/** Lines that tell of a change in the store. */
const uploads = ({ output }: Running) => times(output(), /^\S+\.json: wrote the store/);

describe.each(KINDS)('watch (%s)', (kind) => {
  test.override({ kind });

  test('a change in either directory is in the store within seconds, and the other way round', async ({
    world,
  }) => {
    const home = await world.home('laptop', { ccs: true });
    const other = await world.home('server');
    const watch = await watching(world, home, ['--interval', '1']);
    const files = credentials('a');
    await put(home.authDir, files);
    await until('a in the store', isStored(world, files));
    Object.assign(files, credentials('b'));
    await put(home.ccsDir, { 'b.json': files['b.json'] ?? Buffer.alloc(0) });
    await until('b in the store', isStored(world, files));

    await done(run(other, 'hydrate'));
    files['a.json'] = credential('a@example.com', 5);
    await put(other.authDir, { 'a.json': files['a.json'] });
    await done(sync(other));
    await until('what the other host wrote', () => held(home.authDir)['a.json'] === String(files['a.json']));
    await unlink(join(other.authDir, 'b.json'));
    await done(sync(other));
    await until('what the other host deleted', () => !existsSync(join(home.ccsDir, 'b.json')));
    await watch.ends();
    delete files['b.json'];
    await expectInStep(world, [home, other], files);
    expect(held(home.ccsDir)).toEqual(texts(files));
  });

  test('a burst is taken together, and each change is said once', async ({ world }) => {
    const home = await world.home();
    const watch = await watching(world, home);
    const files: Record<string, Buffer> = {};
    for (let index = 0; index < 30; index++) {
      files[`claude-${index}.json`] = credential(`${index}@example.com`);
      await put(home.authDir, { [`claude-${index}.json`]: files[`claude-${index}.json`] ?? Buffer.alloc(0) });
    }
    await until('all of them', isStored(world, files));
    await watch.ends();
    expect(uploads(watch)).toBe(30);
    await expectInStep(world, [home], files);
  });

  test('directories that are deleted, and made again, are watched, and nothing is taken for a deletion', async ({
    world,
  }) => {
    const home = await world.home('laptop', { ccs: true });
    const files = credentials('a', 'b');
    await put(home.authDir, files);
    const watch = await watching(world, home);
    for (const directory of [home.authDir, home.ccsDir]) {
      // What it puts back meanwhile may be in the way.
      await rm(directory, { recursive: true, maxRetries: 10, retryDelay: 20 });
      // Made again by hand, or by the run that follows.
      await mkdir(directory, { recursive: true });
      await until(`${directory} to be filled again`, () => existsSync(join(directory, 'b.json')));
      files['a.json'] = credential('a@example.com', directory === home.authDir ? 1 : 2);
      await put(directory, { 'a.json': files['a.json'] });
      await until('a change in the new directory', isStored(world, files));
    }
    await rename(home.authDir, `${home.authDir}-away`);
    await pause(500);
    await rm(home.authDir, { recursive: true, force: true });
    await rename(`${home.authDir}-away`, home.authDir);
    await pause(500);
    await watch.ends();
    await expectInStep(world, [home], files);
  });

  test('two at once do the work of one', async ({ world }) => {
    const home = await world.home();
    const both = [
      await watching(world, home, ['--interval', '1']),
      await watching(world, home, ['--interval', '1']),
    ];
    const files: Record<string, Buffer> = {};
    for (let minute = 0; minute < 5; minute++) {
      files['a.json'] = credential('a@example.com', minute);
      await put(home.authDir, files);
      await until('the change', isStored(world, files));
    }
    for (const each of both) await each.ends();
    // Each version once: what comes while a run is under way is taken up by it, and told with it.
    const versions = await world.store.keys('sync/history/a.json/');
    expect(versions.filter((key) => /[0-9a-f]{64}\.json$/.test(key))).toHaveLength(5);
    expect(both.map(uploads).reduce((sum, count) => sum + count)).toBeLessThanOrEqual(5);
    expect(both.map(({ output }) => times(output(), /^(error|warning):/))).toEqual([0, 0]);
    await expectInStep(world, [home], files);
  });

  test('one that is killed leaves nothing in the way of the next', async ({ world }) => {
    const home = await world.home();
    const files = credentials('a');
    await put(home.authDir, files);
    for (let minute = 1; minute <= 4; minute++) {
      const watch = await watching(world, home);
      files['a.json'] = credential('a@example.com', minute);
      await put(home.authDir, files);
      await pause(100 + 60 * minute);
      watch.kill('SIGKILL');
      await watch.ended;
    }
    const watch = await watching(world, home);
    await watch.ends();
    await expectInStep(world, [home], files);
  }, 120_000);
});

describe('a signal', () => {
  test('ends it with 0, after a change that was just made has arrived', async ({ world }) => {
    const home = await world.home();
    for (const [minute, signal] of (['SIGTERM', 'SIGINT', 'SIGHUP'] as const).entries()) {
      const watch = await watching(world, home);
      const files = { 'a.json': credential('a@example.com', minute) };
      await put(home.authDir, files);
      await pause(20);
      await watch.ends(signal);
      await expectInStep(world, [home], files);
    }
  });

  test.skipIf(!s3Server)('waits for the write that is under way; a second one does not', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    for (const isPatient of [true, false]) {
      const watch = await watching(s3, home);
      let isWriting = false;
      s3.network.spoil(({ kind, key }) => {
        if (kind !== 'PUT' || !key.startsWith('auths/')) return undefined;
        isWriting = true;
        return { kind: 'delay', ms: 1500 };
      });
      const files = { 'a.json': credential('a@example.com', isPatient ? 1 : 2) };
      await put(home.authDir, files);
      await until('the write', () => isWriting);
      const asked = Date.now();
      watch.kill('SIGTERM');
      if (!isPatient) {
        await until('the first to be heard', () => /SIGTERM/.test(watch.output()));
        watch.kill('SIGTERM');
      }
      const { code } = await watch.ended;
      s3.network.spoil(() => undefined);
      if (isPatient) {
        expect(code).toBe(0);
        expect(Date.now() - asked).toBeGreaterThan(800);
        await expectInStep(s3, [home], files);
      } else {
        expect(code).toBe(143);
        expect(Date.now() - asked).toBeLessThan(1200);
      }
    }
    await done(sync(home));
  });

  test.skipIf(!s3Server)('is not held up by a store that never answers', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    await put(home.authDir, credentials('a'));
    const watch = await watching(s3, home);
    s3.network.spoil(() => ({ kind: 'silence' }));
    await put(home.authDir, { 'a.json': credential('a@example.com', 5) });
    await pause(600);
    const asked = Date.now();
    watch.kill('SIGTERM');
    expect(await watch.ended).toMatchObject({ code: 0 });
    expect(Date.now() - asked).toBeLessThan(9_500);
  });
});

describe.skipIf(!s3Server)('an outage of the store', () => {
  test('is said once, keeps the directories in step with each other, and ends by itself', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork, ccs: true });
    const files = credentials('a');
    await put(home.authDir, files);
    const healthFile = join(home.path, 'health.json');
    const watch = await watching(s3, home, ['--interval', '1', '--health-file', healthFile]);
    await until('it to say how it is', () => existsSync(healthFile));
    expect(JSON.parse(readFileSync(healthFile, 'utf8'))).toMatchObject({
      format: 1,
      pid: watch.pid,
      host: 'laptop',
      failures: 0,
      lastError: null,
    });
    expect(
      await run(home, 'cliproxyapi-sync', ['watch', '--health', '--health-file', healthFile]),
    ).toMatchObject({
      code: 0,
    });

    s3.network.spoil(() => ({ kind: 'reset' }));
    files['a.json'] = credential('a@example.com', 7);
    await put(home.authDir, files);
    await until('CCS to have it', () => held(home.ccsDir)['a.json'] === String(files['a.json']));
    await until('health to say so', () => JSON.parse(readFileSync(healthFile, 'utf8')).failures > 1, 20_000);
    expect(JSON.parse(readFileSync(healthFile, 'utf8')).lastError.message).toMatch(/broke the connection/);
    expect(times(watch.output(), /^error:/)).toBe(1);

    s3.network.spoil(() => undefined);
    await until('it to arrive', isStored(s3, files), 30_000);
    await until('that to be said', () => /the store answers again/.test(watch.output()));
    await watch.ends();
    await expectInStep(s3, [home], files);
  });

  test('costs fewer and fewer requests, and rest costs one every interval', async ({ s3 }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    const watch = await watching(s3, home, ['--interval', '1']);
    await pause(2500);
    s3.network.forget();
    await pause(5000);
    const { LIST = 0, ...others } = s3.network.counts();
    expect(LIST).toBeGreaterThanOrEqual(3);
    expect(LIST).toBeLessThanOrEqual(6);
    expect(others).toEqual({});
    await watch.ends();
  });
});

describe('what watch says', () => {
  test('is one JSON object a line with --json, and nothing else', async ({ world }) => {
    const home = await world.home();
    const watch = await watching(world, home, ['--json']);
    const files = credentials('a');
    await put(home.authDir, files);
    await until('it to arrive', isStored(world, files));
    await writeFile(join(home.authDir, 'bad.json'), '{"type":');
    await until('the bad one to be told', () => /bad\.json/.test(watch.output()));
    watch.kill('SIGTERM');
    const { code, stdout, stderr } = decent(await watch.ended);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const schema = JSON.parse(readFileSync(new URL('../../docs/watch.schema.json', import.meta.url), 'utf8'));
    for (const line of lines) expect(violations(schema, line)).toEqual([]);
    expect(lines.map(({ event }) => event)).toEqual(['started', 'summary', 'change', 'problem', 'stopping']);
    expect(lines[2]).toMatchObject({
      credential: 'a.json',
      action: 'wrote the store and the backup copy',
      reason: expect.stringMatching(/^new in the auth dir/),
    });
    // Each run has its own id, the watch another one.
    const [started, first, second] = lines.map((line) => line.run);
    expect(new Set([started, first, second]).size).toBe(3);
  });

  test('a configuration that cannot be right ends it with 78', async ({ world }) => {
    const home = await world.home();
    const env = { OBJECTSTORE_ENDPOINT: 'http://127.0.0.1:1' };
    const { code, stderr } = await run(home, 'cliproxyapi-sync', ['watch'], { env });
    expect({ code }).toEqual({ code: 78 });
    expect(stderr).toMatch(/half-configured/);
  });

  test('health is 1 with a reason where no watch runs, and a usage error without a file', async ({
    world,
  }) => {
    const home = await world.home();
    const args = ['watch', '--health'];
    expect(await run(home, 'cliproxyapi-sync', args)).toMatchObject({ code: 2 });
    const { code, stdout, stderr } = await run(home, 'cliproxyapi-sync', [
      ...args,
      ...['--health-file', join(home.path, 'none'), '--json'],
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/no watch has written/);
    expect(JSON.parse(stdout)).toMatchObject({ format: 1, healthy: false });
  });

  test.for(['0', '-1', 'x', '86401'])('an interval of %s is a usage error', async (interval, { world }) => {
    const home = await world.home();
    const { code, stderr } = await run(home, 'cliproxyapi-sync', ['watch', `--interval=${interval}`]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/a number of seconds from 1 to 86400/);
  });
});

describe.skipIf(!CAN_MEASURE)('at rest', () => {
  test('it takes less than 80 MB and next to no CPU', async () => {
    const measured = await resting;
    expect(measured?.length).toBeGreaterThan(0);
    for (const [name, figures] of measured ?? []) {
      console.log(`watch at rest on ${name}: ${JSON.stringify(figures)}`);
      expect(figures.rss).toBeLessThan(80);
      expect(figures.cpuPercent).toBeLessThan(2);
    }
  }, 120_000);
});
