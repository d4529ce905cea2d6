import type { HistoryKeep } from '../sync/rules/expendable.ts';
import { SettingsError } from './settings-error.ts';

export const DEFAULT_HISTORY_KEEP: HistoryKeep = { versions: 20, days: 90 };

const MAX = 100_000;

/**
 * `CLIPROXY_HISTORY_KEEP`: a number of versions, an age in days with a `d`, or both with a comma between them
 * (`20,90d`), and then a version goes only if both allow it. `all` keeps everything (undefined here). One version is
 * always kept.
 *
 * @throws SettingsError for anything else.
 */
export function historyKeepFrom(value: string | undefined): HistoryKeep | undefined {
  if (value === undefined) return DEFAULT_HISTORY_KEEP;
  if (/^all$/i.test(value)) return undefined;
  let versions: number | undefined;
  let days: number | undefined;
  for (const part of value.split(',')) {
    const [, count = '', unit = ''] = /^\s*(\d+)\s*(d|days?|v|versions?)?\s*$/i.exec(part) ?? [];
    const isDays = /^d/i.test(unit);
    if (count === '' || Number(count) > MAX || (isDays ? days : versions) !== undefined) throw wrong();
    if (isDays) days = Number(count);
    else versions = Number(count);
  }
  if (versions === 0) throw wrong();
  return { versions: versions ?? 1, days: days ?? 0 };
}

function wrong(): SettingsError {
  return new SettingsError(
    'CLIPROXY_HISTORY_KEEP is no measure of history',
    `Set it to versions and days, such as 20,90d (the default), to one of the two (20, or 90d), or to all; each from 1 to ${MAX}.`,
  );
}
