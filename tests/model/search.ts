/** Plays random stories and, where one breaks a promise, finds the shortest that does. */
import fc from 'fast-check';
import { Violation } from './ledger.ts';
import { type Figures, play } from './play.ts';
import { stories } from './stories.ts';
import { type Story, tell } from './story.ts';

export type { Figures } from './play.ts';
export type { Story } from './story.ts';
export { play, tell };

export interface Found {
  readonly seed: number;
  readonly story: Story;
  readonly words: string;
  readonly message: string;
}

export function newFigures(): Figures {
  return { steps: 0, runs: 0, crashes: 0, faults: 0, points: 0 };
}

/** Plays so many stories drawn from a seed; what it gives back breaks a promise and is as short as could be found. */
export async function search(
  seed: number,
  worlds: number,
  figures: Figures,
  shrinkMs = 60_000,
): Promise<Found | undefined> {
  let failedAt: number | undefined;
  const property = fc.asyncProperty(stories, async (story) => {
    // Once one is found, it is made shorter for so long and no longer.
    if (failedAt !== undefined && Date.now() - failedAt > shrinkMs) return;
    try {
      await play(story, figures);
    } catch (error) {
      failedAt ??= Date.now();
      throw error;
    }
  });
  const details = await fc.check(property, { seed, numRuns: worlds });
  if (!details.failed || !details.counterexample) return undefined;
  const [story] = details.counterexample;
  const error = details.errorInstance;
  const message =
    error instanceof Violation ? error.message : error instanceof Error ? `${error.stack}` : String(error);
  return { seed, story, words: tell(story), message };
}
