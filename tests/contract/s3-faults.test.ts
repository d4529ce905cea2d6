import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { S3Options } from '../../ts/src/stores/s3/options.ts';
import { s3Store } from '../../ts/src/stores/s3/store.ts';
import type { Store, StoreError } from '../../ts/src/stores/store.ts';
import type { Fault, S3Request } from '../support/fault-proxy.ts';
import { freePort } from '../support/programs.ts';
import { freshBucket, lookInto, s3Server, server } from '../support/s3.ts';
import { knowing, proxy } from './s3-proxy.ts';
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

const QUICK = { connect: 1_000, idle: 800, overall: 3_000 };

async function preparedBucket() {
  const direct = freshBucket();
  const memory = knowing();
  // Without haste: the server takes a while over the first object in a bucket.
  const first = s3Store(direct, memory);
  await first.prepare(MARKER);
  await first.commit([create('a.json', credential('a'))]);
  const listing = await first.list();
  await first.close();
  const options: S3Options = { ...direct, endpoint: proxy.endpoint, timeouts: QUICK };
  const store = s3Store(options, memory);
  return { options, store, tag: listing.current.get('a.json')?.tag ?? '', outside: lookInto(direct) };
}

/** Spoils requests of one kind (for one key), the first `times` of them. */
function spoil(
  fault: Fault,
  pick: Partial<Pick<S3Request, 'kind' | 'key'>>,
  times = Number.POSITIVE_INFINITY,
): void {
  let left = times;
  proxy.spoil((request) => {
    const picked = (pick.kind ?? request.kind) === request.kind && (pick.key ?? request.key) === request.key;
    return picked && left-- > 0 ? fault : undefined;
  });
}

async function failureOf(run: Promise<unknown>): Promise<StoreError> {
  const error = await errorOf(run);
  expect(`${error.message} ${error.remedy} ${error.stack}`).not.toMatch(
    /(admin|reader|very)-secret|AWS4-HMAC|Signature=/,
  );
  expect(error.cause).toBeUndefined();
  return error;
}

