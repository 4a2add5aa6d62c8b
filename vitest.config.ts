import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters:
      process.env['CI'] === undefined
        ? ['default', './test/support/count-reporter.ts']
        : ['dot', './test/support/count-reporter.ts'],
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    sequence: { shuffle: false },
  },
});
