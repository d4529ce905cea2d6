import { describe, expect, test } from 'vitest';
import { regionOfAwsHost, resolveEndpoint } from '../../../ts/src/stores/s3/endpoint.ts';

const resolve = (endpoint: string, more: { bucket?: string; region?: string } = {}) =>
  resolveEndpoint({ endpoint, bucket: 'logins', accessKey: 'key', secretKey: 'secret', ...more });

describe('the endpoint that a person sets', () => {
  test.each([
    ['s3.amazonaws.com', 'https://s3.amazonaws.com', 'us-east-1'],
    ['s3.eu-central-1.amazonaws.com', 'https://s3.eu-central-1.amazonaws.com', 'eu-central-1'],
    ['https://s3-eu-west-1.amazonaws.com/', 'https://s3-eu-west-1.amazonaws.com', 'eu-west-1'],
    ['s3.dualstack.us-west-2.amazonaws.com', 'https://s3.dualstack.us-west-2.amazonaws.com', 'us-west-2'],
    ['s3-fips.us-gov-west-1.amazonaws.com', 'https://s3-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['s3.cn-north-1.amazonaws.com.cn', 'https://s3.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['abc123.r2.cloudflarestorage.com', 'https://abc123.r2.cloudflarestorage.com', 'auto'],
    [
      'https://abc123.eu.r2.cloudflarestorage.com/logins',
      'https://abc123.eu.r2.cloudflarestorage.com',
      'auto',
    ],
    ['fra1.digitaloceanspaces.com', 'https://fra1.digitaloceanspaces.com', 'auto'],
    ['storage.googleapis.com', 'https://storage.googleapis.com', 'auto'],
    ['  http://127.0.0.1:9000//  ', 'http://127.0.0.1:9000', 'auto'],
    ['localhost:9000', 'https://localhost:9000', 'auto'],
    ['HTTP://MinIO.local:9000', 'http://minio.local:9000', 'auto'],
    ['http://[::1]:9000', 'http://[::1]:9000', 'auto'],
    ['https://xyz.supabase.co/storage/v1/s3', 'https://xyz.supabase.co/storage/v1/s3', 'auto'],
  ])('%s', (endpoint, url, region) => {
    expect(resolve(endpoint)).toMatchObject({ url, region });
  });

  test('a region that is set wins, an empty one does not', () => {
    expect(resolve('s3.eu-central-1.amazonaws.com', { region: 'us-east-2' }).region).toBe('us-east-2');
    expect(resolve('s3.eu-central-1.amazonaws.com', { region: ' ' }).region).toBe('eu-central-1');
  });

  test.each([
    ['ftp://host', /scheme "ftp"/],
    ['', /no address/],
    ['https://', /no address/],
    ['https://user:hunter2@host', /user name or password/],
    ['https://host/?x=hunter2', /"\?" or "#"/],
    ['logins.s3.eu-central-1.amazonaws.com', /bucket in its host name/],
    ['logins.fra1.digitaloceanspaces.com', /bucket in its host name/],
    ['https://ho st', /no address/],
  ])('%s is a mistake that is named, without what may be a password', (endpoint, message) => {
    const attempt = () => resolve(endpoint);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ kind: 'configuration', remedy: expect.any(String) }));
    expect(attempt).not.toThrow(/hunter2/);
  });

  test.each(['', 'a', 'with space', 'a/b', '../x', 'x'.repeat(300)])(
    'the bucket name "%s" is a mistake',
    (bucket) => {
      expect(() => resolve('host', { bucket })).toThrow(expect.objectContaining({ kind: 'configuration' }));
    },
  );

  test('hosts that only look like AWS have no region', () => {
    expect(regionOfAwsHost('s3.amazonaws.com.example.org')).toBeUndefined();
    expect(regionOfAwsHost('mys3.amazonaws.com')).toBeUndefined();
  });
});
