/** What a host remembers, when its files are damaged, newer or not to be written. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { contentOf, fieldDigests } from '../../../ts/src/credential/version.ts';
import { openState, unusable } from '../../../ts/src/sync/state.ts';
import { inputs, v1, v2 } from '../../scenarios/vocabulary.ts';

/** Of a field of v2, as a base has it. */
const [digest] = Object.values(fieldDigests(contentOf(v2)));

let directory: string;
const at = (name: string) => join(directory, name);
const put = (name: string, text: string) => {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
};
const open = (readOnly = false) => openState(directory, { readOnly });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'state-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('a base is read as it was written', async () => {
  const { base } = inputs({ base: { agreed: v2, superseded: [v1] } });
  await (await open()).saveBase('S', base);
  expect(await (await open()).loadBase('S')).toEqual({ base, problems: [] });
});

test('a base remembers what is not known to be kept, and all that a tombstone names', async () => {
  const { base } = inputs({ base: { agreed: v2, superseded: [v1], buried: { deleted: v1 } } });
  const credentials = new Map(
    [...base.credentials].map(([name, entry]) => {
      const { buried } = entry;
      const tombstone = buried && { ...buried.tombstone, also: [v2.id] };
      return [name, { ...entry, unkept: [v1.id], buried: buried && tombstone && { ...buried, tombstone } }];
    }),
  );
  await (await open()).saveBase('S', { ...base, credentials });
  expect((await (await open()).loadBase('S')).base.credentials).toEqual(credentials);
});

test.each([
  ['half of it', (text: string) => text.slice(0, 40)],
  ['no object', () => 'null'],
  [
    'another format',
    (text: string) => text.replace('"format": 1', '"format": 0').replace('"format":1', '"format":0'),
  ],
  ['a version that is none', (text: string) => text.replaceAll(v1.id, 'x')],
  ['a name that leads elsewhere', (text: string) => text.replaceAll('a.json', '../a.json')],
  ['a text where a number belongs', (text: string) => text.replace(/("agreedAt": ?)\d+/, '$1"soon"')],
])('a damaged base is moved aside, and the run is a first join: %s', async (_, damage) => {
  await (await open()).saveBase('S', inputs({ base: { agreed: v1 } }).base);
  const damaged = damage(readFileSync(at('stores/S/base.json'), 'utf8'));
  put('stores/S/base.json', damaged);
  const dry = await (await open(true)).loadBase('S');
  expect(dry.base.credentials.size).toBe(0);
  expect(dry.problems).toMatchObject([{ place: 'state', remedy: 'Nothing to do.' }]);
  expect(readdirSync(at('stores/S'))).toContain('base.json');
  const { base, problems } = await (await open()).loadBase('S');
  expect(base.credentials.size).toBe(0);
  expect(problems).toMatchObject([{ place: 'state', subject: at('stores/S/base.json') }]);
  const [aside] = readdirSync(at('stores/S')).filter((name) => name.startsWith('base.json.damaged-'));
  expect(readFileSync(at(`stores/S/${aside}`), 'utf8')).toBe(damaged);
});

test.each([
  ['a place that is none', (text: string) => text.replace('"auth"', '"elsewhere"')],
  ['a number where a text belongs', (text: string) => text.replace(new RegExp(`"${digest}"`), '7')],
])('damaged notes of what was about to be written are moved aside: %s', async (_, damage) => {
  const { base } = inputs({ base: { agreed: v1, intent: { version: v2, held: ['auth'] } } });
  const state = await open();
  await state.saveBase('S', inputs({ base: { agreed: v1 } }).base);
  await state.noteIntents('S', base.intents);
  expect((await (await open()).loadBase('S')).base.intents).toEqual(base.intents);
  const text = readFileSync(at('stores/S/intents.json'), 'utf8');
  const damaged = damage(text);
  expect(damaged).not.toBe(text);
  put('stores/S/intents.json', damaged);
  const loaded = await (await open()).loadBase('S');
  expect([loaded.base.credentials.size, loaded.base.intents.size]).toEqual([1, 0]);
  expect(loaded.problems).toMatchObject([{ place: 'state', subject: at('stores/S/intents.json') }]);
});

test('a base of a newer program is left alone, with an error', async () => {
  put('stores/S/base.json', '{"format": 99}');
  await expect((await open()).loadBase('S')).rejects.toMatchObject({ kind: 'newer' });
  expect(readdirSync(at('stores/S'))).toEqual(['base.json']);
});

test.each(['{', '[]', '{"somewhere":1}'])(
  'memories that are damaged are found out again: %s',
  async (text) => {
    put('stores.json', text);
    const memory = (await open()).memory('somewhere');
    expect(memory.read()).toEqual({});
    await memory.write({ dialect: 'x' });
    expect((await open()).memory('somewhere').read()).toEqual({ dialect: 'x' });
  },
);

test('a dry run writes nothing', async () => {
  const state = await open(true);
  await state.memory('somewhere').write({ dialect: 'x' });
  await state.keep('a.json' as CredentialName, v1.id, v1.bytes);
  await state.saveBase('S', inputs({ base: { agreed: v1 } }).base);
  expect(readdirSync(directory)).toEqual([]);
});

test('after a run has ended, nothing of it is written any more', async () => {
  const state = await open();
  state.close();
  await expect(state.keep('a.json' as CredentialName, v1.id, v1.bytes)).rejects.toThrow('has ended');
});

test('a file in the place of the state directory is named', async () => {
  put('state', '');
  await expect(openState(at('state/below'), { readOnly: false })).rejects.toMatchObject({
    kind: 'unwritable',
    message: expect.stringContaining('ENOTDIR'),
  });
  await expect((await openState(at('state/below'), { readOnly: true })).loadBase('S')).rejects.toMatchObject({
    kind: 'unwritable',
  });
});

test('what failed without a code is said in its own words', () => {
  expect(unusable('/x', 'broken')).toMatchObject({ kind: 'unusable', remedy: 'Look at that path.' });
});
