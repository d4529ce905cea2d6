/** History, told in the order in which it happened. */
import { expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import type { VersionId } from '../../../ts/src/credential/version.ts';
import { inSequence } from '../../../ts/src/sync/sequence.ts';

const record = (id: string, arrived: number, ...replaces: string[]) => ({
  name: 'a.json' as CredentialName,
  id: id as VersionId,
  arrived,
  host: 'laptop',
  reason: 'refreshed',
  replaces: replaces as VersionId[],
});
const told = (...records: ReturnType<typeof record>[]) => inSequence(records).map(({ id }) => id);

test('by arrival, the oldest first', () => {
  expect(told(record('c', 3), record('a', 1), record('b', 2))).toEqual(['a', 'b', 'c']);
});

test('none before one that it replaced, even if that arrived with it or later', () => {
  expect(told(record('new', 1, 'old'), record('old', 1))).toEqual(['old', 'new']);
  expect(told(record('new', 1, 'mid'), record('mid', 2, 'old'), record('old', 3))).toEqual([
    'old',
    'mid',
    'new',
  ]);
});

test('what arrived together is in one order, however the store lists it', () => {
  expect(told(record('b', 1), record('a', 1))).toEqual(['a', 'b']);
  expect(told(record('a', 1), record('b', 1))).toEqual(['a', 'b']);
});

test('each once, whoever replaced it, and nothing that is not in history', () => {
  expect(told(record('b', 2, 'a', 'lost'), record('c', 3, 'a', 'b'), record('a', 1))).toEqual([
    'a',
    'b',
    'c',
  ]);
});

test('two that replaced each other end it all the same', () => {
  expect(told(record('a', 1, 'b'), record('b', 2, 'a'))).toEqual(['b', 'a']);
});
