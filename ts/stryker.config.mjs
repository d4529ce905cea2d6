// `make mutation`: changes the planner in one place at a time, and asks the tables of cases whether they notice.
/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: [
    'ts/src/sync/plan.ts',
    'ts/src/sync/rules/*.ts',
    'ts/src/sync/{actions,base,candidates,decisions,sequence,sightings}.ts',
  ],
  testRunner: 'vitest',
  vitest: { configFile: 'ts/vitest.mutation.config.ts', related: false },
  coverageAnalysis: 'perTest',
  concurrency: 1,
  // A slow machine is no test that failed: only a planner that never ends is out of time.
  timeoutMS: 60_000,
  timeoutFactor: 4,
  // Words are for people, and checked by eye: a changed word is no changed plan.
  mutator: { excludedMutations: ['StringLiteral'] },
  thresholds: { high: 95, low: 92, break: 90 },
  ignorePatterns: ['.venv', '.cache', 'ts/dist', 'result*'],
  // One file alone: `ts/node_modules/.bin/stryker run ts/stryker.config.mjs --mutate FILE`; the others stand in the
  // table as they came out last. What is asked for is tried anew each time: a row of the tables that changed under
  // the same name would not be noticed otherwise.
  incremental: true,
  force: true,
  incrementalFile: 'ts/node_modules/.cache/stryker/incremental.json',
  tempDirName: 'ts/node_modules/.cache/stryker/sandbox',
  reporters: ['clear-text', 'progress-append-only', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: 'ts/node_modules/.cache/stryker/report.json' },
  allowConsoleColors: false,
};
