/**
 * When `watch` does what: runs one after another, bursts of changes taken together, the store looked at in intervals,
 * and less often while it does not answer. Knows nothing of files and stores.
 */

export interface Watched {
  /** Brings everything in step. MUST NOT throw, and is never called again before it has ended. */
  run(): Promise<Turn>;
  /**
   * A text that is another one when something in the store has changed.
   *
   * @throws Whatever: then a run finds out what is wrong.
   */
  glance(): Promise<string>;
  /** Called after each run and each look, with the milliseconds until the next at the latest. */
  onTurn(turn: Turn | 'unchanged', nextMs: number): void | Promise<void>;
}

/** How a run ended: all in step; with something that a person has to see to; or to be tried again. */
export type Turn = 'done' | 'wrong' | 'again';

export interface Loop {
  /** Something has changed here. */
  changed(): void;
  /** The run that is under way is the last; if a change waits for its run, that one is. */
  stop(): void;
  /** Resolves when the last run has ended. */
  readonly ended: Promise<void>;
}

/** Milliseconds without a change after which a burst is over, and from the first change to the run at most. */
export const QUIET_MS = 150;
export const PATIENCE_MS = 1_000;
/** A run though nothing seems to have changed: for what a glance does not see, and what ripens with time. */
export const FULL_EVERY_MS = 300_000;
/** Between tries while the store does not answer: doubled from the first to the last. */
export const RETRY_FIRST_MS = 2_000;
export const RETRY_LAST_MS = 300_000;

/** Starts with a run. */
export function startLoop(
  { run, glance, onTurn }: Watched,
  intervalMs: number,
  random: () => number = Math.random,
): Loop {
  const now = () => performance.now();
  let change: { readonly first: number; readonly last: number } | undefined;
  let isStopping = false;
  let wake = () => {};

  const settled = () => (change ? Math.min(change.last + QUIET_MS, change.first + PATIENCE_MS) : Infinity);
  /** Until a burst of changes is over, it is time to look at the store, or the end is near. */
  const waitUntil = async (due: number) => {
    for (;;) {
      const left = isStopping ? 0 : Math.min(due, settled()) - now();
      if (left <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };

  async function loop(): Promise<void> {
    let failures = 0;
    let known: string | undefined;
    let fullDue = now();
    let due = now();
    for (;;) {
      await waitUntil(due);
      if (isStopping && !change) return;
      const isForced = change !== undefined || now() >= fullDue;
      // Before the run: what changes while it is under way is another change.
      change = undefined;
      const seen = isForced ? undefined : await glance().catch(() => undefined);
      const isSame = !isForced && seen !== undefined && seen === known;
      const turn = isSame ? 'unchanged' : await run();
      if (turn !== 'unchanged') {
        failures = turn === 'again' ? failures + 1 : 0;
        known = seen;
        // What is not well is looked at in full every time.
        fullDue = now() + (turn === 'done' ? FULL_EVERY_MS : 0);
      }
      const nextMs = failures > 0 ? retryMs(failures, random) : intervalMs;
      due = now() + nextMs;
      await onTurn(turn, nextMs);
    }
  }

  return {
    changed() {
      const time = now();
      change = { first: change?.first ?? time, last: time };
      wake();
    },
    stop() {
      isStopping = true;
      wake();
    },
    ended: loop(),
  };
}

/** Half to all of the doubled pause, so that hosts that lost the store together do not come back together. */
export function retryMs(failures: number, random: () => number): number {
  return Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** (failures - 1)) * (0.5 + random() / 2);
}
