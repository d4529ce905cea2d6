/** A provider that ignores conditions on writes (Garage, B2, Google's XML API without generations). */
import { describe, expect } from 'vitest';
import {
  credential,
  done,
  expectInStep,
  type Home,
  held,
  isKept,
  put,
  run,
  type S3World,
  s3Server,
  sync,
  test,
} from './world.ts';

describe.skipIf(!s3Server)('a provider that ignores conditions', () => {
  async function twoHosts(s3: S3World): Promise<readonly [Home, Home]> {
    s3.network.spoil(() => ({ kind: 'ignore-conditions' }));
    const laptop = await s3.home('laptop', { store: s3.throughNetwork });
    const server = await s3.home('server', { store: s3.throughNetwork });
    await put(laptop.authDir, { 'a.json': credential('a@example.com', 1) });
    return [laptop, server];
  }

  test('is told of by the first sync of each host, once, and by doctor each time', async ({ s3 }) => {
    const [laptop, server] = await twoHosts(s3);
    for (const home of [laptop, server]) {
      const first = await done(sync(home));
      expect(first.stderr).toMatch(/^warning: This provider ignores conditions on writes\./m);
      const { stderr } = await done(sync(home));
      expect(stderr).not.toMatch(/ignores conditions/);
      const { stdout } = await run(home, 'cliproxyapi-sync', ['doctor', '--json']);
      const conditions = JSON.parse(stdout).checks.find(({ id }: { id: string }) => id === 'conditions');
      expect(conditions).toMatchObject({
        status: 'warning',
        message: expect.stringMatching(/ignores conditions/),
      });
    }
    await expectInStep(s3, [laptop, server], { 'a.json': Buffer.from(held(laptop.authDir)['a.json'] ?? '') });
  });

  test('two hosts that cross: the one that is overwritten is in history, and the next runs agree on the fresher', async ({
    s3,
  }) => {
    const [laptop, server] = await twoHosts(s3);
    for (const home of [laptop, server]) await done(sync(home));
    const fresher = credential('a@example.com', 20);
    const older = credential('a@example.com', 10);
    await put(laptop.authDir, { 'a.json': fresher });
    await put(server.authDir, { 'a.json': older });
    // The older one looks first and writes last: what the fresher wrote in between is overwritten.
    let overtaken: Promise<unknown> | undefined;
    let writes = 0;
    s3.network.spoil(({ kind, key, body }) => {
      if (kind !== 'PUT' || key !== 'auths/a.json') return { kind: 'ignore-conditions' };
      if (body !== String(older) || writes++ > 0) return { kind: 'ignore-conditions' };
      overtaken = s3.store.write('auths/a.json', fresher);
      return { kind: 'delay', ms: 1_000 };
    });
    const running = sync(server);
    await running;
    await overtaken;
    expect(overtaken).toBeDefined();
    s3.network.spoil(() => ({ kind: 'ignore-conditions' }));
    for (const home of [laptop, server, laptop, server]) await done(sync(home));
    await expectInStep(s3, [laptop, server], { 'a.json': fresher });
    expect(await isKept(s3, older, [server])).toBe(true);
  });

  test('runs of both at once end in one version everywhere, and lose none', async ({ s3 }) => {
    const [laptop, server] = await twoHosts(s3);
    for (const home of [laptop, server]) await done(sync(home));
    for (let round = 2; round < 5; round++) {
      const versions = [
        credential('a@example.com', 2 * round),
        credential('a@example.com', 2 * round + 1),
      ] as const;
      await put(laptop.authDir, { 'a.json': versions[0] });
      await put(server.authDir, { 'a.json': versions[1] });
      await Promise.all([sync(laptop), sync(server)]);
      for (const home of [laptop, server, laptop]) await done(sync(home));
      await expectInStep(s3, [laptop, server], { 'a.json': versions[1] });
      expect(await isKept(s3, versions[0], [laptop, server])).toBe(true);
    }
  });
});
