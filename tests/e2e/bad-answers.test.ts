import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import {
  credential,
  done,
  expectInStep,
  type Fault,
  type Home,
  held,
  isKept,
  put,
  run,
  type S3Request,
  type S3World,
  s3Server,
  sync,
  test,
  texts,
} from './world.ts';

describe.skipIf(!s3Server)('an S3 server that answers', () => {
  interface Answer {
    readonly title: string;
    readonly fault: Fault;
    readonly code: 0 | 1 | 75;
    readonly said: RegExp;
  }
  const answer = (status: number, code: string): Fault => ({ kind: 'answer', status, code });
  const page: Fault = { kind: 'body', body: '<html>Log in</html>' };
  const garbage: Fault = { kind: 'body', body: '\0\u0001garbage' };

  const toEverything: readonly Answer[] = [
    { title: 'nothing', fault: { kind: 'silence' }, code: 75, said: /did not answer in time/ },
    { title: '403, for a right', fault: answer(403, 'AccessDenied'), code: 1, said: /has no right to do so/ },
    {
      title: '403, for a wrong secret',
      fault: answer(403, 'SignatureDoesNotMatch'),
      code: 1,
      said: /secret key/,
    },
    { title: '404', fault: answer(404, 'NoSuchKey'), code: 1, said: /404, NoSuchKey/ },
    { title: '409', fault: answer(409, 'OperationAborted'), code: 1, said: /409, OperationAborted/ },
    { title: '412', fault: answer(412, 'PreconditionFailed'), code: 1, said: /412, PreconditionFailed/ },
    { title: '429', fault: answer(429, 'TooManyRequests'), code: 75, said: /asks to slow down/ },
    { title: '500', fault: answer(500, 'InternalError'), code: 75, said: /the server failed \(status 500/ },
    { title: '503', fault: answer(503, 'SlowDown'), code: 75, said: /asks to slow down/ },
    { title: 'a reset', fault: { kind: 'reset' }, code: 75, said: /broke the connection/ },
    { title: 'half a body', fault: { kind: 'half' }, code: 75, said: /Cannot list|no S3 server/ },
    { title: 'garbage', fault: garbage, code: 75, said: /is no S3 server|not what an S3/ },
    { title: 'a login page', fault: page, code: 75, said: /wants a login page/ },
    {
      title: 'an empty 200',
      fault: { kind: 'body', body: '' },
      code: 75,
      said: /no S3 server|not what an S3/,
    },
  ];

  test.concurrent.for(toEverything)(
    '$title, whatever is asked: exit $code, and nothing is lost',
    async (expected, { s3 }) => {
      const changes = await changed(s3);
      const { home, here } = changes;
      s3.network.spoil(() => expected.fault);
      // What costs half a minute is waited for once.
      const programs =
        expected.fault.kind === 'silence' ? (['backup'] as const) : (['hydrate', 'backup'] as const);
      for (const program of programs) {
        const { code, stderr } = await run(home, program);
        expect(code, stderr).toBe(expected.code);
        expect(stderr).toMatch(expected.said);
        expect(stderr).toContain(`s3://${s3.settings.bucket} at 127.0.0.1`);
        expect(stderr.match(/^error:/gm), stderr).toHaveLength(1);
        expect(held(home.authDir)).toEqual(texts(here));
      }
      await recovers(s3, changes);
    },
  );

  interface OneSpoilt extends Answer {
    readonly pick: Pick<S3Request, 'kind' | 'key'>;
    /** Default: as often as it is asked. */
    readonly times?: number;
  }
  const get = { kind: 'GET', key: 'auths/b.json' } as const;
  const create = { kind: 'PUT', key: 'auths/new.json' } as const;
  const replace = { kind: 'PUT', key: 'auths/a.json' } as const;
  const remove = { kind: 'DELETE', key: 'auths/c.json' } as const;
  const copy = { kind: 'PUT', key: 'backup/auths/a.json' } as const;
  const denied = answer(403, 'AccessDenied');
  const conflict = answer(409, 'ConditionalRequestConflict');
  const failed = answer(412, 'PreconditionFailed');
  const slowDown = answer(503, 'SlowDown');
  const full = answer(507, 'InsufficientCapacity');
  const half: Fault = { kind: 'half' };
  const unsettled = /kept changing/;
  const toOne: readonly OneSpoilt[] = [
    // A write that is refused while others go through is that credential's failure.
    { title: 'nothing', pick: create, fault: { kind: 'silence' }, code: 1, said: /new\.json: .*in time/ },
    { title: '403', pick: create, fault: denied, code: 1, said: /new\.json: .*has no right/ },
    { title: '403', pick: copy, fault: denied, code: 1, said: /a\.json: .*has no right/ },
    { title: '429', pick: create, fault: answer(429, 'SlowDown'), code: 1, said: /new\.json: .*slow down/ },
    {
      title: '500',
      pick: replace,
      fault: answer(500, 'InternalError'),
      code: 1,
      said: /a\.json: .*status 500/,
    },
    { title: '507', pick: create, fault: full, code: 1, said: /new\.json: .*no more room/ },
    { title: 'garbage', pick: create, fault: garbage, code: 1, said: /new\.json: .*is no S3 server/ },
    // One that may not be read, or that the server fails to read out, likewise.
    { title: '403', pick: get, fault: denied, code: 1, said: /b\.json .*has no right/ },
    { title: '500', pick: get, fault: answer(500, 'InternalError'), code: 1, said: /b\.json .*status 500/ },
    { title: 'half a body', pick: get, fault: half, code: 1, said: /b\.json/ },
    {
      title: 'a reset',
      pick: get,
      fault: { kind: 'reset' },
      code: 1,
      said: /b\.json .*broke the connection/,
    },
    {
      title: 'a slow drip',
      pick: get,
      fault: { kind: 'drip', every: 2_000 },
      code: 1,
      said: /b\.json .*in time/,
    },
    { title: 'garbage', pick: get, fault: garbage, code: 1, said: /b\.json .*no S3 server|not what an S3/ },
    {
      title: '400',
      pick: get,
      fault: answer(400, 'InvalidRequest'),
      code: 1,
      said: /b\.json .*InvalidRequest/,
    },
    { title: '503', pick: get, fault: slowDown, code: 1, said: /b\.json .*slow down/ },
    // A removal that is refused, likewise; c.json is removed here for it.
    {
      title: '500',
      pick: remove,
      fault: answer(500, 'InternalError'),
      code: 1,
      said: /c\.json: .*status 500/,
    },
    { title: '403', pick: remove, fault: denied, code: 1, said: /c\.json: .*has no right/ },
    {
      title: 'a reset',
      pick: remove,
      fault: { kind: 'reset' },
      code: 1,
      said: /c\.json: .*broke the connection/,
    },
    // What is in every listing and never there is no loss that is to be healed, and holds up nothing else.
    {
      title: '404',
      pick: get,
      fault: answer(404, 'NoSuchKey'),
      code: 1,
      said: /b\.json \(store\) is in the listing of the store, and is not there when it is read/,
    },
    // What always says that another host was faster is left to the next run.
    { title: '404', pick: replace, fault: answer(404, 'NoSuchKey'), code: 75, said: unsettled },
    { title: '409', pick: create, fault: conflict, code: 75, said: unsettled },
    { title: '412', pick: replace, fault: failed, code: 75, said: unsettled },
    // What passes is not even worth a word.
    { title: '409 once', pick: create, times: 1, fault: conflict, code: 0, said: QUIET },
    { title: '412 once', pick: replace, times: 1, fault: failed, code: 0, said: QUIET },
    { title: '503 twice', pick: replace, times: 2, fault: slowDown, code: 0, said: QUIET },
    { title: 'half a body once', pick: get, times: 1, fault: half, code: 0, said: QUIET },
    { title: 'a lost answer', pick: replace, times: 1, fault: { kind: 'lost-answer' }, code: 0, said: QUIET },
  ];

  test.concurrent.for(toOne)(
    '$title to a $pick.kind of $pick.key: exit $code, and nothing is lost',
    async (expected, { s3 }) => {
      const changes = await changed(s3);
      const { home, here } = changes;
      const { pick, fault, times = Number.POSITIVE_INFINITY } = expected;
      const { 'c.json': deleted = Buffer.alloc(0), ...others } = changes.all;
      const all = pick.kind === 'DELETE' ? others : changes.all;
      if (pick.kind === 'DELETE') await rm(join(home.authDir, 'c.json'));
      let asked = 0;
      s3.network.spoil(({ kind, key }) =>
        kind === pick.kind && key === pick.key && asked++ < times ? fault : undefined,
      );
      const { code, stderr } = await run(home, 'backup');
      expect(code, stderr).toBe(expected.code);
      expect(asked).toBeGreaterThan(0);
      expect(stderr).toMatch(expected.said);
      const now = held(home.authDir);
      for (const name of ['a.json', 'new.json', ...(pick.kind === 'DELETE' ? [] : ['c.json'])])
        expect(now[name]).toBe(String(here[name]));
      if (code === 1) {
        // Only this one is refused: the others are where they belong.
        const [name] = /[^/]*$/.exec(pick.key) ?? [];
        expect(now).toHaveProperty(['there.json']);
        for (const other of ['a.json', 'new.json'].filter((each) => each !== name))
          expect(String(await s3.store.read(`auths/${other}`))).toBe(String(here[other]));
      }
      if (code === 0) await expectInStep(s3, [home], all);
      await recovers(s3, { ...changes, all });
      if (pick.kind === 'DELETE') expect(await isKept(s3, deleted)).toBe(true);
    },
  );

  test('500 to the one write that there is: exit 1, and what comes from the store is brought all the same', async ({
    s3,
  }) => {
    const home = await s3.home('laptop', { store: s3.throughNetwork });
    await put(home.authDir, { 'a.json': credential('a@example.com') });
    await done(sync(home));
    const there = credential('there');
    const here = credential('a@example.com', 5);
    await put(home.authDir, { 'a.json': here });
    await s3.store.write('auths/there.json', there);
    await s3.store.write('backup/auths/there.json', there);
    s3.network.spoil(({ kind, key }) =>
      kind === 'PUT' && key === 'auths/a.json' ? answer(500, 'InternalError') : undefined,
    );
    const { code, stderr } = await sync(home);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/a\.json: .*status 500/);
    expect(held(home.authDir)).toEqual(texts({ 'a.json': here, 'there.json': there }));
    s3.network.spoil(() => undefined);
    await done(sync(home));
    await expectInStep(s3, [home], { 'a.json': here, 'there.json': there });
  });

  test('500 to all reads of objects: exit 75, and nothing is deleted', async ({ s3 }) => {
    const changes = await changed(s3);
    s3.network.spoil(({ kind }) => (kind === 'GET' ? answer(500, 'InternalError') : undefined));
    const { code, stderr } = await run(changes.home, 'backup');
    expect(code, stderr).toBe(75);
    expect(held(changes.home.authDir)).toEqual(texts(changes.here));
    await recovers(s3, changes);
  });

  test.concurrent.for([4, 6, 8, 10, 12])(
    '403 from request %i of a run on, since the keys expired: exit 1, and nothing is deleted or lost',
    async (first, { s3 }) => {
      const changes = await changed(s3);
      const { home, here, all } = changes;
      const { 'c.json': deleted = Buffer.alloc(0), ...left } = all;
      await rm(join(home.authDir, 'c.json'));
      s3.network.forget();
      s3.network.spoil(() =>
        s3.network.requests.length >= first ? answer(403, 'InvalidAccessKeyId') : undefined,
      );
      const { code, stderr } = await run(home, 'backup');
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(/the access key is not known there|the server denies it/);
      const now = held(home.authDir);
      for (const name of ['a.json', 'new.json']) expect(now[name]).toBe(String(here[name]));
      await recovers(s3, { ...changes, all: left });
      expect(await isKept(s3, deleted)).toBe(true);
    },
  );
});

