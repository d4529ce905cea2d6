import { describe, expect, test } from 'vitest';
import { emptied, strayed } from '../../../ts/src/status/store-problems.ts';
import type { RunRecord } from '../../../ts/src/sync/last-run.ts';

const ran = (command: string, store: string): RunRecord => ({ command, store, time: 0, exitCode: 0 });
const runs = (record: RunRecord | undefined) => ({ last: record, success: record });

describe('a store without a marker', () => {
  test('that had one is gone or was emptied', () => {
    expect(emptied('s3://b', runs(ran('sync', 's3://b')))).toMatchObject([{ subject: 'store' }]);
  });

  test.each([
    ['no run has succeeded', undefined],
    ['the last run used another store', ran('sync', 's3://other')],
    ['the last run could not write a marker', ran('hydrate', 's3://b')],
  ])('is new where %s', (_, record) => {
    expect(emptied('s3://b', runs(record))).toEqual([]);
  });
});

test("the store of this machine is a stray one only after a run with another one's", () => {
  expect(strayed('/store', runs(ran('sync', 's3://b')))).toMatchObject([{ subject: 'store' }]);
  for (const record of [undefined, ran('sync', '/store'), ran('sync', '')])
    expect(strayed('/store', runs(record))).toEqual([]);
});
