/** Real runs in which one file-system call fails, as on a disk that breaks, fills up or is taken away just then. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import {
  type BundleName,
  bundlePath,
  type Ended,
  type Home,
  ownCache,
  startProgram,
} from '../support/bundle.ts';
import { type Changes, expectConverged, expectWhole, makeChanges, saved } from './changes.ts';
import { decent, sync, test, tree, type World } from './world.ts';

const FAILING_DISK = fileURLToPath(new URL('../support/failing-disk.cjs', import.meta.url));

/** What each kind of call may fail with on a real disk. */
const ERRORS: Readonly<Record<string, readonly string[]>> = {
  'open-read': ['EIO', 'EACCES', 'EMFILE'],
  'open-write': ['EIO', 'ENOSPC', 'EACCES', 'EROFS', 'EMFILE'],
  read: ['EIO', 'EACCES', 'EMFILE'],
  write: ['EIO', 'ENOSPC', 'EACCES', 'EROFS'],
  descriptor: ['EIO'],
  fill: ['EIO', 'ENOSPC'],
  sync: ['EIO', 'ENOSPC'],
};

interface Point {
  /** The number of the call. */
  readonly at: number;
  readonly kind: string;
  readonly name: string;
  readonly code: string;
  /** Whether all calls of that kind fail from then on. */
  readonly stays: boolean;
}

/** Some of all points, unless more are asked for: `CRASH_POINTS=60` of each program, or `CRASH_POINTS=all`. */
const SAMPLE = process.env.CRASH_POINTS === 'all' ? undefined : Number(process.env.CRASH_POINTS ?? 5);

interface Program {
  readonly program: BundleName;
  readonly args: readonly string[];
}
const PROGRAMS: readonly Program[] = [
  { program: 'cliproxyapi-sync', args: ['sync'] },
  { program: 'backup', args: [] },
  { program: 'hydrate', args: [] },
  { program: 'start', args: [] },
];

describe('with a call of the file system that fails', () => {
  test.concurrent.for(PROGRAMS)(
    '$program $args: it says so, loses nothing, and converges at the next run',
    { timeout: SAMPLE === undefined ? 7_200_000 : Math.min(120_000 + SAMPLE * 30_000, 86_400_000) },
    async ({ program, args }, { world }) => {
      const proxy = join(world.root, 'proxy');
      await writeFile(proxy, '#!/bin/sh\necho the proxy has started\n', { mode: 0o755 });
      const home = await world.home('laptop', { ccs: true, proxy, template: 'port: 1\n' });
      const changes = await makeChanges(world, home);
      const again = await saved(world, [home.path, join(world.root, 'store')]);
      const all = pointsOf(await callsOf(world, home, program, args));
      const offset = PROGRAMS.findIndex((each) => each.program === program);
      const chosen =
        SAMPLE === undefined
          ? all
          : all.filter((_, index) => index % Math.ceil(all.length / SAMPLE) === offset);
      expect(all.length).toBeGreaterThan(100);
      if (SAMPLE === undefined) console.log(`${program}: ${all.length} points`);
      const wrong: string[] = [];
      for (const point of chosen) {
        await again();
        await disturbed(world, home, { program, args }, point, changes).catch((error: unknown) => {
          wrong.push(`${JSON.stringify(point)}: ${String(error)}`);
          // The whole takes long: what it finds is told at once.
          if (SAMPLE !== 5) console.log(program, wrong.at(-1));
        });
      }
      expect(wrong.join('\n\n')).toBe('');
    },
  );
});

/** One run in which that call fails, what is left of it, and the run after it. */
async function disturbed(
  world: World,
  home: Home,
  program: Program,
  point: Point,
  changes: Changes,
): Promise<void> {
  const ended = await runFailing(world, home, program.program, program.args, {
    FAILING_DISK_AT: String(point.at),
    FAILING_DISK_CODE: point.code,
    ...(point.stays && { FAILING_DISK_STAYS: '1' }),
  });
  decent(ended);
  expect([0, 1, 75, 78], ended.stderr).toContain(ended.code);
  const isQuiet = !/^(error|warning):/m.test(ended.stderr);
  if (ended.code !== 0) expect(isQuiet, ended.stderr).toBe(false);
  // What failed, and what to do: on the same line or the next one.
  for (const [said] of ended.stderr.matchAll(/^error: .*(\n +.*)*/gm))
    expect(said).toMatch(/[.;)] [A-Za-z]|\n +\S/);
  await expectWhole(world, home, changes);
  if (ended.code === 0 && isQuiet && program.program !== 'hydrate')
    await expectConverged(world, home, changes);
  const next = await sync(home);
  expect(next.code, `the next run: ${next.stderr}\nthe run before: ${ended.stderr}`).toBe(0);
  await expectConverged(world, home, changes);
  // In the state and the store one may stay behind, where no program looks for credentials.
  const places = [...(await tree(home.authDir)), ...(await tree(home.ccsDir))];
  const left = places.map((line) => line.split(' ')[0]).filter((path) => path?.endsWith('.tmp'));
  expect(left).toEqual([]);
}

/** All points of a run: each place in the program that makes a call, the first time that it does, with each error. */
function pointsOf(calls: readonly (readonly [kind: string, name: string, where: string])[]): Point[] {
  const seen = new Set<string>();
  return calls.flatMap(([kind, name, where], index) => {
    if (seen.has(`${name} ${where}`)) return [];
    seen.add(`${name} ${where}`);
    return (ERRORS[kind] ?? []).map((code) => ({
      at: index + 1,
      kind,
      name,
      code,
      // A disk that is full or read-only stays so.
      stays: code === 'ENOSPC' || code === 'EROFS',
    }));
  });
}

/** The calls that a run makes in which none fails. */
async function callsOf(world: World, home: Home, program: BundleName, args: readonly string[]) {
  const log = join(world.root, 'calls');
  const ended = await runFailing(world, home, program, args, { FAILING_DISK_LOG: log });
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => line.split(' ') as [string, string, string]);
}

async function runFailing(
  world: World,
  home: Home,
  program: BundleName,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ended> {
  const command = ['--require', FAILING_DISK, bundlePath(program), ...args];
  return startProgram(process.execPath, command, home, {
    env: {
      UV_THREADPOOL_SIZE: '1',
      XDG_CACHE_HOME: ownCache(home.path),
      FAILING_DISK_ROOT: world.root,
      ...env,
    },
  }).ended;
}
