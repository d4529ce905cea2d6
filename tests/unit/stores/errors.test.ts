import { describe, expect, test } from 'vitest';
import { fileError } from '../../../ts/src/stores/directory/errors.ts';
import { storeErrorFrom } from '../../../ts/src/stores/s3/errors.ts';
import { StoreError } from '../../../ts/src/stores/store.ts';

const failing = (code: string, more: object = {}) =>
  Object.assign(new Error(`${code}: it failed`), { code, ...more });

describe('a file error', () => {
  test.each([
    ['EACCES', 'refused', /may not/],
    ['EPERM', 'refused', /may not/],
    ['EROFS', 'refused', /read-only/],
    ['ENOSPC', 'refused', /full/],
    ['EDQUOT', 'refused', /full/],
    ['ENOTDIR', 'refused', /in the way/],
    ['ELOOP', 'refused', /in the way/],
    ['EMFILE', 'unreachable', /too many files/],
    ['EIO', 'unreachable', /EIO/],
    ['ESTALE', 'unreachable', /ESTALE/],
  ])('%s says what failed on what, and what to do', (code, kind, message) => {
    const error = fileError(failing(code), 'write auths/a.json', '/var/store');
    expect(error).toMatchObject({ kind, message: expect.stringMatching(message) });
    expect(error.message).toMatch(/^Cannot write auths\/a\.json in \/var\/store: /);
    expect(error.remedy).toMatch(/\.$/);
  });

  test('that is said already is not said again', () => {
    const said = new StoreError('refused', 'It is said.', 'Do it.');
    expect(fileError(said, 'write', '/var/store')).toBe(said);
  });
});

describe('an S3 error', () => {
  const endpoint = { url: 'https://host', host: 's3.amazonaws.com', region: 'us-east-1', aws: true };
  const explain = (error: unknown) =>
    storeErrorFrom(error, { doing: 'list auths/', location: 's3://logins at host', endpoint });

  test.each([
    ['CERT_HAS_EXPIRED', 'refused', /has expired/],
    ['CERT_NOT_YET_VALID', 'refused', /not valid yet/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'refused', /another host name/],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'refused', /not trusted/],
    ['EHOSTUNREACH', 'unreachable', /EHOSTUNREACH/],
    ['EAI_AGAIN', 'unreachable', /DNS/],
    ['HPE_INVALID_CONSTANT', 'unreachable', /does not speak HTTP/],
  ])('%s of the connection', (code, kind, message) => {
    expect(explain(failing(code))).toMatchObject({ kind, message: expect.stringMatching(message) });
  });

  test('of several attempts (IPv6, then IPv4) is that of the first', () => {
    const both = new AggregateError([failing('ECONNREFUSED'), failing('ECONNREFUSED')]);
    expect(explain(both).message).toMatch(/connection refused/);
  });

  test('names the region and the endpoint that AWS names', () => {
    const error = Object.assign(new Error('wrong'), {
      name: 'PermanentRedirect',
      $metadata: { httpStatusCode: 301 },
      $response: { headers: { 'x-amz-bucket-region': 'eu-central-1' } },
    });
    expect(explain(error).remedy).toBe(
      'Set OBJECTSTORE_REGION=eu-central-1 and OBJECTSTORE_ENDPOINT=s3.eu-central-1.amazonaws.com.',
    );
  });

  test('repeats what the server says, on one line, but nothing of a signature', () => {
    const said = (message: string) =>
      explain(Object.assign(new Error(message), { name: 'Strange', $metadata: { httpStatusCode: 400 } }))
        .message;
    expect(said('no\u001b[2J such thing')).toMatch(/"no\\u001b\[2J such thing"/);
    expect(said('The Credential AKIA/20260101 is wrong')).not.toMatch(/AKIA/);
  });
});
