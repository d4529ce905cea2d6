/** Answers of S3 servers, and of what is none, that seldom come. */
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { openBucket } from '../../ts/src/stores/s3/bucket.ts';
import { DEFAULT_TIMEOUTS, s3Client } from '../../ts/src/stores/s3/client.ts';
import { type Dialect, recallDialect, rememberDialect } from '../../ts/src/stores/s3/dialect.ts';
import { resolveEndpoint } from '../../ts/src/stores/s3/endpoint.ts';
import { historyMetadata, readWords } from '../../ts/src/stores/s3/history.ts';
import type { S3Options, S3Timeouts } from '../../ts/src/stores/s3/options.ts';
import { s3Store } from '../../ts/src/stores/s3/store.ts';
import { md5Of } from '../../ts/src/stores/s3/tag.ts';
import type { Store, StoreMemory } from '../../ts/src/stores/store.ts';
import type { Fault, S3Request } from '../support/fault-proxy.ts';
import { memoryInMemory } from '../support/memory.ts';
import { freshBucket, lookInto, s3Server } from '../support/s3.ts';
import { HONOURED, knowing, proxy } from './s3-proxy.ts';
import {
  create,
  credential,
  current,
  entry,
  errorOf,
  MARKER,
  named,
  readAll,
  versionIn,
} from './vocabulary.ts';

const NONE: Dialect = { ...HONOURED, conditions: 'none', conditionalDelete: false };
const DENIED: Fault = { kind: 'answer', status: 403, code: 'AccessDenied' };
const GONE: Fault = { kind: 'answer', status: 404, code: 'NoSuchKey' };
const BROKEN: Fault = { kind: 'answer', status: 500 };

async function bucketWith(dialect = HONOURED, timeouts?: S3Timeouts) {
  const direct = freshBucket();
  const first = s3Store(direct, knowing(dialect));
  await first.prepare(MARKER);
  await first.commit([create('a.json', credential('a'))]);
  const tag = (await first.list()).current.get('a.json')?.tag ?? '';
  await first.close();
  const options: S3Options = { ...direct, endpoint: proxy.endpoint, ...(timeouts && { timeouts }) };
  const open = (memory: StoreMemory = knowing(dialect)): Store => s3Store(options, memory);
  return { options, open, store: open(), tag, outside: lookInto(direct) };
}

/** Spoils what a request's kind and the beginning of its key pick, the first `times` of them. */
function spoil(fault: Fault, kind: S3Request['kind'], key: string, times = Number.POSITIVE_INFINITY): void {
  let left = times;
  proxy.spoil((request) =>
    request.kind === kind && request.key.startsWith(key) && left-- > 0 ? fault : undefined,
  );
}

const put = (name: string, text: string, seen?: string) => ({
  name: named(name),
  keep: [],
  current: { kind: 'put' as const, bytes: credential(text), seen },
});
const removal = (seen: string) => ({
  name: named('a.json'),
  keep: [],
  current: { kind: 'remove' as const, seen },
});

