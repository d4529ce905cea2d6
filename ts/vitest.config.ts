import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: new URL('node_modules/.vite', import.meta.url).pathname,
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['tests/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores: more workers than that only makes the real servers time out.
    maxWorkers: 2,
    reporters: ['default', 'tests/support/summary-reporter.ts'],
    globalSetup: ['tests/support/global-setup.ts'],
  },
});
