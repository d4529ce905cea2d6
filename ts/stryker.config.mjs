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
  // Words are for people, and checked by eye: a changed word is no changed plan.
  mutator: { excludedMutations: ['StringLiteral'] },
  thresholds: { high: 95, low: 92, break: 90 },
  ignorePatterns: ['.venv', '.cache', 'ts/dist', 'result*'],
  incremental: true,
  incrementalFile: 'ts/node_modules/.cache/stryker/incremental.json',
  tempDirName: 'ts/node_modules/.cache/stryker/sandbox',
  reporters: ['clear-text', 'progress-append-only', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: 'ts/node_modules/.cache/stryker/report.json' },
  allowConsoleColors: false,
};
