/** A thousand random worlds, and every story in which a promise was once broken. */
import { describe, expect, test } from 'vitest';
import { loadSearch } from './bundle.ts';
import { CASES } from './cases/cases.ts';

const WORLDS = 1000;
const PER_SEED = 50;
/** On a slow machine fewer worlds are played. */
const SECONDS = 45;
/** The same for every change, so that what fails here was broken by it; `make prove` draws others each time. */
const FIRST_SEED = 1;

const search = await loadSearch();

describe('stories in which a promise was once broken', () => {
  test.each(CASES)('$name', async ({ name, stories, before }) => {
    for (const story of stories) await search.play(story, search.newFigures());
    const old = await loadSearch({ name, ...before });
    const playAll = async () => {
      for (const story of stories) await old.play(story, old.newFigures());
    };
    await expect(playAll(), 'the program as it was').rejects.toThrow();
  });
});

test(`${WORLDS} random worlds, and no promise broken`, { timeout: 240_000 }, async () => {
  const figures = search.newFigures();
  const start = Date.now();
  let worlds = 0;
  for (let seed = FIRST_SEED; worlds < WORLDS && Date.now() - start < SECONDS * 1000; seed++) {
    const found = await search.search(seed, PER_SEED, figures);
    expect(found && `PROVE_SEED=${found.seed}\n${found.words}\n${found.message}`).toBeUndefined();
    worlds += PER_SEED;
  }
  console.info(`${worlds} worlds from seed ${FIRST_SEED}: ${JSON.stringify(figures)}`);
});

test('the same story is the same every time', async () => {
  const figures = [search.newFigures(), search.newFigures()];
  for (const each of figures) await search.search(7, 20, each);
  expect(figures[1]).toEqual(figures[0]);
});