describe.skipIf(!s3Server)('a write', () => {
  test('that is answered without a tag is one of no S3 server, if the object is not there then', async () => {
    const { store } = await bucketWith();
    spoil({ kind: 'body', body: 'thank you' }, 'PUT', 'auths/b.json');
    expect(await store.commit([put('b.json', 'b')])).toMatchObject([
      { kind: 'failed', error: { message: expect.stringMatching(/no S3 server/) } },
    ]);
  });

  test('that is answered without a tag is done, if the object is there', async () => {
    const { store, outside } = await bucketWith();
    await outside.put('auths/b.json', credential('b'));
    spoil({ kind: 'body', body: '' }, 'PUT', 'auths/b.json');
    expect(await store.commit([put('b.json', 'b')])).toMatchObject([
      { kind: 'done', current: expect.stringMatching(/^[0-9a-f]{32}$/) },
    ]);
  });

  test('that is refused, and may not be read back, fails and is not taken for lost', async () => {
    const { store, tag } = await bucketWith();
    proxy.spoil(({ kind, key }) => {
      if (key !== 'auths/a.json') return undefined;
      return kind === 'PUT' ? { kind: 'answer', status: 412, code: 'PreconditionFailed' } : DENIED;
    });
    expect(await store.commit([put('a.json', 'b', tag)])).toMatchObject([
      { kind: 'failed', error: { kind: 'refused' } },
    ]);
  });

  test('of history that another request was in the way of is made again', async () => {
    const { store } = await bucketWith();
    spoil(
      { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' },
      'PUT',
      'sync/history/b.json',
      1,
    );
    expect(await store.commit([create('b.json', credential('b'))])).toMatchObject([{ kind: 'done' }]);
    expect((await store.history([named('b.json')])).map(({ id }) => id)).toEqual([
      versionIn(credential('b')),
    ]);
  });

  test('of one object that the server cannot take fails alone, also where nothing can be removed', async () => {
    const { store } = await bucketWith();
    proxy.spoil(({ kind, key }) => (key === 'auths/b.json' || kind === 'DELETE' ? BROKEN : undefined));
    const outcomes = await store.commit([put('b.json', 'b'), put('c.json', 'c')]);
    expect(outcomes).toMatchObject([{ kind: 'failed', error: { kind: 'unreachable' } }, { kind: 'done' }]);
  });

  test('of a version that is to replace more than can be recorded is refused', () => {
    const replaces = Array.from({ length: 17 }, (_, index) => versionIn(credential(`${index}`)));
    expect(() => historyMetadata({ ...entry(credential('a')), replaces })).toThrow(
      /replace 17 others at once/,
    );
  });
});

describe.skipIf(!s3Server)('a removal', () => {
  test.each<[string, Dialect, Fault, object]>([
    ['of what is gone already is done', HONOURED, GONE, { kind: 'done' }],
    ['that is denied fails', HONOURED, DENIED, { kind: 'failed', error: { kind: 'refused' } }],
    ['that is denied fails, where no condition goes with it', NONE, DENIED, { kind: 'failed' }],
  ])('%s', async (_, dialect, fault, outcome) => {
    const { store, tag } = await bucketWith(dialect);
    spoil(fault, 'DELETE', 'auths/a.json');
    expect(await store.commit([removal(tag)])).toMatchObject([outcome]);
  });

  test('that the server fails at fails', async () => {
    const { store, tag } = await bucketWith();
    spoil(BROKEN, 'DELETE', 'auths/a.json');
    expect(await store.commit([removal(tag)])).toMatchObject([
      { kind: 'failed', error: { kind: 'unreachable' } },
    ]);
  });

  test('of what is gone when it is looked at, where conditions do not hold, is done', async () => {
    const { store } = await bucketWith(NONE);
    expect(await store.commit([{ ...removal('0'.repeat(32)), name: named('never.json') }])).toEqual([
      { kind: 'done' },
    ]);
  });
});

describe.skipIf(!s3Server)('a look', () => {
  test('at history that fails is no history that is empty', async () => {
    const { store } = await bucketWith();
    spoil(DENIED, 'HEAD', 'sync/history/');
    expect((await errorOf(store.history())).message).toMatch(/Cannot look at sync\/history/);
    spoil(GONE, 'HEAD', 'sync/history/');
    expect(await store.history()).toEqual([]);
  });

  test('at one object that cannot be read out fails alone, also in a bucket that has no marker yet', async () => {
    const { store, outside } = await bucketWith();
    await outside.put('auths/b.json', credential('b'));
    proxy.spoil(({ kind, key }) => {
      if (kind !== 'GET') return undefined;
      return key === 'auths/a.json' ? BROKEN : key === 'sync/store.json' ? GONE : undefined;
    });
    expect(await readAll(store, [current('a.json'), current('b.json')])).toMatchObject([
      { kind: 'failed' },
      { kind: 'object' },
    ]);
  });

  test('at an object that turns out larger than was listed is given up, and nothing of it is taken', async () => {
    const { store } = await bucketWith();
    const body = 'x'.repeat(1024 * 1024 + 1);
    spoil({ kind: 'body', body, headers: { etag: '"large"' } }, 'GET', 'auths/a.json');
    expect(await readAll(store, [current('a.json')])).toEqual([{ kind: 'too-large', size: body.length }]);
  });

  test('that takes too long in all is ended', async () => {
    const { store } = await bucketWith(HONOURED, { connect: 5_000, idle: 5_000, overall: 400 });
    spoil({ kind: 'silence' }, 'GET', '');
    expect((await errorOf(readAll(store, [current('a.json')]))).message).toMatch(/did not answer in time/);
  });
});

describe.skipIf(!s3Server)('the config', () => {
  test('that is too large, or may not be read, is said', async () => {
    const { store, outside } = await bucketWith();
    await outside.put('config/config.yaml', Buffer.alloc(1024 * 1024 + 1, '#'));
    expect((await errorOf(store.readConfig())).message).toMatch(/has 1048577 bytes, which is no config/);
    spoil(DENIED, 'GET', 'config/');
    expect((await errorOf(store.readConfig())).remedy).toBe('Give the access key the right to read it.');
  });

  test('has no history where there is no bucket, and one that may not be read is not an empty one', async () => {
    expect(await s3Store(freshBucket(), knowing()).configHistory()).toEqual([]);
    const { store } = await bucketWith();
    const kept = { bytes: Buffer.from('port: 1\n'), host: 'laptop', reason: 'new here' };
    await store.commitConfig({ bytes: kept.bytes, seen: undefined, keep: [kept] });
    spoil(DENIED, 'GET', 'sync/config/');
    expect((await errorOf(store.configHistory())).kind).toBe('refused');
    spoil(GONE, 'GET', 'sync/config/');
    expect(await store.configHistory()).toEqual([]);
  });
});

describe.skipIf(!s3Server)('pruning', () => {
  const pruning = { name: named('a.json'), versions: [versionIn(credential('a'))], superseded: [] };

  test('that may not remove says so', async () => {
    const { store } = await bucketWith();
    spoil(DENIED, 'DELETE', 'sync/history/');
    expect((await errorOf(store.prune([pruning]))).kind).toBe('refused');
  });

  test('that may not read what was pruned before removes nothing', async () => {
    const { store, outside } = await bucketWith();
    spoil(DENIED, 'GET', 'sync/pruned/');
    expect((await errorOf(store.prune([pruning]))).kind).toBe('refused');
    expect((await outside.keys('sync/history/')).length).toBe(1);
    await outside.put('sync/pruned/notes.txt', Buffer.from('mine'));
    expect(await store.pruned()).toEqual(new Map());
  });
});

describe.skipIf(!s3Server)('the marker', () => {
  test('that may not be read, or is as large as none is, stops everything', async () => {
    const { open, outside } = await bucketWith();
    spoil(DENIED, 'GET', 'sync/store.json');
    expect((await errorOf(open().list())).message).toMatch(/Cannot read sync\/store\.json/);
    await outside.put('sync/store.json', Buffer.alloc(1024 * 1024 + 1, ' '));
    proxy.spoil(() => undefined);
    expect((await errorOf(open().prepare(MARKER))).message).toMatch(/not one that this program can read/);
  });

  test('that is gone between the listing and the look at it is none, and is made anew', async () => {
    const { open } = await bucketWith();
    spoil(GONE, 'GET', 'sync/store.json');
    const store = open();
    expect((await store.list()).marker).toBeUndefined();
    proxy.spoil(() => undefined);
    expect(await store.prepare({ id: 'other', format: 1 })).toEqual(MARKER);
  });

  test('that is written and removed by others at once is said', async () => {
    const { open } = await bucketWith();
    const store = open();
    spoil(GONE, 'GET', 'sync/store.json');
    expect((await errorOf(store.prepare({ id: 'other', format: 1 }))).message).toMatch(
      /was removed while it was written/,
    );
  });

  test('of a bucket that was seen not to be there is made with it', async () => {
    const store = s3Store(freshBucket(), knowing());
    expect((await store.list()).present).toBe(false);
    expect(await store.prepare(MARKER)).toEqual(MARKER);
  });
});

describe.skipIf(!s3Server)('a probe', () => {
  /** Spoils what the first round of the probe asks, and nothing after it. */
  async function probed(rule: (request: S3Request, count: number) => Fault | undefined) {
    const { open } = await bucketWith();
    const memory = memoryInMemory();
    let count = 0;
    proxy.spoil((request) => (request.key.startsWith('sync/probe/') ? rule(request, ++count) : undefined));
    await open(memory).prepare(MARKER);
    return memory.read().dialect;
  }
  const REFUSED: Fault = { kind: 'answer', status: 409, code: 'OperationAborted' };
  const OTHER: Fault = { kind: 'body', body: 'another', headers: { etag: '"another"' } };
  const UNKNOWN: Fault = { kind: 'answer', status: 501, code: 'NotImplemented' };

  test.each<[string, (request: S3Request, count: number) => Fault | undefined]>([
    ['the first write is refused', (_, count) => (count === 1 ? REFUSED : undefined)],
    [
      'a refused write is there all the same',
      ({ kind }, count) => (kind === 'GET' && count < 5 ? OTHER : undefined),
    ],
    [
      'a late write is refused, and there all the same',
      ({ kind }, count) => (kind === 'GET' && count > 5 && count < 10 ? OTHER : undefined),
    ],
    ['of all that race none wins', once(({ body }) => (body.startsWith('racer') ? REFUSED : undefined), 8)],
  ])('whose outcome is unclear (%s) is made again', async (_, rule) => {
    expect(await probed(rule)).toMatchObject(HONOURED);
  });

  test.each<[string, (request: S3Request) => Fault | undefined]>([
    [
      'the right tag is not taken, however it is written',
      ({ headers }) => ('if-match' in headers ? REFUSED : undefined),
    ],
    ['a tag is unknown', ({ body }) => (body === '4444' ? UNKNOWN : undefined)],
    ['an old tag is taken', ({ body }) => (body === '55555' ? { kind: 'ignore-conditions' } : undefined)],
  ])('that finds that conditions cannot be relied on (%s) relies on none', async (_, rule) => {
    expect(await probed(rule)).toMatchObject(NONE);
  });

  test('that fails is made again by whoever needs it next', async () => {
    const { open } = await bucketWith();
    const store = open(memoryInMemory());
    spoil(DENIED, 'PUT', 'sync/probe/');
    expect((await errorOf(store.prepare(MARKER))).kind).toBe('refused');
    proxy.spoil(() => undefined);
    expect(await store.prepare(MARKER)).toEqual(MARKER);
  });
});

describe('what is remembered of a provider', () => {
  const remembered = { ...rememberDialect(HONOURED, Date.now()) };

  test.each([
    ['conditions', 'sometimes'],
    ['etag', 'twice'],
    ['generation', 'yes'],
    ['conditionalDelete', undefined],
    ['probed', 17],
    ['schema', 2],
  ])('is not believed if its %s is %s', (name, value) => {
    expect(recallDialect(remembered, Date.now())).toEqual(HONOURED);
    expect(recallDialect({ ...remembered, [name]: value }, Date.now())).toBeUndefined();
  });
});

describe.skipIf(!s3Server)('a listing', () => {
  const page = (contents: string, type = 'url') =>
    ({
      kind: 'body',
      type: 'application/xml',
      body: `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${
        type === '' ? '' : `<EncodingType>${type}</EncodingType>`
      }${contents}</ListBucketResult>`,
    }) satisfies Fault;
  const key = (name: string) => `<Contents><Key>${name}</Key><ETag>"x"</ETag></Contents>`;
  /** The names in a bucket whose listing of `auths/` is this, and this where it is asked for without encoding. */
  async function names(encoded: string, plain = ''): Promise<string[]> {
    const { open } = await bucketWith();
    proxy.spoil(({ kind, key: prefix, query }) => {
      if (kind !== 'LIST' || prefix !== 'auths/') return undefined;
      return 'encoding-type' in query ? page(encoded) : page(plain, '');
    });
    return [...(await open().list()).current.keys()];
  }

  test('without sizes and times is one all the same', async () => {
    expect(await names(key('auths/a.json'))).toEqual(['a.json']);
  });

  test('of objects without names is none', async () => {
    await expect(names('<Contents><ETag>"x"</ETag></Contents>')).rejects.toThrow(/no S3 server/);
  });

  test.each([
    ['a space', key('auths/me work.json'), ['me work.json']],
    ['a plus', key('auths/me+work.json'), ['me+work.json']],
  ])('in which a plus may stand for %s is asked for again without encoding', async (_, plain, found) => {
    expect(await names(key('auths/me+work.json'), plain)).toEqual(found);
  });

  test.each([
    ['nothing', ''],
    ['other names', key('auths/other.json')],
  ])('that shows %s then is given up, and read as no deletion', async (_, plain) => {
    await expect(names(key('auths/me+work.json'), plain)).rejects.toThrow(/was cut short/);
  });
});

describe('the words of history', () => {
  test('that are too long are cut at a whole character', () => {
    const { 'sync-reason': reason = '' } = historyMetadata({
      ...entry(credential('a')),
      reason: '☃'.repeat(200),
    });
    expect(reason.length).toBeLessThanOrEqual(500);
    expect(readWords({ 'sync-reason': reason }).reason).toMatch(/^☃{55}$/);
  });

  test('that somebody else wrote are given as they are', () => {
    expect(readWords({ 'sync-host': '100%' })).toEqual({ host: '100%', reason: '' });
  });
});

test('an ETag that is no digest is none', () => {
  expect(md5Of('0123456789abcdef0123456789ABCDEF')).toEqual({ md5: '0123456789abcdef0123456789abcdef' });
  expect(md5Of('0123456789abcdef0123456789abcdef-2')).toBeUndefined();
});

describe('the SDK', () => {
  const options: S3Options = {
    endpoint: 'http://s3.example.org/under/a/path',
    bucket: 'logins',
    region: 'eu-west-1',
    accessKey: 'key',
    secretKey: 'secret',
  };
  const habits = { plusSign: () => undefined, learnPlusSign: async () => undefined };

  type Answer = Awaited<
    ReturnType<ReturnType<typeof s3Client>['config']['requestHandler']['handle']>
  >['response'];

  /** A bucket whose answers come from here and not over the network. */
  function bucketThat(answer: () => Answer, aws = false, region = options.region) {
    const endpoint = { ...resolveEndpoint({ ...options, region }), aws };
    const client = s3Client(options, endpoint, DEFAULT_TIMEOUTS);
    const paths: string[] = [];
    const bodies: string[] = [];
    client.config.requestHandler.handle = async (request) => {
      paths.push(request.path);
      bodies.push(String(request.body ?? ''));
      return { response: answer() };
    };
    return {
      paths,
      bodies,
      bucket: openBucket({ client, options, endpoint, timeouts: DEFAULT_TIMEOUTS, habits }),
    };
  }
  const answering = (body: unknown, headers: Record<string, string>) => (): Answer => ({
    statusCode: 200,
    headers: { etag: '"x"', ...headers },
    body,
  });

  test('is left no variable that other programs would see', () => {
    const name = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';
    const before = process.env[name];
    try {
      delete process.env[name];
      s3Client(options, resolveEndpoint(options), DEFAULT_TIMEOUTS).destroy();
      expect(name in process.env).toBe(false);
      process.env[name] = 'true';
      s3Client(options, resolveEndpoint(options), DEFAULT_TIMEOUTS).destroy();
      expect(process.env[name]).toBe('true');
    } finally {
      if (before !== undefined) process.env[name] = before;
    }
  });

  test('asks below the path of the endpoint', async () => {
    const { bucket, paths } = bucketThat(() => answering(Readable.from([Buffer.from('a')]), {})());
    expect(await bucket.get('auths/a (1).json')).toMatchObject({ kind: 'object', tag: 'x' });
    expect(paths).toEqual(['/under/a/path/logins/auths/a%20%281%29.json']);
  });

  test('names the region of a new bucket to AWS alone', async () => {
    const create = async (aws: boolean, region?: string) => {
      const { bucket, bodies } = bucketThat(answering(Readable.from([]), {}), aws, region);
      await bucket.create();
      return bodies.join('');
    };
    expect(await create(true)).toMatch(/<LocationConstraint>eu-west-1</);
    for (const region of ['eu-west-1', 'us-east-1'])
      expect(await create(false, region)).not.toMatch(/LocationConstraint/);
  });

  test('hands over no part of an object for the whole', async () => {
    const { bucket, paths } = bucketThat(() =>
      answering(Readable.from([Buffer.from('hal')]), { 'content-length': '6' })(),
    );
    expect((await errorOf(bucket.get('auths/a.json'))).kind).toBe('unreachable');
    expect(paths.length).toBeGreaterThan(2);
  });

  test.each([
    ['nothing', undefined],
    ['text', Readable.from(['text'])],
  ])('that hands over %s for bytes is not believed', async (_, body) => {
    const { bucket } = bucketThat(answering(body, {}));
    await expect(bucket.get('auths/a.json')).rejects.toThrow();
  });
});

function once(
  rule: (request: S3Request) => Fault | undefined,
  times: number,
): (request: S3Request) => Fault | undefined {
  let left = times;
  return (request) => {
    const fault = rule(request);
    return fault && left-- > 0 ? fault : undefined;
  };
}
