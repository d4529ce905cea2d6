import { describe, expect, it } from 'vitest';
import { decide, parseTold, serializeTold, type Told } from '../../ts/src/notify/limit.ts';
import { problemsIn, type ToldProblem } from '../../ts/src/notify/problems.ts';

const HOUR = 3_600_000;
const T0 = Date.UTC(2026, 10, 23);

const problem = (key: string, kind: ToldProblem['kind'] = 'store'): ToldProblem => ({
  key,
  kind,
  credential: undefined,
  message: key,
  remedy: undefined,
});

/** Runs one after another: minutes from the start, what is wrong, and what is told. */
function story(runs: readonly (readonly [minute: number, wrong: readonly ToldProblem[]])[], from: Told = {}) {
  let told = from;
  return runs.map(([minute, wrong]) => {
    const decision = decide(told, wrong, {
      allWell: wrong.length === 0,
      now: T0 + minute * 60_000,
      everyMs: HOUR,
    });
    told = parseTold(serializeTold(decision.told));
    return [...decision.due.map(({ key }) => key), ...decision.recovered.map((key) => `over: ${key}`)];
  });
}

describe('the same problem', () => {
  const away = problem('store');
  it('is told once an hour', () => {
    expect(
      story([
        [0, [away]],
        [5, [away]],
        [59, [away]],
        [60, [away]],
        [61, [away]],
      ]),
    ).toEqual([['store'], [], [], ['store'], []]);
  });

  it('that comes and goes is no reason to tell more', () => {
    expect(
      story([
        [0, [away]],
        [1, []],
        [2, [away]],
        [3, []],
        [61, [away]],
        [62, []],
      ]),
    ).toEqual([['store'], ['over: store'], [], [], ['store'], ['over: store']]);
  });

  it('is over once, hours later too', () => {
    expect(
      story([
        [0, [away]],
        [600, []],
        [601, []],
      ]),
    ).toEqual([['store'], ['over: store'], []]);
  });

  it('is over, too, where something else was wrong in between, for hours', () => {
    expect(
      story([
        [0, [away]],
        [600, [problem('held a.json', 'held')]],
        [601, []],
      ]),
    ).toEqual([['store'], ['held a.json'], ['over: store', 'over: held a.json']]);
  });

  it('is told again where the clock was ahead when it was told', () => {
    expect(story([[0, [away]]], { store: { at: T0 + 10 * HOUR, open: true } })).toEqual([['store']]);
  });
});

it('another problem is told besides', () => {
  expect(
    story([
      [0, [problem('store')]],
      [1, [problem('store'), problem('held a.json', 'held')]],
      [2, [problem('held a.json', 'held')]],
      [3, []],
    ]),
  ).toEqual([['store'], ['held a.json'], [], ['over: store', 'over: held a.json']]);
});

it('a conflict is an event: nothing recovers from it', () => {
  expect(
    story([
      [0, [problem('conflict a.json', 'conflict')]],
      [1, []],
    ]),
  ).toEqual([['conflict a.json'], []]);
});

it('a run that could not try what failed says nothing of recovery', () => {
  const before: Told = { store: { at: T0, open: true } };
  expect(decide(before, [], { allWell: false, now: T0 + 1, everyMs: HOUR })).toEqual({
    due: [],
    recovered: [],
    told: before,
  });
});

it.each(['', '{', 'null', '[]', '{"format":2,"told":{}}', '{"format":1,"told":{"a":1,"b":{"at":"x"}}}'])(
  'what is kept and damaged (%j) is as if nothing had been told',
  (text) => expect(parseTold(text)).toEqual({}),
);

it('of a report, failures, conflicts, the guard and what waits for a person are told; changes are not', () => {
  const line = { level: 'info', message: 'm' } as const;
  const found = problemsIn([
    { ...line, kind: 'change', credential: 'a.json' },
    { ...line, kind: 'change', credential: 'b.json', isConflict: true },
    { ...line, kind: 'summary' },
    { ...line, kind: 'pending' },
    { ...line, level: 'warning', kind: 'held', credential: 'c.json' },
    { ...line, level: 'error', kind: 'held', credential: 'd.json' },
    { ...line, kind: 'failure', credential: 'e.json' },
    { ...line, kind: 'failure', credential: 'e.json' },
    { ...line, kind: 'problem', subject: 'f.json' },
    { ...line, kind: 'guard' },
    { ...line, kind: 'store' },
    { ...line, kind: 'weakness' },
  ]);
  expect(found.map(({ key }) => key)).toEqual([
    'conflict b.json',
    'held d.json',
    'failure e.json',
    'problem f.json',
    'guard',
    'store',
  ]);
});
