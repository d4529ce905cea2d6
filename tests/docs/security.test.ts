/** What docs/security.md says of rights. */
import { describe, expect } from 'vitest';
import { test as base, credentials, done, put, run, s3Server, sync } from '../e2e/world.ts';

const test = base.override('kind', 's3');

describe.skipIf(!s3Server)('a key that may only read', () => {
  test('is enough for hydrate, status and history, and not for sync', async ({ world }) => {
    const [writer, reader] = [await world.home('writer'), await world.home('reader')];
    await put(writer.authDir, credentials('a', 'b'));
    await done(sync(writer));
    const keys = s3Server?.reader;
    const env = { OBJECTSTORE_ACCESS_KEY: keys?.accessKey, OBJECTSTORE_SECRET_KEY: keys?.secretKey };
    for (const args of [['hydrate'], ['status'], ['history'], ['history', 'a.json']])
      await done(run(reader, 'cliproxyapi-sync', args, { env }));
    await put(reader.authDir, credentials('c'));
    const { code, stderr } = await run(reader, 'cliproxyapi-sync', ['sync'], { env });
    expect(code, stderr).toBe(1);
  });
});
