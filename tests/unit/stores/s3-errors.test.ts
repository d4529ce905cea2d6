import { describe, expect, test } from 'vitest';
import { resolveEndpoint } from '../../../ts/src/stores/s3/endpoint.ts';
import { storeErrorFrom } from '../../../ts/src/stores/s3/errors.ts';

const explainAt = (endpoint: string, error: unknown) =>
  storeErrorFrom(error, {
    doing: 'list auths/',
    location: 's3://logins at host',
    endpoint: resolveEndpoint({ endpoint, region: 'auto', bucket: 'logins', accessKey: 'k', secretKey: 's' }),
  });
const explain = (error: unknown) => explainAt('https://s3.example.org', error);

/** An answer as the SDK throws it. */
const answer = (httpStatusCode: number | undefined, Code: string | undefined, more: object = {}) =>
  Object.assign(new Error('UnknownError'), { name: undefined, Code, $metadata: { httpStatusCode }, ...more });

describe('what a provider answers is told in words, with what to do', () => {
  test.each([
    [409, 'InvalidObjectState', 'refused', /is in an archive/, /Restore it/],
    [400, 'InvalidBucketName', 'configuration', /bucket name is not allowed/, /OBJECTSTORE_BUCKET/],
    [403, 'QuotaExceeded', 'refused', /no more room/, /s3:\/\/logins at host/],
    [507, 'XMinioStorageFull', 'refused', /no more room/, /quota/],
    [403, 'XMinioAdminBucketQuotaExceeded', 'refused', /no more room/, /quota/],
    [503, 'InsufficientCapacity', 'refused', /no more room/, /quota/],
    [403, 'RequestTimeTooSkewed', 'refused', /is too far from that of the server/, /Set the clock/],
  ] as const)('%i %s', (status, code, kind, message, remedy) => {
    const error = explain(answer(status, code));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
    expect(error.remedy).toMatch(remedy);
  });

  test.each([
    [301, 'configuration', /not in the region auto, or not at s3\.example\.org/, /as the provider shows/],
    [307, 'configuration', /not in the region/, /OBJECTSTORE_REGION/],
    [308, 'configuration', /not in the region/, /OBJECTSTORE_REGION/],
    [429, 'unreachable', /asks to slow down/, /tried again/],
    [401, 'refused', /the server denies it \(status 401\)/, /OBJECTSTORE_ACCESS_KEY/],
    [403, 'refused', /the server denies it \(status 403\)/, /rights on the bucket/],
    [418, 'refused', /the server refuses it \(status 418\)/, /OBJECTSTORE_ENDPOINT/],
    [500, 'unreachable', /the server failed \(status 500\)/, /tried again/],
  ] as const)('%i with nothing else, as HEAD has it', (status, kind, message, remedy) => {
    const error = explain(answer(status, undefined));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(message);
    expect(error.remedy).toMatch(remedy);
  });
});

describe('a bucket in another region', () => {
  test('is named as the error names it', () => {
    const malformed = (message: string) =>
      explain(Object.assign(new Error(message), answer(400, 'AuthorizationHeaderMalformed'), { message }));
    expect(malformed("the region 'auto' is wrong; expecting 'eu-west-1'").remedy).toBe(
      'Set OBJECTSTORE_REGION=eu-west-1.',
    );
    expect(malformed('the region is wrong').message).toMatch(/not in the region auto, or not at/);
  });

  test('of no name that could be one is not repeated, and the endpoint that the server names is', () => {
    const error = explain(
      answer(301, 'PermanentRedirect', { Region: 'EU; rm -rf', Endpoint: 'logins.s3\u001b.example.org' }),
    );
    expect(error.message).not.toMatch(/rm -rf/);
    expect(error.remedy).toMatch(/the server names logins\.s3\\u001b\.example\.org/);
  });

  test('is nothing to be found in what is no error at all', () => {
    const thrown: unknown = { Code: 'PermanentRedirect', $metadata: { httpStatusCode: 301 } };
    expect(explain(thrown).message).toMatch(/not in the region auto/);
  });
});

describe('a clock that is wrong', () => {
  const skewed = (ServerTime: unknown) =>
    explain(answer(403, 'RequestTimeTooSkewed', { ServerTime })).message;
  const hour = 3_600_000;

  test('is told with how far, whichever way, and however the server tells its own', () => {
    expect(skewed(new Date(Date.now() - 5 * hour))).toMatch(/is 5 hours ahead of that of the server/);
    expect(skewed(new Date(Date.now() + 17 * 60_000).toISOString())).toMatch(/is 17 minutes behind that/);
  });

  test('is told without, where the server tells no time', () => {
    expect(skewed('lunchtime')).toMatch(/is too far from that of the server/);
    expect(skewed(undefined)).toMatch(/is too far from that of the server/);
  });
});

describe('a failed connection', () => {
  const failing = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more });

  test.each([
    ['ETIMEDOUT', 'unreachable', /did not answer in time/],
    ['ECONNRESET', 'unreachable', /broke the connection/],
    ['EPROTO', 'configuration', /does not speak TLS/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'configuration', /does not speak TLS/],
  ])('%s, in what the SDK made of it', (code, kind, message) => {
    const wrapped = Object.assign(new Error('request failed'), { cause: failing(code) });
    expect(explain(wrapped)).toMatchObject({ kind, message: expect.stringMatching(message) });
  });

  test('whose cause is not told, or goes round in a circle, is told as what it is', () => {
    const circle = new Error('round');
    circle.cause = circle;
    for (const error of [circle, new Error('no more is known'), 'a text'])
      expect(explain(error).message).toMatch(/what s3\.example\.org answers is not what an S3 server would/);
  });
});

test('what the server calls an error is repeated without what a terminal would take for an order', () => {
  expect(explain(answer(400, 'Odd\u001b[2J')).message).toMatch(/status 400, Odd\\u001b\[2J/);
});
