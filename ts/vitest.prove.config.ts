/**
 * `make prove-faults`: the suites that break things, each in full. What `make test` tries a few points of is tried at all
 * of them, which takes hours; each bound may be set in the environment.
 */
import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

/** What the suites read; `make test` leaves them at their small defaults. */
const FULL = {
  /** Every system call and every call of the file system that a run makes. */
  CRASH_POINTS: 'all',
  /** Every kind of request of every store, with every way to fail. */
  STORE_FAULTS: 'all',
  /** Runs that are told to end, for each signal and kind of store. */
  SIGNALS: '20',
  /** Changes beside a real service manager. */
  SERVICE_CHANGES: '100',
  /** Of eight hosts at one store. */
  HAMMER_SECONDS: '180',
  /** Random texts for each reader. */
  FUZZ_RUNS: '200000',
  /** Random places, bases and histories for each rule. */
  PROPERTY_RUNS: '100000',
  SYMPTOMS: 'all',
};

export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: [
      'tests/contract/*-faults.test.ts',
      'tests/contract/*-faults/*.test.ts',
      'tests/e2e/{crash,disk-faults,git,native,store-faults,signals,hammer}.test.ts',
      'tests/e2e/{hostile-store,endless-store,ignoring-provider,secrets,symptoms}.test.ts',
      'tests/e2e/bad-*.test.ts',
      'tests/scenarios/properties.test.ts',
      'tests/services/{backup,crash,symptoms}.test.ts',
      'tests/unit/fuzz.test.ts',
    ],
    env: Object.fromEntries(Object.entries(FULL).map(([name, all]) => [name, process.env[name] ?? all])),
    // What fails once has been found.
    retry: 0,
    // It takes hours: each result as it comes.
    reporters: ['verbose', 'tests/support/summary-reporter.ts'],
  },
});
