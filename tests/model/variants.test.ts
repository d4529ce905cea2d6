/** The search is worth something: whatever is broken on purpose, it finds. */
import { expect, test } from 'vitest';
import { loadSearch } from './bundle.ts';
import { VARIANTS } from './variants.ts';

/** Mostly a few dozen do. */
const MOST_WORLDS = 2000;
const PER_SEED = 100;

test.each(VARIANTS)(
  'found within a bounded number of worlds: $name',
  { timeout: 300_000 },
  async (variant) => {
    const { search, newFigures } = await loadSearch(variant);
    let found: Awaited<ReturnType<typeof search>>;
    for (let seed = 1; !found && seed <= MOST_WORLDS / PER_SEED; seed++)
      found = await search(seed, PER_SEED, newFigures(), 0);
    expect(found?.message, 'nothing was found').toBeDefined();
  },
);
