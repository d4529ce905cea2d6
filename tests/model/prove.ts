/**
 * `make prove`: random worlds on all cores for `PROVE_SECONDS` (default 1800), and one line of figures at the end. The
 * exit code is 1 if a promise was broken; each such story is printed with its seed, and `PROVE_SEED=N make prove`
 * plays that seed alone, every run told.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { bundle, loadSearch } from './bundle.ts';
import type { Found } from './search.ts';
import type { Said, Task } from './worker.ts';

const WORLDS_PER_SEED = 50;
/** After so many there is enough to do. */
const MAX_FOUND = 5;

const seconds = Number(process.env.PROVE_SECONDS ?? 1800);
const totals = { worlds: 0, steps: 0, runs: 0, crashes: 0, faults: 0, points: 0 };
const found: Found[] = [];

if (process.env.PROVE_SEED !== undefined) await replay(Number(process.env.PROVE_SEED));
else await prove();
const { worlds, steps, runs, crashes, faults, points } = totals;
console.log(
  `${runs} runs, ${points} calls that could be interrupted, ${Math.round(steps / Math.max(1, process.uptime()))} steps a second`,
);
console.log(
  `${worlds} worlds, ${steps} steps, ${crashes} crash points, ${faults} faults, ${found.length} violations`,
);
process.exitCode = found.length > 0 ? 1 : 0;

async function prove(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'cliproxyapi-sync-prove-'));
  try {
    const file = join(directory, 'worker.mjs');
    await bundle('worker.ts', file);
    const stride = availableParallelism();
    const start = Math.floor(Math.random() * 1_000_000_000);
    console.log(`seeds from ${start}, ${stride} threads, ${seconds} s`);
    const until = Date.now() + seconds * 1000;
    await Promise.all(
      Array.from({ length: stride }, (_, index) => thread(file, { firstSeed: start + index, stride, until })),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function thread(file: string, task: Task): Promise<void> {
  const worker = new Worker(file, { workerData: task });
  return new Promise((resolve, reject) => {
    worker.on('message', (said: Said) => {
      totals.worlds += said.worlds;
      for (const key of ['steps', 'runs', 'crashes', 'faults', 'points'] as const)
        totals[key] += said.figures[key];
      if (said.found) tell(said.found);
      if (found.length >= MAX_FOUND) void worker.terminate();
    });
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
}

async function replay(seed: number): Promise<void> {
  const { search, newFigures, play } = await loadSearch();
  const figures = newFigures();
  const one = await search(seed, WORLDS_PER_SEED, figures);
  Object.assign(totals, figures, { worlds: WORLDS_PER_SEED });
  if (!one) return;
  tell(one);
  console.log(JSON.stringify(one.story));
  await play(one.story, newFigures(), console.log).catch(() => undefined);
}

function tell(one: Found): void {
  found.push(one);
  console.log(`\nPROVE_SEED=${one.seed}\n${one.words}\n${one.message}\n`);
}
