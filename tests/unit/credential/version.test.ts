import { describe, expect, test } from 'vitest';
import { contentOf, fieldDigests, parseCredential, versionOf } from '../../../ts/src/credential/version.ts';

const read = (text: string | Uint8Array) =>
  parseCredential(typeof text === 'string' ? Buffer.from(text) : text);
const idOf = (text: string | Uint8Array) => {
  const parsed = read(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.version.id;
};

describe('files that say the same are one version', () => {
  const plain = '{"type":"claude","email":"a@b","n":1.5}';
  test.each([
    ['other key order', '{"n":1.5,"email":"a@b","type":"claude"}'],
    ['white space and a line end', '{\n  "type": "claude",\n  "email": "a@b", "n": 1.5 }\n'],
    ['Windows line ends', '{\r\n"type":"claude",\r\n"email":"a@b","n":1.5}\r\n'],
    ['a byte order mark', `\ufeff${plain}`],
    ['escaped characters', '{"type":"claude","email":"a\\u0040b","n":1.5}'],
    ['a number written otherwise', '{"type":"claude","email":"a@b","n":1.50}'],
    ['a number with an exponent', '{"type":"claude","email":"a@b","n":15e-1}'],
    ['a key twice, of which the last counts', '{"type":"claude","email":"old","n":1.5,"email":"a@b"}'],
  ])('%s', (_, text) => expect(idOf(text)).toBe(idOf(plain)));

  test('and each keeps its own bytes', () => {
    const bytes = Buffer.from(`\ufeff${plain}\r\n`);
    const parsed = read(bytes);
    expect(parsed.ok && parsed.version.bytes).toEqual(bytes);
  });
});

test('files that differ in any field, at any depth, are different versions', () => {
  const ids = [
    '{"type":"a"}',
    '{"type":"a","x":null}',
    '{"type":"a","x":{}}',
    '{"type":"a","x":{"y":[1,2]}}',
    '{"type":"a","x":{"y":[2,1]}}',
  ].map(idOf);
  expect(new Set(ids).size).toBe(ids.length);
});

describe('what is no credential is named as such, without a word of its content', () => {
  test.each<[string, string | Uint8Array, RegExp]>([
    ['nothing', '', /empty/],
    ['white space', ' \n', /empty/],
    ['a byte order mark alone', '\ufeff', /empty/],
    ['cut short', '{"type":"claude","access_token":"SECRET', /not valid JSON/],
    ['two values', '{"type":"x"}{"type":"SECRET"}', /not valid JSON/],
    ['a list', '["SECRET"]', /not a JSON object/],
    ['null', 'null', /not a JSON object/],
    ['a number', '5', /not a JSON object/],
    ['without a type', '{"email":"SECRET"}', /no "type"/],
    ['an empty type', '{"type":""}', /no "type"/],
    ['a type of white space', '{"type":"  "}', /no "type"/],
    ['a type that is no text', '{"type":5}', /no "type"/],
    ['a type that is inherited only', '{"__proto__":{"type":"x"}}', /no "type"/],
    ['binary', Buffer.from([0x7b, 0xff, 0xfe, 0x00]), /UTF-8/],
    ['UTF-16', Buffer.from('{"type":"x"}', 'utf16le'), /not valid JSON/],
    ['65 levels', `{"type":"x","a":${'['.repeat(64)}${']'.repeat(64)}}`, /deeper/],
    ['100,000 levels', `{"type":"x","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, /deeper/],
    ['100,000 levels of objects', '{"a":'.repeat(100_000), /deeper/],
  ])('%s', (_, text, reason) => {
    const parsed = read(text);
    expect(parsed).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
    expect(JSON.stringify(parsed)).not.toContain('SECRET');
  });

  test('but 64 levels, and 100,000 keys, are read', () => {
    expect(read(`{"type":"x","a":${'['.repeat(63)}${']'.repeat(63)}}`).ok).toBe(true);
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, index]));
    expect(read(JSON.stringify({ type: 'x', ...many })).ok).toBe(true);
  });
});

test('every prefix of a file that a proxy is writing is invalid, but the whole', () => {
  const whole = '{"access_token":"a}","email":"a@b","type":"claude"}';
  for (let length = 0; length < whole.length; length++) expect(read(whole.slice(0, length)).ok).toBe(false);
  expect(read(whole).ok).toBe(true);
});

test('a field called __proto__ is a field like any other', () => {
  const version = read('{"type":"x","__proto__":{"type":"y"}}');
  if (!version.ok) throw new Error(version.reason);
  expect(idOf('{"type":"x"}')).not.toBe(version.version.id);
  expect(Object.hasOwn(fieldDigests(version.content), '__proto__')).toBe(true);
});

test('a version that we make is read back as itself', () => {
  const version = versionOf({ type: 'x', note: 'a<b>&"c"', list: [1, { b: 1, a: 2 }] });
  expect(read(version.bytes)).toMatchObject({ ok: true, version: { id: version.id } });
  expect(contentOf(version)).toEqual({ type: 'x', note: 'a<b>&"c"', list: [1, { b: 1, a: 2 }] });
});

test('what the base remembers of the fields tells no token', () => {
  const content = {
    type: 'x',
    access_token: 'SECRET',
    refresh_token: 'SECRET',
    id_token: 'SECRET',
    note: 'PRIVATE',
  };
  expect(Object.keys(fieldDigests(content))).toEqual(['type', 'note']);
  expect(JSON.stringify(fieldDigests(content))).not.toMatch(/SECRET|PRIVATE/);
});