describe.skipIf(!s3Server)('when the store fails', () => {
  describe('in passing, it is tried again', () => {
    test.each<[string, Fault]>([
      ['500', { kind: 'answer', status: 500 }],
      ['503 SlowDown', { kind: 'answer', status: 503, code: 'SlowDown' }],
      ['429', { kind: 'answer', status: 429, code: 'TooManyRequests' }],
      ['a reset connection', { kind: 'reset' }],
      ['half a body', { kind: 'half' }],
      ['no answer for a while', { kind: 'silence' }],
    ])('%s', async (_, fault) => {
      const { store, outside } = await preparedBucket();
      spoil(fault, { kind: 'GET', key: 'auths/a.json' }, 1);
      expect(await readAll(store, [current('a.json')])).toMatchObject([
        { kind: 'object', bytes: credential('a') },
      ]);
      spoil(fault, { kind: 'LIST', key: 'auths/' }, 1);
      expect((await store.list()).current.size).toBe(1);
      spoil(fault, { kind: 'PUT', key: 'auths/b.json' }, 1);
      expect((await store.commit([create('b.json', credential('b'))]))[0]?.kind).toBe('done');
      expect((await outside.get('auths/b.json')).bytes).toEqual(credential('b'));
    });
  });

  describe('for good, it is said, and nothing is taken for absent', () => {
    test.each<[string, Fault, StoreError['kind']]>([
      ['500', { kind: 'answer', status: 500 }, 'unreachable'],
      ['503 SlowDown', { kind: 'answer', status: 503, code: 'SlowDown' }, 'unreachable'],
      ['429', { kind: 'answer', status: 429, code: 'TooManyRequests' }, 'unreachable'],
      ['a reset connection', { kind: 'reset' }, 'unreachable'],
      ['half a body', { kind: 'half' }, 'unreachable'],
      ['no answer', { kind: 'silence' }, 'unreachable'],
      ['a slow drip', { kind: 'drip', every: 200 }, 'unreachable'],
      ['a web page', { kind: 'body', body: '<html><body>Log in</body></html>' }, 'unreachable'],
      [
        'a web page as an error',
        { kind: 'body', status: 502, body: '<html><body>Bad gateway</body>' },
        'unreachable',
      ],
      ['garbage', { kind: 'body', body: '\u0000\u0001garbage' }, 'unreachable'],
      ['nothing', { kind: 'body', body: '' }, 'unreachable'],
      ['400', { kind: 'answer', status: 400, code: 'MalformedXML' }, 'refused'],
      ['403 without a right', { kind: 'answer', status: 403, code: 'AccessDenied' }, 'refused'],
      ['a wrong access key', { kind: 'answer', status: 403, code: 'InvalidAccessKeyId' }, 'refused'],
      ['a wrong secret key', { kind: 'answer', status: 403, code: 'SignatureDoesNotMatch' }, 'refused'],
      ['an expired key', { kind: 'answer', status: 400, code: 'ExpiredToken' }, 'refused'],
    ])('%s', async (_, fault, kind) => {
      const { store } = await preparedBucket();
      spoil(fault, { kind: 'LIST' });
      const started = Date.now();
      expect((await failureOf(store.list())).kind).toBe(kind);
      expect(Date.now() - started).toBeLessThan(QUICK.overall + 1_000);
      if (fault.kind === 'answer' && fault.code === 'AccessDenied') return;
      spoil(fault, { kind: 'GET' });
      const answered: unknown[] = [];
      const reading = store.read([current('a.json')], (__, answer) => answered.push(answer));
      // A web server may well give bytes: what has no ETag is not taken for an object.
      expect((await failureOf(reading)).kind).toBe(kind);
      expect(answered).toEqual([]);
      // While the store serves others, it is that object's failure.
      spoil(fault, { kind: 'GET', key: 'auths/a.json' });
      expect(await readAll(store, [current('a.json')])).toMatchObject([
        { kind: 'failed', reason: expect.stringMatching(/\w/) },
      ]);
    });
  });

  test('access denied to one object fails that object alone', async () => {
    const { store } = await preparedBucket();
    await store.commit([create('b.json', credential('b'))]);
    spoil({ kind: 'answer', status: 403, code: 'AccessDenied' }, { kind: 'GET', key: 'auths/a.json' });
    const [denied, other] = await readAll(store, [current('a.json'), current('b.json')]);
    expect(denied).toMatchObject({ kind: 'failed', reason: expect.stringMatching(/auths\/a\.json/) });
    expect(other).toMatchObject({ kind: 'object', bytes: credential('b') });
  });

  describe('a write', () => {
    test.each<[string, Fault]>([
      ['whose answer was lost', { kind: 'lost-answer' }],
      ['whose answer was lost, and then asked to slow down', { kind: 'lost-answer' }],
    ])('%s is done once, and known to be done', async () => {
      const { store, outside, tag } = await preparedBucket();
      let count = 0;
      proxy.spoil(({ kind, key }) => {
        if (kind !== 'PUT' || key !== 'auths/a.json') return undefined;
        count++;
        return count === 1
          ? { kind: 'lost-answer' }
          : count === 2
            ? { kind: 'answer', status: 503, code: 'SlowDown' }
            : undefined;
      });
      const [outcome] = await store.commit([
        { name: named('a.json'), keep: [], current: { kind: 'put', bytes: credential('b'), seen: tag } },
      ]);
      expect(outcome).toMatchObject({ kind: 'done' });
      expect((await outside.get('auths/a.json')).bytes).toEqual(credential('b'));
      expect((await store.list()).current.get('a.json')?.tag).toBe(
        outcome?.kind === 'done' && outcome.current,
      );
    });

    test('of a creation whose answer was lost is done', async () => {
      const { store } = await preparedBucket();
      proxy.spoil(once(({ kind }) => (kind === 'PUT' ? { kind: 'lost-answer' } : undefined), 3));
      expect((await store.commit([create('b.json', credential('b'))]))[0]?.kind).toBe('done');
      expect((await store.history([named('b.json')])).map(({ id }) => id)).toEqual([
        versionIn(credential('b')),
      ]);
    });

    test('a removal whose answer was lost is done', async () => {
      const { store, tag } = await preparedBucket();
      spoil({ kind: 'lost-answer' }, { kind: 'DELETE' }, 1);
      const [outcome] = await store.commit([
        { name: named('a.json'), keep: [], current: { kind: 'remove', seen: tag } },
      ]);
      expect(outcome?.kind).toBe('done');
    });

    test.each([409, 412])('refused with %i is lost, unless it is there', async (status) => {
      const { store, tag } = await preparedBucket();
      spoil(
        { kind: 'answer', status, code: 'ConditionalRequestConflict' },
        { kind: 'PUT', key: 'auths/a.json' },
      );
      const change = (text: string) => ({
        name: named('a.json'),
        keep: [],
        current: { kind: 'put' as const, bytes: credential(text), seen: tag },
      });
      expect(await store.commit([change('b')])).toEqual([{ kind: 'lost', step: 'current' }]);
      expect(await store.commit([change('a')])).toEqual([{ kind: 'done', current: tag }]);
    });

    test.each(['current', 'backup'] as const)(
      'of the %s object that is answered with nothing at all, and did not arrive, is not done: an older one is there',
      async (area) => {
        const { store, outside, tag } = await preparedBucket();
        const key = { current: 'auths/a.json', backup: 'backup/auths/a.json' }[area];
        spoil({ kind: 'body', body: '' }, { kind: 'PUT', key });
        const [outcome] = await store.commit([
          { name: named('a.json'), keep: [], [area]: { kind: 'put', bytes: credential('b'), seen: tag } },
        ]);
        expect(outcome).toMatchObject({ kind: 'failed', step: area });
        expect((await outside.get(key)).bytes).toEqual(credential('a'));
        // One that did arrive is.
        proxy.spoil(() => undefined);
        await outside.put(key, credential('b'));
        spoil({ kind: 'body', body: '' }, { kind: 'PUT', key });
        const listed = (await store.list())[area].get('a.json')?.tag;
        const [again] = await store.commit([
          { name: named('a.json'), keep: [], [area]: { kind: 'put', bytes: credential('b'), seen: listed } },
        ]);
        expect(again).toMatchObject({ kind: 'done' });
      },
    );

    test('refused with 404, as If-Match on what is gone is by some, is lost', async () => {
      const { store, tag, outside } = await preparedBucket();
      spoil({ kind: 'answer', status: 404, code: 'NoSuchKey' }, { kind: 'PUT', key: 'auths/a.json' });
      const [outcome] = await store.commit([
        { name: named('a.json'), keep: [], current: { kind: 'put', bytes: credential('b'), seen: tag } },
      ]);
      expect(outcome).toEqual({ kind: 'lost', step: 'current' });
      expect((await outside.get('auths/a.json')).bytes).toEqual(credential('a'));
    });

    test('denied fails with its step, after history, and the others are done', async () => {
      const { store, outside } = await preparedBucket();
      spoil({ kind: 'answer', status: 403, code: 'AccessDenied' }, { kind: 'PUT', key: 'auths/b.json' });
      const outcomes = await store.commit(['b.json', 'c.json'].map((name) => create(name, credential(name))));
      expect(outcomes).toMatchObject([
        { kind: 'failed', step: 'current', error: { kind: 'refused' } },
        { kind: 'done' },
      ]);
      const keys = await outside.keys();
      expect(keys).toContain(`sync/history/b.json/${versionIn(credential('b.json'))}.json`);
      expect(keys).not.toContain('backup/auths/b.json');
    });

    // Nor is it believed that it is there already, where it is not.
    test.each([
      [403, 'AccessDenied'],
      [412, 'PreconditionFailed'],
      [409, 'ConditionalRequestConflict'],
    ])('of history that fails with %i leaves what is current as it was', async (status, code) => {
      const { store, outside, tag } = await preparedBucket();
      const bytes = credential('b');
      const key = `sync/history/a.json/${versionIn(bytes)}.json`;
      spoil({ kind: 'answer', status, code }, { kind: 'PUT', key });
      const [outcome] = await store.commit([
        { name: named('a.json'), keep: [entry(bytes)], current: { kind: 'put', bytes, seen: tag } },
      ]);
      expect(outcome).toMatchObject({ kind: 'failed', step: 'keep' });
      expect((await outside.get('auths/a.json')).bytes).toEqual(credential('a'));
    });

    test('while the store is out of reach throws, without a time-out for each change', async () => {
      const { store } = await preparedBucket();
      spoil({ kind: 'silence' }, {});
      const changes = Array.from({ length: 200 }, (_, index) =>
        create(`n${index}.json`, credential(`${index}`)),
      );
      const started = Date.now();
      expect((await failureOf(store.commit(changes))).kind).toBe('unreachable');
      expect(Date.now() - started).toBeLessThan(2 * QUICK.overall);
    });

    test('during which the store goes out of reach tells what was done and what was not', async () => {
      const { store } = await preparedBucket();
      let puts = 0;
      proxy.spoil(({ kind }) => (kind === 'PUT' && ++puts > 120 ? { kind: 'reset' } : undefined));
      const changes = Array.from({ length: 100 }, (_, index) =>
        create(`n${index}.json`, credential(`${index}`)),
      );
      const outcomes = await store.commit(changes);
      proxy.spoil(() => undefined);
      const listed = (await store.list()).backup;
      outcomes.forEach((outcome, index) => {
        if (outcome.kind === 'done') expect(listed.has(`n${index}.json`)).toBe(true);
        else expect(outcome).toMatchObject({ kind: 'failed', error: { kind: 'unreachable' } });
      });
      expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['done', 'failed']));
    });
  });

  test('a bucket that vanishes is told as such', async () => {
    const { store } = await preparedBucket();
    spoil({ kind: 'answer', status: 404, code: 'NoSuchBucket' }, { kind: 'PUT' });
    const [outcome] = await store.commit([create('b.json', credential('b'))]);
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: { message: expect.stringMatching(/no such bucket/) },
    });
  });

  test('a bucket that is there for one listing and not for the next is no empty store', async () => {
    const { store } = await preparedBucket();
    spoil({ kind: 'answer', status: 404, code: 'NoSuchBucket' }, { kind: 'LIST', key: 'auths/' });
    expect((await failureOf(store.list())).kind).toBe('unreachable');
  });

  describe('messages name the cause and the remedy', () => {
    const cases: [string, Fault, RegExp, RegExp][] = [
      [
        'a clock that is wrong, with the skew',
        {
          kind: 'answer',
          status: 403,
          code: 'RequestTimeTooSkewed',
          headers: { date: new Date(Date.now() - 42 * 60_000).toUTCString() },
        },
        /clock of this machine is 4[23] minutes ahead/,
        /Set the clock/,
      ],
      [
        'another region, with its name',
        {
          kind: 'answer',
          status: 301,
          code: 'PermanentRedirect',
          headers: { 'x-amz-bucket-region': 'eu-west-3' },
        },
        /in the region eu-west-3/,
        /OBJECTSTORE_REGION=eu-west-3/,
      ],
      [
        'another region, in the error',
        {
          kind: 'answer',
          status: 400,
          code: 'AuthorizationHeaderMalformed',
          extra: '<Region>eu-west-1</Region>',
        },
        /in the region eu-west-1, not in auto/,
        /OBJECTSTORE_REGION=eu-west-1/,
      ],
      [
        'a wrong secret',
        { kind: 'answer', status: 403, code: 'SignatureDoesNotMatch' },
        /secret key/,
        /OBJECTSTORE_SECRET_KEY/,
      ],
      [
        'a wrong key',
        { kind: 'answer', status: 403, code: 'InvalidAccessKeyId' },
        /access key is not known/,
        /OBJECTSTORE_ACCESS_KEY/,
      ],
      [
        'missing rights',
        { kind: 'answer', status: 403, code: 'AccessDenied' },
        /Cannot list .* no right/,
        /rights to list/,
      ],
      ['throttling', { kind: 'answer', status: 503, code: 'SlowDown' }, /slow down/, /tried again/],
      ['a full store', { kind: 'answer', status: 507, code: 'InsufficientStorage' }, /no more room/, /room/],
    ];
    test.each(cases)('%s', async (_, fault, message, remedy) => {
      const { store } = await preparedBucket();
      spoil(fault, { kind: 'LIST' });
      const error = await failureOf(store.list());
      expect(error.message).toMatch(message);
      expect(error.remedy).toMatch(remedy);
    });

    test('a wrong secret and a wrong key, of the real server', async () => {
      const { admin } = server();
      const wrongSecret = s3Store({ ...freshBucket(), secretKey: 'wrong' }, knowing());
      expect(await failureOf(wrongSecret.list())).toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/secret key/),
      });
      const wrongKey = s3Store({ ...freshBucket(), accessKey: `${admin.accessKey}x` }, knowing());
      expect(await failureOf(wrongKey.list())).toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/access key/),
      });
    });

    test('a key that may only read lists and reads, and is refused to write', async () => {
      const { options, store } = await preparedBucket();
      await store.close();
      const reading = s3Store({ ...options, ...server().reader }, knowing());
      expect((await reading.list()).current.size).toBe(1);
      expect(await readAll(reading, [current('a.json')])).toMatchObject([{ kind: 'object' }]);
      await reading.prepare(MARKER);
      const [outcome] = await reading.commit([create('b.json', credential('b'))]);
      expect(outcome).toMatchObject({ kind: 'failed', step: 'keep', error: { kind: 'refused' } });
      const unprepared = s3Store(
        { ...options, bucket: `${options.bucket}-none`, ...server().reader },
        knowing(),
      );
      expect((await failureOf(unprepared.prepare(MARKER))).message).toMatch(/make the bucket/);
    });
  });
});

