import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Dialect } from '../../ts/src/stores/s3/dialect.ts';
import type { S3Options } from '../../ts/src/stores/s3/options.ts';
import { s3Store } from '../../ts/src/stores/s3/store.ts';
import type { ListedObject, StoreChange } from '../../ts/src/stores/store.ts';
import { memoryInMemory } from '../support/memory.ts';
import { freshBucket, lookInto, s3Server } from '../support/s3.ts';
import { HONOURED, knowing, proxy } from './s3-proxy.ts';
import { create, credential, current, entry, MARKER, named, readAll, versionIn } from './vocabulary.ts';

/** A prepared bucket, its store seen through the proxy, and what the host remembers. */
async function preparedBucket(dialect: Dialect = HONOURED) {
  const direct = freshBucket();
  const options: S3Options = { ...direct, endpoint: proxy.endpoint };
  const memory = knowing(dialect);
  const store = s3Store(options, memory);
  await store.prepare(MARKER);
  proxy.forget();
  return { options, direct, memory, store, outside: lookInto(direct) };
}

describe.skipIf(!s3Server)('what goes over the wire', () => {
  describe('its cost', () => {
    test('a backup with nothing to do asks for four listings and nothing else', async () => {
      const { store, options, memory } = await preparedBucket();
      await store.commit(['a.json', 'me+work@x.json'].map((name) => create(name, credential(name))));
      await s3Store(options, memory).list();
      proxy.forget();
      const next = s3Store(options, memory);
      await next.list();
      await next.prepare(MARKER);
      expect(proxy.counts()).toEqual({ LIST: 4 });
    });

    test('a host that comes for the first time reads the marker too, once', async () => {
      const { options } = await preparedBucket();
      const memory = memoryInMemory();
      await s3Store(options, memory).list();
      expect(proxy.counts()).toEqual({ LIST: 4, GET: 1 });
      proxy.forget();
      await s3Store(options, memory).list();
      expect(proxy.counts()).toEqual({ LIST: 4 });
    });

    test('one rotated credential costs three conditional PUTs: history, current, backup', async () => {
      const { store, options, memory } = await preparedBucket();
      await store.commit([create('a.json', credential('old'))]);
      const next = s3Store(options, memory);
      const { current: seen, backup } = await next.list();
      await next.prepare(MARKER);
      proxy.forget();
      const bytes = credential('new');
      const outcomes = await next.commit([rotation('a.json', bytes, seen, backup)]);
      expect(outcomes[0]?.kind).toBe('done');
      expect(
        proxy.requests.map(({ kind, key, headers }) => [
          kind,
          key,
          headers['if-match'],
          headers['if-none-match'],
        ]),
      ).toEqual([
        ['PUT', `sync/history/a.json/${versionIn(bytes)}.json`, undefined, '*'],
        ['PUT', 'auths/a.json', `"${seen.get('a.json')?.tag}"`, undefined],
        ['PUT', 'backup/auths/a.json', `"${backup.get('a.json')?.tag}"`, undefined],
      ]);
    });

    test('tombstones are listed once all else was: what a deletion takes away is never missing without one', async () => {
      const { store } = await preparedBucket();
      await store.commit([create('a.json', credential('a'))]);
      let asked = 0;
      let later = 0;
      proxy.spoil(({ kind, key }) => {
        if (kind === 'LIST' && key === 'sync/tombstones/') later = performance.now() - asked;
        if (kind !== 'LIST' || key !== 'auths/') return undefined;
        asked = performance.now();
        return { kind: 'delay', ms: 300 };
      });
      await store.list();
      proxy.spoil(() => undefined);
      expect(later).toBeGreaterThan(250);
    });

    test('hydrating reads each object once', async () => {
      const { store, options, memory } = await preparedBucket();
      const names = Array.from({ length: 40 }, (_, index) => `${index}.json`);
      await store.commit(names.map((name) => create(name, credential(name))));
      proxy.forget();
      await readAll(s3Store(options, memory), names.map(current));
      expect(proxy.counts()).toEqual({ GET: 40 });
    });

    test('what the listing shows to be too large is not even asked for', async () => {
      const { store, outside } = await preparedBucket();
      await outside.put('auths/huge.json', Buffer.alloc(1024 * 1024 + 1));
      await store.list();
      proxy.forget();
      expect(await readAll(store, [current('huge.json')])).toEqual([
        { kind: 'too-large', size: 1024 * 1024 + 1 },
      ]);
      expect(proxy.requests).toEqual([]);
    });
  });

  describe('its layout', () => {
    test('is CLIProxyAPI’s own, with our records below sync/', async () => {
      const { store, outside } = await preparedBucket();
      const bytes = credential('a');
      const id = versionIn(bytes);
      const change: StoreChange = {
        ...create('a.json', bytes),
        keep: [{ ...entry(bytes), host: 'büro', reason: 'fresher: 100%', replaces: [id, id] }],
        keepAside: [Buffer.from('x')],
        tombstone: { kind: 'put', bytes: Buffer.from('{}'), seen: undefined },
      };
      await store.commit([change]);
      expect(await outside.keys()).toEqual([
        'auths/a.json',
        'backup/auths/a.json',
        `sync/history/a.json/${id}.json`,
        'sync/rejected/a.json/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
        'sync/store.json',
        'sync/tombstones/a.json',
      ]);
      const object = await outside.get('auths/a.json');
      expect(object).toMatchObject({ contentType: 'application/json', metadata: { 'sync-version': id } });
      expect((await outside.get('backup/auths/a.json')).metadata).toEqual({ 'sync-version': id });
      expect((await outside.get(`sync/history/a.json/${id}.json`)).metadata).toEqual({
        'sync-host': 'b%C3%BCro',
        'sync-reason': 'fresher%3A 100%25',
        'sync-replaces': `${id},${id}`,
      });
      expect(JSON.parse(String((await outside.get('sync/store.json')).bytes))).toEqual({
        ...MARKER,
        created: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      });
    });

    test('a listing tells the MD5 of each credential', async () => {
      const { store } = await preparedBucket();
      await store.commit([create('a.json', Buffer.from('{"type":"x"}'))]);
      expect((await store.list()).current.get('a.json')?.md5).toBe(
        createHash('md5').update('{"type":"x"}').digest('hex'),
      );
    });

    test('a marker that is none stops everything, and names what to do', async () => {
      const { options, outside } = await preparedBucket();
      await outside.put('sync/store.json', Buffer.from('{"id": 7'));
      const store = s3Store(options, memoryInMemory());
      await expect(store.list()).rejects.toMatchObject({
        name: 'StoreError',
        kind: 'refused',
        remedy: expect.stringMatching(/remove/),
      });
      await expect(store.prepare(MARKER)).rejects.toMatchObject({ kind: 'refused' });
    });
  });

  describe('its listing', () => {
    test('joins all pages', async () => {
      const { store, outside } = await preparedBucket();
      const names = Array.from({ length: 1_005 }, (_, index) => `account-${index}.json`);
      for (let start = 0; start < names.length; start += 50) {
        await Promise.all(
          names.slice(start, start + 50).map((name) => outside.put(`auths/${name}`, credential(name))),
        );
      }
      proxy.forget();
      const listing = await store.list();
      expect([...listing.current.keys()].sort()).toEqual([...names].sort());
      expect(proxy.counts().LIST).toBe(5);
    });

    test('joins 12,000 keys in short pages', async () => {
      const { store } = await preparedBucket();
      spoilListing('auths/', cannedPages(12_000, 997));
      expect((await store.list()).current.size).toBe(12_000);
    });

    test.each([
      ['says that it goes on, but not where', () => page(['a.json'], { truncated: true })],
      ['goes on for ever in the same place', () => page(['a.json'], { truncated: true, next: 'again' })],
      [
        'does not say whether it goes on',
        () => page(['a.json'], {}).replace(/<IsTruncated>.*<\/IsTruncated>/, ''),
      ],
      ['is a web page', () => '<html><body>Welcome to the Hotel</body></html>'],
      ['is cut in the middle', () => page(['a.json', 'b.json'], {}).slice(0, -60)],
      ['is empty', () => ''],
      ['is no XML', () => 'OK'],
      ['is of other keys', () => page(['a.json'], {}).replaceAll('auths/', 'other/')],
      ['has no ETags', () => page(['a.json'], {}).replace(/<ETag>.*?<\/ETag>/, '')],
    ])('is an error when the answer %s, never a shorter list', async (_, body) => {
      const { store } = await preparedBucket();
      spoilListing('auths/', body);
      await expect(store.list()).rejects.toMatchObject({ name: 'StoreError', kind: 'unreachable' });
    });

    test('is refused over 100,000 keys', async () => {
      const { store } = await preparedBucket();
      spoilListing('auths/', cannedPages(101_000, 1_000));
      await expect(store.list()).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/100,000/),
      });
    });

    const hostile = [
      '../../etc/passwd.json',
      'back\\slash.json',
      'new\nline.json',
      '\u0001.json',
      '/absolute.json',
      ' lead.json',
    ];
    test('hands on hostile names as they are, and hides none', async () => {
      const { store } = await preparedBucket();
      spoilListing('auths/', () => page([...hostile, 'a.json'], { encode: encodeURIComponent }));
      expect([...(await store.list()).current.keys()]).toEqual([...hostile, 'a.json']);
    });

    test('hands on names that are not UTF-8 as such, beside the others', async () => {
      const { store } = await preparedBucket();
      spoilListing('auths/', () => page(['%FF.json', 'a.json'], { encode: (name) => name }));
      expect([...(await store.list()).current.keys()]).toEqual(['\ufffd.json', 'a.json']);
    });

    const form = (name: string) => encodeURIComponent(name).replaceAll('%20', '+');
    const path = (name: string) => encodeURIComponent(name).replaceAll('%2B', '+');
    test.each([
      ['as in forms (AWS), told by a plus', form, ['a b.json', 'c+d.json']],
      ['as in paths, told by a space', path, ['a b.json', 'c+d.json']],
      ['as in forms, told by asking again', form, ['a b.json']],
      ['as in paths, told by asking again', path, ['c+d.json']],
    ])('tells a plus from a space where keys are encoded %s', async (_, encode, names) => {
      const { store, memory } = await preparedBucket();
      spoilListing('auths/', (encoded) => page(names, encoded ? { encode } : {}));
      expect([...(await store.list()).current.keys()]).toEqual(names);
      expect(memory.read().plusSign).toBe(encode === form ? 'space' : 'plus');
    });
  });
});

