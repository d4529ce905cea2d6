import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalJson,
  isObject,
  type Json,
  nestingDepth,
  proxyJson,
} from '../../../ts/src/credential/json.ts';

describe('canonical JSON', () => {
  test('sorts keys at every level and drops white space', () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }], a: 'x' })).toBe('{"a":"x","b":[{"c":null,"d":1}]}');
  });

  test('sorts keys that look like integers as text', () => {
    expect(canonicalJson({ b: 1, '10': 2, '9': 3 })).toBe('{"10":2,"9":3,"b":1}');
  });

  test('keeps a field that is called __proto__', () => {
    const text = '{"__proto__":{"admin":true},"type":"x"}';
    const value: Json = JSON.parse(text);
    expect(canonicalJson(value)).toBe(text);
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });

  test('says the same of a value whatever order its keys came in, and parses back to it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.parse(JSON.stringify(value)) as Json;
        expect(canonicalJson(reversed(json))).toBe(canonicalJson(json));
        expect(JSON.parse(canonicalJson(json))).toEqual(json);
      }),
    );
  });
});

test("the proxy's form escapes as the proxy does, so that it finds nothing to rewrite", () => {
  expect(proxyJson({ url: 'a<b>&c\u2028\u2029' })).toBe('{"url":"a\\u003cb\\u003e\\u0026c\\u2028\\u2029"}');
  expect(JSON.parse(proxyJson({ url: 'a<b>&c\u2028' }))).toEqual({ url: 'a<b>&c\u2028' });
});

describe('nesting is measured before anything recurses', () => {
  test.each([
    ['{}', 1],
    ['[[[]]]', 3],
    ['{"a":"[[[["}', 1],
    ['{"a":"\\"[[[["}', 1],
    ['{"a":"\\\\"}[[', 2],
    ['"no brackets"', 0],
  ])('%s nests %i deep', (text, depth) => expect(nestingDepth(text)).toBe(depth));

  test('100,000 levels exhaust no stack', () => {
    expect(nestingDepth('['.repeat(100_000))).toBe(100_000);
    expect(nestingDepth(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)).toBe(100_000);
  });
});

test('a list, null and a text are no objects', () => {
  expect([{}, [], null, 'x', 1].map(isObject)).toEqual([true, false, false, false, false]);
});

function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}
