/**
 * `make bench`: ours against `aws s3 sync` and `rclone`, on one S3 server, in one run. What is timed is run in turns
 * (A B C A B C ...), and a ratio is the median of the rounds' ratios, so that a busy machine slows both sides of it.
 * Requests are counted in runs of their own.
 *
 * BENCH_QUICK=1: few rounds, 2,000 credentials instead of 10,000. BENCH_ONLY=stores: the table of the stores alone.
 * BENCH_JSON: a file that gets everything as JSON.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { bucketFromOutside } from '../support/outside.ts';
import { findWeed, startSeaweedFs } from '../support/seaweedfs.ts';
import { type Contestant, find, ours, rclone, scripts } from './contestants.ts';
import { type Figure, figures, type Results } from './figures.ts';
import { startMeter } from './measure.ts';
import { countRequests, type Requests } from './requests.ts';
import { compareStores, type StoreColumns, storesTable } from './stores.ts';
import { figuresTable, growthTable, requestsTable, timesTable } from './tables.ts';
import {
  type Measured,
  type Surroundings,
  setStage,
  timeHydrate,
  timeNoOp,
  timeOneChange,
  timeStartUp,
} from './tasks.ts';

const QUICK = (process.env.BENCH_QUICK ?? '') !== '';
const ROUNDS = QUICK
  ? { small: 3, middle: 2, large: 1, startUp: 5 }
  : { small: 9, middle: 5, large: 3, startUp: 25 };
const SIZES = { small: 5, middle: 1000, large: QUICK ? 2000 : 10_000 };

const STORES_TITLE = `Stores, ${SIZES.middle} credentials: median ms (and times the directory store)`;

async function main(): Promise<void> {
  const cleanUps: (() => unknown)[] = [];
  const cleanUp = async () => {
    for (const one of cleanUps.splice(0).reverse()) await one();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
  }
  try {
    const around = await surroundings(cleanUps);
    if (process.env.BENCH_ONLY === 'stores') {
      const table = storesTable(await compareStores(SIZES.middle, ROUNDS.middle, around, cleanUps));
      process.stdout.write(`\n${STORES_TITLE}\n\n${table}\n`);
      return;
    }
    const contestants = await takePart();
    const results: Results = {
      ...(await runAll(contestants, around)),
      ours: contestants.filter((contestant) => contestant.ours).map(({ name }) => name),
    };
    const stores = await compareStores(SIZES.middle, ROUNDS.middle, around, cleanUps);
    const reached = figures(results);
    print(results, stores, reached);
    const file = process.env.BENCH_JSON;
    const all = { ...json(contestants, results, reached), stores: Object.fromEntries(stores) };
    if (file) await writeFile(file, `${JSON.stringify(all, null, 2)}\n`);
  } finally {
    await cleanUp();
  }
}

async function takePart(): Promise<Contestant[]> {
  const own = await ours();
  if (own.length < 2) say('Only one Node: `make bench` gets the other one into .venv.');
  const aws = await scripts();
  if (!aws)
    say(
      'SKIPPED: aws is not installed (`.venv/bin/pip install awscli`): no comparison with the shell scripts.',
    );
  const other = await rclone();
  if (!other) say('SKIPPED: rclone is not installed.');
  const all = [...own, ...(aws ? [aws] : []), ...(other ? [other] : [])];
  for (const { name, version } of all) say(`${name}: ${version}`);
  return all;
}

async function surroundings(cleanUps: (() => unknown)[]): Promise<Surroundings> {
  const weed = findWeed();
  if (weed === undefined)
    throw new Error('SeaweedFS is not installed: it needs Python 3 with venv, then run it again');
  const python = await find('python3');
  if (python === undefined) throw new Error('Python 3 is missing: it measures');
  const root = await mkdtemp(join(tmpdir(), 'cliproxyapi-sync-bench-'));
  cleanUps.push(() => rm(root, { recursive: true, force: true }));
  const seaweed = await startSeaweedFs(weed);
  cleanUps.push(seaweed.stop);
  const meter = startMeter(python, join(root, 'log'));
  cleanUps.push(meter.stop);
  return {
    root,
    meter,
    bucket: (bucket) => ({ endpoint: seaweed.endpoint, bucket, ...seaweed.admin }),
    lookInto: (bucket) => bucketFromOutside({ kind: 's3', ...bucket }),
    progress: (text) => say(`  ... ${text}`),
  };
}

async function runAll(
  contestants: readonly Contestant[],
  around: Surroundings,
): Promise<{ measured: Measured[]; requests: Requests[] }> {
  const measured: Measured[] = [];
  const requests: Requests[] = [];
  for (const size of ['small', 'middle'] as const) {
    const stage = await setStage(contestants, SIZES[size], around);
    if (size === 'small') measured.push(...(await timeStartUp(stage, ROUNDS.startUp, around)));
    measured.push(await timeNoOp(stage, ROUNDS[size], around));
    measured.push(await timeOneChange(stage, ROUNDS[size], around));
    measured.push(await timeHydrate(stage, contestants, ROUNDS[size], around));
    requests.push(...(await countRequests(stage, around)));
  }
  const stage = await setStage(contestants.slice(0, 1), SIZES.large, around);
  measured.push(await timeHydrate(stage, contestants, ROUNDS.large, around));
  return { measured, requests };
}

function print(results: Results, stores: StoreColumns, reached: readonly Figure[]): void {
  const parts = [
    ['Time and memory', timesTable(results)],
    ['Growth', growthTable(results)],
    ['Requests', requestsTable(results)],
    [STORES_TITLE, storesTable(stores)],
    ['Figures', figuresTable(reached)],
  ];
  for (const [title, text] of parts) process.stdout.write(`\n${title}\n\n${text}\n`);
}

function json(
  contestants: readonly Contestant[],
  { measured, requests }: Results,
  reached: readonly Figure[],
) {
  return {
    format: 1,
    quick: QUICK,
    machine: {
      platform: process.platform,
      arch: process.arch,
      cpu: cpus()[0]?.model,
      cores: availableParallelism(),
    },
    contestants: contestants.map(({ name, version }) => ({ name, version })),
    measured: measured.map(({ samples, ...task }) => ({ ...task, samples: Object.fromEntries(samples) })),
    requests,
    figures: reached.map((figure) => ({ ...figure, reached: figure.reached ?? null })),
  };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    say(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
