import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FULL_EVERY_MS, retryMs, startLoop, type Turn } from '../../../ts/src/watch/loop.ts';

const INTERVAL = 60_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A loop over runs that take `runMs` and end as `turns` say, then well. */
function loop({ runMs = 10, turns = [] as Turn[] } = {}) {
  const runs: number[] = [];
  let store = 'as it was';
  let isAway = false;
  let running = 0;
  let glances = 0;
  const started = startLoop(
    {
      async run() {
        expect(++running, 'one run at a time').toBe(1);
        runs.push(Math.round(performance.now() - from));
        await new Promise((resolve) => setTimeout(resolve, runMs));
        running--;
        return isAway ? 'again' : (turns.shift() ?? 'done');
      },
      async glance() {
        glances++;
        if (isAway) throw new Error('away');
        return store;
      },
      onTurn: () => undefined,
    },
    INTERVAL,
    () => 1,
  );
  const from = performance.now();
  return {
    ...started,
    runs,
    glances: () => glances,
    storeChanged: () => {
      store += ' and more';
    },
    away: (is: boolean) => {
      isAway = is;
    },
    pass: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  };
}

describe('runs', () => {
  it('begin at once, and a change is followed by one when it is quiet', async () => {
    const l = loop();
    await l.pass(1000);
    l.changed();
    await l.pass(1000);
    expect(l.runs).toEqual([0, 1150]);
  });

  it('take a burst together', async () => {
    const l = loop();
    await l.pass(1000);
    for (let change = 0; change < 5; change++) {
      l.changed();
      await l.pass(50);
    }
    await l.pass(1000);
    expect(l.runs).toEqual([0, 1350]);
  });

  it('do not wait for the end of a burst that has none', async () => {
    const l = loop();
    await l.pass(1000);
    for (let change = 0; change < 40; change++) {
      l.changed();
      await l.pass(100);
    }
    expect(l.runs.slice(0, 3)).toEqual([0, 2000, 3010 + 100 - 110]);
  });

  it('are followed by another if something changed meanwhile, never two at once', async () => {
    const l = loop({ runMs: 500 });
    await l.pass(100);
    l.changed();
    l.changed();
    await l.pass(5000);
    expect(l.runs).toEqual([0, 500]);
  });
});

describe('the store', () => {
  it('is looked at in intervals, and only a change there is a reason for a run', async () => {
    const l = loop();
    await l.pass(INTERVAL * 2.5);
    // The first look has nothing to compare with.
    expect(l.runs).toHaveLength(2);
    expect(l.glances()).toBe(2);
    l.storeChanged();
    await l.pass(INTERVAL);
    expect(l.runs).toHaveLength(3);
  });

  it('is brought in step in full now and then, whatever a look says', async () => {
    const l = loop();
    await l.pass(FULL_EVERY_MS * 2 + INTERVAL);
    expect(l.runs.length).toBeGreaterThanOrEqual(3);
    expect(l.runs.length).toBeLessThanOrEqual(5);
  });

  it('that does not answer is tried less and less often, and at once when something changes here', async () => {
    const l = loop();
    l.away(true);
    await l.pass(70_000);
    const gaps = l.runs.slice(1).map((time, index) => time - (l.runs[index] ?? 0));
    expect(gaps).toEqual([2010, 4010, 8010, 16_010, 32_010]);
    l.changed();
    await l.pass(200);
    expect(l.runs).toHaveLength(7);
    l.away(false);
    await l.pass(300_000);
    const count = l.runs.length;
    await l.pass(INTERVAL * 2);
    expect(l.runs.length - count).toBeLessThanOrEqual(1);
  });

  it('is tried after five minutes at the latest, and hosts do not come back in step', () => {
    expect(retryMs(1, () => 0)).toBe(1000);
    expect(retryMs(1, () => 1)).toBe(2000);
    expect(retryMs(40, () => 1)).toBe(300_000);
    expect(retryMs(40, () => 0)).toBe(150_000);
  });

  it('is looked at in full every time while something is wrong', async () => {
    const l = loop({ turns: ['wrong', 'wrong', 'wrong'] });
    await l.pass(INTERVAL * 2.5);
    expect(l.runs).toHaveLength(3);
    expect(l.glances()).toBe(0);
  });
});

describe('the end', () => {
  it('comes at once where nothing is under way', async () => {
    const l = loop();
    await l.pass(1000);
    l.stop();
    await l.ended;
    expect(l.runs).toHaveLength(1);
  });

  it('waits for the run that is under way', async () => {
    const l = loop({ runMs: 5000 });
    let isOver = false;
    void l.ended.then(() => {
      isOver = true;
    });
    await l.pass(100);
    l.stop();
    await l.pass(4000);
    expect(isOver).toBe(false);
    await l.pass(1000);
    expect(isOver).toBe(true);
    expect(l.runs).toHaveLength(1);
  });

  it('waits for the run of a change that has just been made', async () => {
    const l = loop();
    await l.pass(1000);
    l.changed();
    l.stop();
    await l.pass(20);
    await l.ended;
    expect(l.runs).toHaveLength(2);
  });
});
