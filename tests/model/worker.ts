/** One thread of `make prove`: plays stories from its own seeds until the time is up. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Figures, type Found, newFigures, search } from './search.ts';

export interface Task {
  readonly firstSeed: number;
  readonly stride: number;
  readonly until: number;
}

/** What a thread says after each seed. */
export interface Said {
  readonly figures: Figures;
  readonly worlds: number;
  readonly found: Found | undefined;
}

/** So many worlds are drawn from one seed. */
export const WORLDS_PER_SEED = 50;

const { firstSeed, stride, until } = workerData as Task;
for (let seed = firstSeed; Date.now() < until; seed += stride) {
  const figures = newFigures();
  const found = await search(seed, WORLDS_PER_SEED, figures);
  parentPort?.postMessage({ figures, worlds: WORLDS_PER_SEED, found } satisfies Said);
}
