import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Health, judge, readHealth, writeHealth } from '../../../ts/src/watch/health.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const MINUTE = 60_000;
const WELL: Health = {
  pid: 42,
  host: 'laptop',
  time: NOW - 10_000,
  due: NOW + 50_000,
  lastSuccess: NOW - 10_000,
  lastError: undefined,
  failures: 0,
};
const FAILING = { failures: 3, lastError: { time: NOW, message: 'the store is away' } };

describe('a watch', () => {
  it.each<[string, Health | undefined, boolean, RegExp]>([
    ['that has never written', undefined, false, /no watch/],
    ['that has just succeeded', WELL, true, /10 s ago/],
    ['that has just begun', { ...WELL, lastSuccess: undefined }, true, /just begun/],
    ['that has stood still since', { ...WELL, due: NOW - 3 * MINUTE }, false, /sign of life/],
    ['that never succeeded', { ...WELL, lastSuccess: undefined, ...FAILING }, false, /away/],
    ['whose store has been away for a moment', { ...WELL, ...FAILING }, true, /ago/],
    [
      'whose store has been away for long',
      { ...WELL, lastSuccess: NOW - 16 * MINUTE, ...FAILING },
      false,
      /960 s ago: the store is away/,
    ],
  ])('%s', (_, health, isHealthy, said) => {
    const verdict = judge(health, NOW);
    expect(verdict.isHealthy).toBe(isHealthy);
    expect(verdict.message).toMatch(said);
  });
});

describe('the file', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'health-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('is read as it was written, in a directory that is made', async () => {
    const path = join(directory, 'run/health.json');
    for (const health of [WELL, { ...WELL, lastSuccess: undefined, ...FAILING }]) {
      await writeHealth(path, health);
      expect(await readHealth(path)).toEqual(health);
    }
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({
      format: 1,
      pid: 42,
      lastSuccess: null,
      lastError: { message: 'the store is away' },
    });
  });

  it.each(['', '{', 'null', '[]', '{"format":2}', '{"format":1,"pid":"x"}'])(
    'that is damaged (%j) is as if there were none',
    async (text) => {
      const path = join(directory, 'health.json');
      await writeFile(path, text);
      expect(await readHealth(path)).toBeUndefined();
      expect(await readHealth(join(directory, 'none'))).toBeUndefined();
    },
  );
});