describe('when there is no store at all', () => {
  const options = (endpoint: string): S3Options => ({
    endpoint,
    bucket: 'bucket',
    region: 'auto',
    accessKey: 'key',
    secretKey: 'very-secret',
    timeouts: QUICK,
  });
  const look = (endpoint: string): Store => s3Store(options(endpoint), knowing());

  test('nothing listens', async () => {
    const port = await freePort();
    const error = await failureOf(look(`http://127.0.0.1:${port}`).list());
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/connection refused/),
    });
  });

  test('the host name is not known', async () => {
    const error = await failureOf(look('http://nohost.invalid').list());
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/nohost\.invalid is not known/),
    });
  });

  test('something takes the connection and says nothing', async () => {
    const silent = createServer(() => {});
    const port = await listen(silent);
    const started = Date.now();
    const error = await failureOf(look(`http://127.0.0.1:${port}`).list());
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/did not answer in time/),
    });
    expect(Date.now() - started).toBeLessThan(QUICK.overall + 1_000);
    silent.close();
  });

  test('something speaks another protocol', async () => {
    const mail = createServer((socket) => socket.end('220 mail.example.com ESMTP\r\n'));
    const port = await listen(mail);
    expect((await failureOf(look(`http://127.0.0.1:${port}`).list())).kind).toBe('unreachable');
    expect(await failureOf(look(`https://127.0.0.1:${port}`).list())).toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/does not speak TLS/),
    });
    mail.close();
  });

  describe('for TLS', () => {
    let directory: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), 'tls-'));
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    async function serve(name: string, days: number): Promise<{ port: number; close(): void }> {
      const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.crt`)];
      const subject = [
        '-subj',
        `/CN=${name}`,
        '-addext',
        `subjectAltName=${name.match(/^\d/) ? 'IP' : 'DNS'}:${name}`,
      ];
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-keyout',
          key,
          '-out',
          cert,
          '-days',
          String(days),
          ...subject,
        ],
        {
          stdio: 'ignore',
        },
      );
      const https = createHttpsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, answer) =>
        answer.end(),
      );
      const port = await new Promise<number>((resolve) => {
        https.listen(0, '127.0.0.1', () => resolve((https.address() as AddressInfo).port));
      });
      return { port, close: () => https.close() };
    }

    test('the certificate is self-signed', async () => {
      const https = await serve('127.0.0.1', 2);
      const error = await failureOf(look(`https://127.0.0.1:${https.port}`).list());
      expect(error).toMatchObject({ kind: 'refused', message: expect.stringMatching(/self-signed/) });
      expect(error.remedy).toMatch(/NODE_EXTRA_CA_CERTS/);
      https.close();
    });
  });
});

function once(
  rule: (request: S3Request) => Fault | undefined,
  times: number,
): (request: S3Request) => Fault | undefined {
  const met = new Set<string>();
  return (request) => {
    const fault = rule(request);
    if (!fault || met.has(request.key) || met.size >= times) return undefined;
    met.add(request.key);
    return fault;
  };
}

function listen(tcp: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve) => {
    tcp.listen(0, '127.0.0.1', () => resolve((tcp.address() as AddressInfo).port));
  });
}
