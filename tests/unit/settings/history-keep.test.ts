import { expect, test } from 'vitest';
import { historyKeepFrom } from '../../../ts/src/settings/history-keep.ts';
import { SettingsError } from '../../../ts/src/settings/settings-error.ts';

test.each([
  [undefined, { versions: 20, days: 90 }],
  ['20,90d', { versions: 20, days: 90 }],
  ['90d, 20', { versions: 20, days: 90 }],
  ['20 versions, 90 days', { versions: 20, days: 90 }],
  ['5', { versions: 5, days: 0 }],
  ['7d', { versions: 1, days: 7 }],
  ['1 version,0d', { versions: 1, days: 0 }],
  ['all', undefined],
])('CLIPROXY_HISTORY_KEEP=%s', (value, expected) => {
  expect(historyKeepFrom(value)).toEqual(expected);
});

test.each(['0', '-1', '20,30', '7d,8d', '20,90d,1', 'many', '1.5', '20;90d', '999999999', ','])(
  'CLIPROXY_HISTORY_KEEP=%s is refused, and the message names the variable',
  (value) => {
    expect(() => historyKeepFrom(value)).toThrow(SettingsError);
    expect(() => historyKeepFrom(value)).toThrow(/CLIPROXY_HISTORY_KEEP/);
  },
);
