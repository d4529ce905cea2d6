import { join, relative } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foldName, MAX_NAME_BYTES, parseName, printable } from '../../../ts/src/credential/name.ts';

describe('a name from a listing is a credential', () => {
  const names = [
    'claude-user@example.com.json',
    'with space.json',
    `quo"te's.json`,
    'hundred%20.json',
    'plus+sign&more.json',
    'übung-日本語-🔑.json',
    '-leading-dash.json',
    'team/nested.json',
    'a..b.json',
    'trailing dot.json./x.json',
    `${'n'.repeat(250)}.json`,
    'CON.json',
    'x.JSON.json',
  ];
  test.each(names)('%j', (name) => expect(parseName(name)).toEqual({ ok: true, name }));
});

describe('a name that is none of ours is passed over in silence', () => {
  const names = [
    '',
    'folder/',
    'notes.txt',
    'token.json.bak',
    'upper.JSON',
    '.hidden.json',
    '.git/config.json',
    '.GIT/x.json',
    'a/.tmp/x.json',
    '.cliproxyapi-sync',
    '.cliproxyapi-sync-0123456789abcdef.tmp',
  ];
  test.each(names)('%j', (name) => expect(parseName(name)).toEqual({ ok: false, kind: 'ignored' }));
});

describe('a name that could reach elsewhere, or be no file name, is refused', () => {
  const names: [string, RegExp][] = [
    ['../outside.json', /part ".."/],
    ['a/../../outside.json', /part ".."/],
    ['a/./b.json', /part "\."/],
    ['/etc/absolute.json', /absolute/],
    ['//server/share.json', /absolute/],
    ['a//b.json', /empty part/],
    ['C:/windows.json', /drive/],
    ['c:relative.json', /drive/],
    ['back\\slash.json', /backslash/],
    ['..\\outside.json', /backslash/],
    ['nul\0.json', /control/],
    ['line\nbreak.json', /control/],
    ['escape\u001b[31m.json', /control/],
    ['del\u007f.json', /control/],
    ['c1\u009b.json', /control/],
    ['half\ud800.json', /Unicode/],
    ['replaced\ufffd.json', /Unicode/],
    [`${'n'.repeat(251)}.json`, /255 bytes/],
    [`${'ü'.repeat(126)}.json`, /255 bytes/],
    [`${'d/'.repeat(450)}x.json`, /900 bytes/],
  ];
  test.each(names)('%j', (name, reason) => {
    expect(parseName(name)).toMatchObject({
      ok: false,
      kind: 'refused',
      reason: expect.stringMatching(reason),
    });
  });
});

test('no name that is taken leaves the directory that it is joined to, whatever it is made of', () => {
  const part = fc.oneof(
    fc.constantFrom('..', '.', '', 'a', 'C:', '\\', '\0', '.json', 'x.json', '%2e%2e', '~'),
    fc.string({ unit: 'grapheme' }),
  );
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
      const check = parseName(`${parts.join('/')}.json`);
      if (!check.ok) return;
      const below = relative('/auths', join('/auths', ...check.name.split('/')));
      expect(below).toBe(check.name);
      expect(Buffer.byteLength(check.name)).toBeLessThanOrEqual(MAX_NAME_BYTES);
    }),
    { numRuns: 500 },
  );
});

test('names that differ in case or Unicode form fold to one', () => {
  expect(foldName('User.json')).toBe(foldName('user.json'));
  expect(foldName('caf\u00e9.json')).toBe(foldName('cafe\u0301.json'));
  expect(foldName('a.json')).not.toBe(foldName('b.json'));
});

test('what is printed moves no cursor and reorders no text', () => {
  expect(printable('a\u001b[2J\n\u202eb\u200b\ufeff')).toBe('a\\u001b[2J\\u000a\\u202eb\\u200b\\ufeff');
  expect(printable('übung 日本.json')).toBe('übung 日本.json');
});
