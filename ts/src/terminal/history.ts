/** `history` as it is looked at, and as JSON. */
import type { Freshness } from '../credential/freshness.ts';
import type { CredentialName } from '../credential/name.ts';
import type { VersionId } from '../credential/version.ts';
import type { CredentialHistory, KnownVersion } from '../history/collect.ts';
import { shortId } from '../sync/words.ts';
import { fromNow, localTime } from './ago.ts';
import type { Screen } from './screen.ts';
import { type Cell, drawTable } from './table.ts';

/** One line a credential, deleted ones too. `isStoreKnown`: whether the store told what it has. */
export function overviewLines(
  histories: readonly CredentialHistory[],
  isStoreKnown: boolean,
  now: number,
  screen: Screen,
): string[] {
  const columns = [
    { head: 'NAME', shrinksTo: 16, keepsEnd: true },
    { head: 'VERSIONS' },
    { head: 'HERE' },
    { head: 'OLDEST' },
    { head: 'NEWEST' },
    { head: 'BY', shrinksTo: 6 },
    { head: 'STATE', shrinksTo: 12 },
  ];
  const rows = histories.map(({ name, versions, current, tombstone }): Cell[] => {
    const arrived = versions.flatMap((version) => version.arrived ?? []);
    const ago = (instant: number | undefined) => (instant === undefined ? '-' : fromNow(instant, now));
    const state = tombstone
      ? { text: `deleted ${fromNow(tombstone.time, now)} on ${tombstone.host}`, tone: 'dim' as const }
      : current === undefined
        ? { text: 'nowhere', tone: 'soon' as const }
        : { text: 'current' };
    return [
      { text: name },
      { text: isStoreKnown ? String(versions.filter(({ inStore }) => inStore).length) : '?' },
      { text: String(versions.filter(({ onHost }) => onHost).length) },
      { text: ago(arrived[0]) },
      { text: ago(arrived.at(-1)) },
      { text: versions.findLast(({ host }) => host !== '')?.host ?? '-' },
      state,
    ];
  });
  return rows.length > 0 ? drawTable(columns, rows, screen) : ['no version of any credential'];
}

/** The versions of one credential, the newest first. */
export function historyLines(
  history: CredentialHistory,
  freshness: ReadonlyMap<VersionId, Freshness>,
  now: number,
  screen: Screen,
): string[] {
  const { versions, current, tombstone } = history;
  const rows = [...versions].reverse().map((version): Cell[] => {
    const isCurrent = version.id === current && !tombstone;
    const { lastRefresh, expired } = freshness.get(version.id) ?? {};
    const fresh =
      lastRefresh !== undefined
        ? fromNow(lastRefresh, now)
        : expired !== undefined
          ? `to ${localTime(expired)}`
          : '-';
    return [
      { text: isCurrent ? '*' : '', tone: 'ok' },
      { text: version.arrived === undefined ? '-' : localTime(version.arrived) },
      { text: shortId(version.id), tone: isCurrent ? 'ok' : 'plain' },
      { text: version.host || '-' },
      { text: fresh },
      { text: why(version), tone: 'dim' },
    ];
  });
  const deletion: Cell[][] = tombstone
    ? [
        [
          { text: screen.unicode ? '✗' : 'x', tone: 'bad' },
          { text: localTime(tombstone.time) },
          { text: 'deleted', tone: 'bad' },
          { text: tombstone.host },
          { text: '' },
          { text: `at version ${shortId(tombstone.version)}`, tone: 'dim' },
        ],
      ]
    : [];
  const columns = [
    { head: '' },
    { head: 'SINCE' },
    { head: 'VERSION' },
    { head: 'HOST', shrinksTo: 6 },
    { head: 'REFRESHED' },
    { head: 'WHY', shrinksTo: 16, wraps: true },
  ];
  return [...drawTable(columns, [...deletion, ...rows], screen)];
}

/** What `--json` prints; `format` rises when a reader would have to change. */
export function historyJson(
  histories: readonly CredentialHistory[],
  freshness: ReadonlyMap<CredentialName, ReadonlyMap<VersionId, Freshness>>,
  exitCode: number,
): unknown {
  const iso = (instant: number | undefined) =>
    instant === undefined ? null : new Date(instant).toISOString();
  return {
    format: 1,
    command: 'history',
    exitCode,
    credentials: histories.map(({ name, versions, current, tombstone }) => ({
      name,
      current: tombstone ? null : (current ?? null),
      deleted: tombstone
        ? { version: tombstone.version, host: tombstone.host, time: iso(tombstone.time) }
        : null,
      versions: versions.map(({ id, arrived, host, reason, replaces, inStore, onHost }) => {
        const known = freshness.get(name)?.get(id);
        return {
          id,
          arrived: iso(arrived),
          host,
          reason,
          replaces,
          inStore,
          onHost,
          ...(known && { lastRefresh: iso(known.lastRefresh), expires: iso(known.expired) }),
        };
      }),
    })),
  };
}

function why({ reason, inStore, onHost }: KnownVersion): string {
  return inStore || !onHost ? reason : `${reason} (this host only)`;
}
