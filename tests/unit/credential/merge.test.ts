import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../ts/src/credential/json.ts';
import { mergeVersions } from '../../../ts/src/credential/merge.ts';
import {
  contentOf,
  fieldDigests,
  parseCredential,
  TOKEN_FIELDS,
  type Version,
  versionOf,
} from '../../../ts/src/credential/version.ts';

const BASE = {
  type: 'claude',
  access_token: 'a1',
  refresh_token: 'r1',
  last_refresh: '1',
  note: 'old',
  disabled: false,
};
const merge = (versions: [JsonObject, ...JsonObject[]], base: JsonObject | undefined = BASE) =>
  contentOf(mergeVersions(versions.map(versionOf) as [Version, ...Version[]], base && fieldDigests(base)));

describe('of two changes to one credential', () => {
  test('both survive: a refresh here, a disabled flag there', () => {
    const refreshed = { ...BASE, access_token: 'a2', refresh_token: 'r2', last_refresh: '2' };
    const disabled = { ...BASE, disabled: true };
    expect(merge([refreshed, disabled])).toEqual({ ...refreshed, disabled: true });
  });

  test('the tokens are never mixed, though each side has one that the other has not', () => {
    const { refresh_token: _, ...reader } = { ...BASE, access_token: 'a3', last_refresh: '3' };
    const other = { ...BASE, access_token: 'a2', refresh_token: 'r2', id_token: 'i2', last_refresh: '2' };
    expect(merge([reader, other])).toEqual(reader);
  });

  test('the fresher decides a field that both changed', () => {
    expect(
      merge([
        { ...BASE, note: 'fresher' },
        { ...BASE, note: 'older' },
      ]).note,
    ).toBe('fresher');
  });

  test('a field that one side took away stays away', () => {
    const { note: _, ...without } = BASE;
    expect(merge([{ ...BASE, disabled: true }, without])).toEqual({ ...without, disabled: true });
  });

  test('a field that one side took away and the fresher changed lives', () => {
    const { note: _, ...without } = BASE;
    expect(merge([{ ...BASE, note: 'new' }, without]).note).toBe('new');
  });

  test('fields that each side added are both there', () => {
    expect(
      merge([
        { ...BASE, a: 1 },
        { ...BASE, b: 2 },
      ]),
    ).toEqual({ ...BASE, a: 1, b: 2 });
  });

  test('without a base every field counts that anyone has', () => {
    const merged = contentOf(
      mergeVersions([versionOf({ type: 'x', a: 1 }), versionOf({ type: 'x', b: 2 })], undefined),
    );
    expect(merged).toEqual({ type: 'x', a: 1, b: 2 });
  });
});

test('three versions merge as two do', () => {
  const merged = merge([
    { ...BASE, access_token: 'a2', last_refresh: '2' },
    { ...BASE, disabled: true },
    { ...BASE, note: 'new' },
  ]);
  expect(merged).toEqual({ ...BASE, access_token: 'a2', last_refresh: '2', disabled: true, note: 'new' });
});

test('a merge that is equal to one of its versions is that very version, bytes and all', () => {
  const bytes = Buffer.from(`\ufeff${JSON.stringify({ ...BASE, note: 'new' }, null, 2)}\r\n`);
  const parsed = parseCredential(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  expect(mergeVersions([versionOf(BASE), parsed.version], fieldDigests(BASE))).toBe(parsed.version);
});

test('a field called __proto__ is merged as any other', () => {
  const odd: JsonObject = JSON.parse('{"type":"x","__proto__":{"a":1}}');
  const merged = mergeVersions([versionOf({ type: 'x', b: 2 }), versionOf(odd)], fieldDigests({ type: 'x' }));
  expect(Buffer.from(merged.bytes).toString()).toBe('{"__proto__":{"a":1},"b":2,"type":"x"}');
});

describe('whatever the fields are', () => {
  const fields = ['type', 'note', 'disabled', ...TOKEN_FIELDS];
  const content = fc
    .dictionary(fc.constantFrom(...fields), fc.constantFrom('1', '2', '3'))
    .map((some): JsonObject => ({ ...some, type: 'x' }));

  test('the same versions in the same order give the same merge, and merging it in once more changes nothing', () => {
    fc.assert(
      fc.property(content, content, content, (base, a, b) => {
        const digests = fieldDigests(base);
        const first = mergeVersions([versionOf(a), versionOf(b)], digests);
        expect(mergeVersions([versionOf(a), versionOf(b)], digests).id).toBe(first.id);
        expect(mergeVersions([first, versionOf(a), versionOf(b)], digests).id).toBe(first.id);
      }),
    );
  });

  test('every change that only one side made is in the merge', () => {
    fc.assert(
      fc.property(content, content, content, (base, a, b) => {
        const merged = contentOf(mergeVersions([versionOf(a), versionOf(b)], fieldDigests(base)));
        for (const field of ['note', 'disabled']) {
          if (a[field] === base[field]) expect(merged[field]).toEqual(b[field]);
          if (b[field] === base[field]) expect(merged[field]).toEqual(a[field]);
        }
        for (const field of TOKEN_FIELDS) expect(merged[field]).toEqual(a[field]);
      }),
    );
  });
});
