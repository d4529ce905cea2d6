/** `make coverage`: the branches of the core, from the tests that call it in their own process. */
import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

export default mergeConfig(
  base,
  defineConfig({
    test: {
      // Counting takes its time.
      testTimeout: 300_000,
      coverage: {
        enabled: true,
        provider: 'v8',
        include: ['ts/src/sync/**', 'ts/src/stores/**'],
        reporter: ['text', 'json'],
        reportsDirectory: 'ts/node_modules/.cache/coverage',
        reportOnFailure: true,
        // Every branch, or its reason beside it: `/* v8 ignore if -- ... */` and the like.
        thresholds: {
          'ts/src/sync/**': { branches: 100 },
          'ts/src/stores/**': { branches: 100 },
        },
      },
    },
  }),
);
