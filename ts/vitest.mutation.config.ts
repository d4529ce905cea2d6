/** The tests that `make mutation` runs against each changed planner: quick ones, without servers. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: new URL('node_modules/.vite', import.meta.url).pathname,
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: [
      'tests/scenarios/plan.test.ts',
      'tests/unit/sync/{rules,base,choice,sequence,proxy-pushes,expendable}.test.ts',
    ],
    maxWorkers: 1,
  },
});
