/** Which versions history may lose for their age, and what is remembered of them. */
import { expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import type { Version, VersionId } from '../../../ts/src/credential/version.ts';
import { DAY_MS, expendable, type HistoryKeep } from '../../../ts/src/sync/rules/expendable.ts';
import {
  DAY,
  everywhere,
  inputs,
  NOW,
  nameOf,
  type Setup,
  v1,
  v2,
  v3,
  v4,
} from '../../scenarios/vocabulary.ts';

const A = 'a.json' as CredentialName;
const B = 'b.json' as CredentialName;

const record = (version: Version, daysAgo: number, replaces: readonly Version[] = [], name = A) => ({
  name,
  id: version.id,
  host: 'server',
  reason: '',
  arrived: NOW - daysAgo * DAY,
  replaces: replaces.map(({ id }) => id),
});
/** v1 to v4, each of which replaced the one before it; v4 is current, and all are more than a week old. */
const chain = [record(v1, 40), record(v2, 30, [v1]), record(v3, 20, [v2]), record(v4, 10, [v3])];

/** What goes, and what is remembered as replaced, each by name. */
function going(
  records: readonly ReturnType<typeof record>[],
  keep: HistoryKeep,
  others: Readonly<Record<string, Setup>> = { [A]: { places: everywhere(v4) } },
  pruned: ReadonlyMap<CredentialName, readonly VersionId[]> = new Map(),
) {
  const names = (ids: readonly VersionId[]) => ids.map((id) => nameOf({ id }));
  return expendable(records, inputs({ others }).snapshot, pruned, keep).map((entry) => ({
    name: entry.name,
    versions: names(entry.versions),
    superseded: names(entry.superseded),
  }));
}

const one = { versions: 1, days: 0 };

test('a day is 24 hours', () => expect(DAY_MS).toBe(DAY));

test('of each credential so many of the newest stay, and what is younger than so many days', () => {
  expect(going(chain, { versions: 2, days: 0 })).toMatchObject([{ name: A, versions: ['v1', 'v2'] }]);
  expect(going(chain, { versions: 1, days: 25 })).toMatchObject([{ versions: ['v1', 'v2'] }]);
  // One that is just as old as that is not younger.
  expect(going(chain, { versions: 1, days: 30 })).toMatchObject([{ versions: ['v1', 'v2'] }]);
  expect(going(chain, { versions: 1, days: 31 })).toMatchObject([{ versions: ['v1'] }]);
});

test('nothing is said of a credential that loses nothing', () => {
  expect(going(chain, { versions: 4, days: 0 })).toEqual([]);
  expect(going(chain, { versions: 1, days: 41 })).toEqual([]);
});

test('that others were replaced is remembered, where history without these no longer tells it', () => {
  // v3 stays and tells that v2 was replaced; of v1 nothing tells it any more.
  expect(going(chain, { versions: 2, days: 0 })).toEqual([
    { name: A, versions: ['v1', 'v2'], superseded: ['v1'] },
  ]);
  expect(going(chain, one)).toEqual([{ name: A, versions: ['v1', 'v2', 'v3'], superseded: ['v1', 'v2'] }]);
});

test('what was remembered before need not be remembered again', () => {
  const later = chain.slice(1);
  expect(going(later, one, undefined, new Map([[A, [v1.id]]]))).toEqual([
    { name: A, versions: ['v2', 'v3'], superseded: ['v2'] },
  ]);
});

test('each credential has its own count, and loses its own', () => {
  const both = [...chain, record(v1, 40, [], B), record(v2, 30, [v1], B)];
  const places = { [A]: { places: everywhere(v4) }, [B]: { places: everywhere(v2) } };
  expect(going(both, one, places).map(({ name, versions }) => [name, versions])).toEqual([
    [A, ['v1', 'v2', 'v3']],
    [B, ['v1']],
  ]);
});

test('a version that a place holds stays, however old, and is not remembered as replaced', () => {
  // CCS could not be written, and holds v1 still.
  const places = { [A]: { places: { ...everywhere(v4), ccs: v1 } } };
  expect(going(chain, one, places)).toEqual([{ name: A, versions: ['v2', 'v3'], superseded: ['v2'] }]);
});

test('a version that a tombstone names stays, and the others may go', () => {
  const two = chain.slice(0, 2);
  expect(going(chain, one, { [A]: { tombstone: v2 } })).toMatchObject([{ versions: ['v1', 'v3'] }]);
  expect(going(two, one, { [A]: { tombstone: v2 } })).toMatchObject([{ versions: ['v1'] }]);
});

test('nothing goes of a credential that is nowhere, and has no tombstone that tells why', () => {
  expect(going(chain, one, { [A]: { base: { agreed: v4 } } })).toEqual([]);
  expect(going(chain, one, { [A]: { places: everywhere(v4), tombstone: 'damaged' } })).toEqual([]);
  expect(going(chain, one, {})).toEqual([]);
});