/** Rules one prefix's listing with canned pages; the others are asked of the server. */
function spoilListing(prefix: string, body: (encoded: boolean, token: string | undefined) => string): void {
  proxy.spoil(({ kind, key, query }) =>
    kind === 'LIST' && key === prefix
      ? {
          kind: 'body',
          type: 'application/xml',
          body: body(query['encoding-type'] === 'url', query['continuation-token']),
        }
      : undefined,
  );
}

interface PageOptions {
  readonly truncated?: boolean;
  readonly next?: string;
  readonly encode?: (name: string) => string;
}

function page(names: readonly string[], { truncated = false, next, encode }: PageOptions): string {
  const xml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const contents = names.map(
    (name) =>
      `<Contents><Key>auths/${encode ? encode(name) : xml(name)}</Key><Size>7</Size>` +
      `<ETag>&quot;${'0'.repeat(32)}&quot;</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
  );
  return (
    `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>` +
    `<IsTruncated>${truncated}</IsTruncated>${encode ? '<EncodingType>url</EncodingType>' : ''}` +
    `${next ? `<NextContinuationToken>${next}</NextContinuationToken>` : ''}${contents.join('')}</ListBucketResult>`
  );
}

function cannedPages(count: number, size: number) {
  return (_: boolean, token: string | undefined): string => {
    const start = Number(token ?? 0);
    const names = Array.from(
      { length: Math.min(size, count - start) },
      (_each, index) => `${start + index}.json`,
    );
    const next = start + names.length;
    return page(names, next < count ? { truncated: true, next: String(next) } : {});
  };
}

function rotation(
  name: string,
  bytes: Uint8Array,
  seen: ReadonlyMap<string, ListedObject>,
  backup: ReadonlyMap<string, ListedObject>,
): StoreChange {
  const version = versionIn(bytes);
  return {
    name: named(name),
    keep: [entry(bytes)],
    current: { kind: 'put', bytes, seen: seen.get(name)?.tag, version },
    backup: { kind: 'put', bytes, seen: backup.get(name)?.tag, version },
  };
}
