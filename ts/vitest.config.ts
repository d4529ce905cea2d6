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
    // Real servers and service managers on a busy machine; a test that needed it is marked in the output.
    retry: process.env.CI ? 2 : 0,
    reporters: ['default', 'tests/support/summary-reporter.ts'],
    globalSetup: ['tests/support/global-setup.ts'],
  },
});
