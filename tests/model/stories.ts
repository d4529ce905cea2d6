/** Random stories. What is likely is what is interesting: runs, refreshes, and things in the middle of runs. */
import fc from 'fast-check';
import type { Fault } from './machine/process.ts';
import {
  type Dates,
  type Happening,
  HOSTS,
  NAMES,
  type Native,
  type PersonsChoice,
  type Run,
  type StateDamage,
  type Step,
  type Story,
} from './story.ts';

/** Clocks differ by less than a day: what is dated later than that from now counts as undated, on one host alone. */
const host = fc.nat({ max: HOSTS.length - 1 });
// Few names meet more often.
const name = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: NAMES.length - 1 }));
const place = fc.constantFrom('auth' as const, 'auth' as const, 'ccs' as const);
const kind = <K extends string>(value: K) => fc.constant(value);

const common: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kind('login'),
      host,
      name,
      dates: fc.constantFrom<Dates>('refreshed', 'refreshed', 'refreshed', 'expiring', 'none', 'far ahead'),
      isUnsynced: fc.constantFrom(undefined, undefined, true),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: kind('rotate'), host, name, place }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kind('edit'),
      host,
      name,
      place,
      field: fc.constantFrom('note' as const, 'disabled' as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: kind('remove'), host, name, place }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('write back'), host, name, age: fc.nat({ max: 3 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('pause' as const, 'unpause' as const), host, name }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('truncate'), host, name, place }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('half'), host, name, place }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('finish'), host }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind('native write'),
      host,
      name,
      how: fc.constantFrom<Native>('new', 'new', 'old', 'garbage'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('native delete'), name }) },
);

const rare: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kind('state'),
      host,
      damage: fc.constantFrom<StateDamage>(
        'lost',
        'base torn',
        'intents torn',
        'base gone',
        'remembered',
        'rolled back',
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: kind('clock'), host, hours: fc.constantFrom(0, 1, -1, 10, -10) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: kind('time'), seconds: fc.constantFrom(1, 30, 61, 300, 3600, 90_000) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('outage'), on: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('image' as const, 'restore image' as const), host }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('directory'),
      host,
      place,
      how: fc.constantFrom('emptied' as const, 'remade' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('store lost'),
      what: fc.constantFrom('objects' as const, 'objects' as const, 'all' as const),
    }),
  },
);

const at = fc.integer({ min: 1, max: 160 });
const fault = fc.constantFrom<Fault>('EIO', 'ENOSPC', 'EACCES', 'unreachable', 'refused', 'lost answer');

const choice = fc.option(
  fc.oneof(
    fc.record({ kind: kind('restore'), name, age: fc.nat({ max: 4 }) }),
    fc.record({ kind: kind('forget'), name }),
  ),
  { nil: undefined, freq: 5 },
);

/** A choice is made with `sync`. */
const asked = <R extends Run & { choice: PersonsChoice | undefined }>(one: R): Run =>
  one.choice ? { ...one, command: 'sync' } : one;

const run: fc.Arbitrary<Run> = fc
  .record({
    host,
    command: fc.constantFrom('sync' as const, 'sync' as const, 'backup' as const, 'hydrate' as const),
    choice,
    abortAt: fc.option(fc.integer({ min: 1, max: 120 }), { nil: undefined, freq: 8 }),
    crashAt: fc.option(fc.integer({ min: 1, max: 70 }), { nil: undefined, freq: 3 }),
    powerLoss: fc.option(fc.integer({ min: 0, max: 1_000_000 }), { nil: undefined, freq: 2 }),
    faults: fc.oneof(
      { weight: 5, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(fc.record({ at, fault }), { minLength: 1, maxLength: 3 }) },
    ),
    interrupts: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      {
        weight: 1,
        arbitrary: fc.array(fc.record({ at, happening: common }), { minLength: 1, maxLength: 4 }),
      },
    ),
  })
  .map(asked);

/** A run as it mostly is. */
const plain: fc.Arbitrary<Run> = fc
  .record({
    host,
    command: fc.constantFrom('sync' as const, 'sync' as const, 'backup' as const, 'hydrate' as const),
    choice,
    faults: fc.constant([]),
    interrupts: fc.constant([]),
  })
  .map(asked);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: common },
  { weight: 4, arbitrary: rare },
  { weight: 5, arbitrary: plain.map((one): Step => ({ kind: 'runs', runs: [one], seed: 0 })) },
  { weight: 4, arbitrary: run.map((one): Step => ({ kind: 'runs', runs: [one], seed: 0 })) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: kind('runs'),
      runs: fc.array(fc.oneof(plain, run), { minLength: 1, maxLength: 3 }),
      seed: fc.integer({ min: 0, max: 1_000_000 }),
    }),
  },
);

/** Any story. */
export const stories: fc.Arbitrary<Story> = fc.record({
  hosts: fc.array(fc.record({ ccs: fc.boolean() }), { minLength: 1, maxLength: 4 }),
  credentials: fc.nat({ max: 6 }),
  agreed: fc.boolean(),
  conditions: fc.oneof({ weight: 7, arbitrary: fc.constant(true) }, fc.constant(false)),
  tags: fc.constantFrom('content' as const, 'writes' as const),
  keep: fc.option(fc.record({ versions: fc.integer({ min: 1, max: 3 }), days: fc.nat({ max: 1 }) }), {
    nil: undefined,
    freq: 2,
  }),
  steps: fc.array(step, { minLength: 1, maxLength: 24, size: 'max' }),
});
