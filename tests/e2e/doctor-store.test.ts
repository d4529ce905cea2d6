/** `doctor` on the way to the store: one that is not well, or cannot be reached. */
import { describe, expect } from 'vitest';
import { doctor, wellHome } from './diagnosis.ts';
import { s3Server, test } from './world.ts';

describe.skipIf(!s3Server)('the way to the store', () => {
  test('a name that is not known, a port that nobody listens at: 75, the rest is looked at', async ({
    s3,
  }) => {
    const home = await wellHome(s3);
    for (const [endpoint, id] of [
      ['http://nowhere.invalid:9000', 'dns'],
      ['http://127.0.0.1:1', 'tcp'],
    ] as const) {
      const found = await doctor(home, [], { env: { OBJECTSTORE_ENDPOINT: endpoint } });
      expect(found.code, found.stdout).toBe(75);
      expect(found.failed).toContain(id);
      // Said once by the first that fails, and by the store itself.
      expect(found.failed).toEqual([id, 'store']);
      expect(found.of('tls').message).toBe(`"${found.of(id).title}" comes first`);
      expect(found.of('auth-dir').status).toBe('ok');
    }
  });

  test('a server without TLS where TLS is asked for, or none of S3', async ({ s3 }) => {
    const home = await wellHome(s3);
    const endpoint = s3.settings.endpoint.replace('http:', 'https:');
    const found = await doctor(home, [], { env: { OBJECTSTORE_ENDPOINT: endpoint } });
    expect(found.of('tls')).toMatchObject({
      status: 'failed',
      remedy: expect.stringMatching(/^openssl s_client/),
    });
    expect(found.code).toBe(78);
  });

  test('a wrong key is 1, and neither key is in what is said', async ({ s3 }) => {
    const home = await wellHome(s3);
    const env = { OBJECTSTORE_SECRET_KEY: 'S3CR3T-wrong' };
    const found = await doctor(home, [], { env });
    expect(found.code, found.stdout).toBe(1);
    expect(found.of('store').message).toMatch(/signature is wrong|key/);
    expect(found.failed).toEqual(['store']);
    expect(found.of('conditions').message).toBe('"store" comes first');
    expect(found.stdout + found.stderr).not.toContain(s3.settings.secretKey);
  });

  test('a key that may only read', async ({ s3 }) => {
    const home = await wellHome(s3);
    const reader = s3Server?.reader;
    const env = { OBJECTSTORE_ACCESS_KEY: reader?.accessKey, OBJECTSTORE_SECRET_KEY: reader?.secretKey };
    const found = await doctor(home, [], { env });
    expect(found.of('store').status).toBe('ok');
    expect(found.of('store-write').message).toMatch(/no right/);
    expect(found.code).toBe(1);
  });

  test('a bucket that is not there yet is a warning', async ({ s3 }) => {
    const home = await s3.home();
    const found = await doctor(home);
    expect(found.of('store')).toMatchObject({ status: 'warning', remedy: 'cliproxyapi-sync sync' });
    expect(found.code).toBe(0);
    expect(found.of('store-write').status).toBe('skipped');
  });

  test('a provider that ignores conditions', async ({ s3 }) => {
    const home = await wellHome(s3, { store: s3.throughNetwork });
    s3.network.spoil(() => ({ kind: 'ignore-conditions' }));
    const found = await doctor(home);
    expect(found.of('conditions')).toMatchObject({ status: 'warning' });
    expect(found.of('conditions').message).toMatch(/ignores conditions on writes/);
  });

  test.for([
    [120, 'warning', 0],
    [-3000, 'failed', 1],
  ] as const)('a clock that is off by %i s', async ([seconds, status, code], { s3 }) => {
    const home = await wellHome(s3, { store: s3.throughNetwork });
    s3.network.spoil(({ kind, bucket }) =>
      kind === 'BUCKET' && bucket === ''
        ? {
            kind: 'answer',
            status: 403,
            headers: { date: new Date(Date.now() + seconds * 1000).toUTCString() },
          }
        : undefined,
    );
    const found = await doctor(home);
    expect(found.of('clock').status).toBe(status);
    expect(found.of('clock').message).toMatch(
      seconds > 0 ? /(119|120|121) s behind/ : /(2999|3000|3001) s ahead of/,
    );
    expect(found.of('clock').remedy).toMatch(/timedatectl|sntp/);
    expect(found.code).toBe(code);
  });

  test('a store that never answers holds it up for a bounded time', async ({ s3 }) => {
    const home = await wellHome(s3, { store: s3.throughNetwork });
    s3.network.spoil(() => ({ kind: 'silence' }));
    const from = Date.now();
    const found = await doctor(home, [], { timeoutMs: 100_000 });
    expect(Date.now() - from).toBeLessThan(60_000);
    expect(found.code).toBe(75);
    expect(found.of('state').status).toBe('ok');
  });
});
