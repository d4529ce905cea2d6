import { describe, expect, it } from 'vitest';
import { hashOf, isDone, type Present, planSwitch } from '../../../ts/src/services/plan.ts';

const ours = (text: string): Present => ({ kind: 'ours', text });
const foreign: Present = { kind: 'foreign', what: 'a link' };
const isStarted = (_: string, text: string) => text.includes('start');

const CASES: readonly {
  readonly what: string;
  readonly wanted?: Record<string, string>;
  readonly present?: Record<string, Present>;
  /** Name -> text that arrived. */
  readonly applied?: Record<string, string>;
  readonly givenUp?: readonly string[];
  readonly plan: Partial<ReturnType<typeof planSwitch>>;
}[] = [
  { what: 'nothing wanted, nothing here', plan: {} },
  {
    what: 'a new service is written and started',
    wanted: { a: 'start' },
    plan: { write: ['a'], changed: ['a'], start: ['a'] },
  },
  {
    what: 'what a path unit starts is written and not started',
    wanted: { a: 'oneshot' },
    plan: { write: ['a'], changed: ['a'] },
  },
  {
    what: 'what is in place is left alone',
    wanted: { a: 'start' },
    present: { a: ours('start') },
    applied: { a: 'start' },
    plan: {},
  },
  {
    what: 'a file in place that did not arrive is started, not written',
    wanted: { a: 'start 2' },
    present: { a: ours('start 2') },
    applied: { a: 'start 1' },
    plan: { changed: ['a'], start: ['a'] },
  },
  {
    what: 'a file that was removed or edited by hand is written again',
    wanted: { a: 'start', b: 'start' },
    present: { b: ours('start, edited') },
    applied: { a: 'start', b: 'start' },
    plan: { write: ['a', 'b'], changed: ['a', 'b'], start: ['a', 'b'] },
  },
  {
    what: 'one that has given up is started, and counts as no change',
    wanted: { a: 'start', b: 'oneshot' },
    present: { a: ours('start'), b: ours('oneshot') },
    applied: { a: 'start', b: 'oneshot' },
    givenUp: ['a', 'b'],
    plan: { start: ['a'] },
  },
  {
    what: 'what is ours and no longer wanted goes, even if only its file or only its record is left',
    present: { a: ours('start') },
    applied: { b: 'start' },
    plan: { remove: ['a', 'b'] },
  },
  {
    what: 'what is not ours stays, even under a name that was ours',
    present: { a: foreign },
    applied: { a: 'start' },
    plan: {},
  },
];

describe('the plan of a switch', () => {
  it.each(CASES)('$what', ({ wanted = {}, present = {}, applied = {}, givenUp, plan }) => {
    const arrived = Object.fromEntries(Object.entries(applied).map(([name, text]) => [name, hashOf(text)]));
    const [files, here] = [new Map(Object.entries(wanted)), new Map(Object.entries(present))];
    const found = planSwitch(files, here, arrived, isStarted, givenUp);
    expect(found).toEqual({ write: [], remove: [], changed: [], start: [], ...plan });
    expect(isDone(found)).toBe(Object.keys(plan).length === 0);
  });
});