/** Nothing but what was done. */
const QUIET = /^(?!.*(error|warning):)/s;

interface Changes {
  readonly home: Home;
  /** What the auth dir holds. */
  readonly here: Record<string, Buffer>;
  /** What all places are to hold in the end. */
  readonly all: Record<string, Buffer>;
  /** What is replaced on the way there. */
  readonly replaced: readonly Buffer[];
}

/** A home that was in step with the store, and then changes on both sides, none of which may be lost. */
async function changed(s3: S3World): Promise<Changes> {
  const home = await s3.home('laptop', { store: s3.throughNetwork });
  const a = credential('a@example.com');
  const b = credential('b@example.com');
  const c = credential('c@example.com');
  await put(home.authDir, { 'a.json': a, 'b.json': b, 'c.json': c });
  await done(sync(home));
  const here = { 'a.json': credential('a@example.com', 5), 'new.json': credential('new') };
  const there = { 'b.json': credential('b@example.com', 6), 'there.json': credential('there') };
  await put(home.authDir, here);
  for (const [name, bytes] of Object.entries(there)) await s3.store.write(`auths/${name}`, bytes);
  return {
    home,
    here: { 'b.json': b, 'c.json': c, ...here },
    all: { 'c.json': c, ...here, ...there },
    replaced: [a, b],
  };
}

/** When the server is well again, all is as if nothing had been. */
async function recovers(s3: S3World, { home, all, replaced }: Changes): Promise<void> {
  s3.network.spoil(() => undefined);
  await done(run(home, 'backup'));
  await expectInStep(s3, [home], all);
  for (const bytes of replaced) expect(await isKept(s3, bytes, [home])).toBe(true);
}
