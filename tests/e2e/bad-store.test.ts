import { createHash } from 'node:crypto';
import { describe, expect } from 'vitest';
import {
  credential,
  credentials,
  done,
  expectInStep,
  held,
  KINDS,
  put,
  run,
  s3Server,
  sync,
  test,
  texts,
  tree,
} from './world.ts';

describe('a name in the store that no file should have', () => {
  const hostile: readonly (readonly [string, string, RegExp])[] = [
    ['climbs out', '../x.json', /^warning: \.\.\/x\.json \(store\) has a part "\.\."/m],
    ['climbs out from within', 'team/../../../x.json', /x\.json \(store\) has a part "\.\."/],
    ['is absolute', '/etc/x.json', /^warning: \/etc\/x\.json \(store\) is an absolute path/m],
    ['has a backslash', '..\\x.json', /^warning: \.\.\\x\.json \(store\) has a backslash/m],
    ['has an empty part', 'a//x.json', /^warning: a\/\/x\.json \(store\) has an empty part/m],
    ['starts with a drive letter', 'C:x.json', /C:x\.json \(store\) starts with a drive letter/],
    ['has an escape sequence', '\u001b[2Jx.json', /^warning: \\u001b\[2Jx\.json \(store\) has control/m],
    ['has a line break', 'x\nerror: y.json', /^warning: x\\u000aerror: y\.json \(store\) has control/m],
    ['has a NUL', 'x\0.json', /^warning: x\\u0000\.json \(store\) has control/m],
    ['is longer than a file name', `${'n'.repeat(251)}.json`, /\(store\) has a part of more than 255 bytes/],
  ];

  test.skipIf(!s3Server).for(hostile)(
    '%s: it is named, escaped, and brought nowhere; the others are brought',
    async ([, name, said], { s3 }) => {
      const home = await s3.home('laptop', { store: s3.throughNetwork });
      const files = credentials('a', 'b');
      await s3.store.make();
      for (const [good, bytes] of Object.entries(files)) await s3.store.write(`auths/${good}`, bytes);
      // Not every server takes such names: so it is the listing that is hostile, as another server's may be.
      const listed = { ...files, [name]: credential('evil') };
      s3.network.spoil(({ kind, key }) =>
        kind === 'LIST' && key === 'auths/'
          ? { kind: 'body', type: 'application/xml', body: page(listed) }
          : undefined,
      );
      for (const program of ['hydrate', 'backup'] as const) {
        const { code, stdout, stderr } = await run(home, program, ['--json']);
        expect(code, stderr).toBe(1);
        expect(stderr).toMatch(said);
        expect(JSON.parse(stdout)).toMatchObject({ problems: [{ subject: name, place: 'store' }] });
      }
      expect(held(home.authDir)).toEqual(texts(files));
      expect(s3.network.requests.filter(({ key }) => key === `auths/${name}`)).toEqual([]);
      expect((await tree(s3.root)).filter((line) => line.includes('x.json'))).toEqual([]);
    },
  );

  test.skipIf(!s3Server)(
    'put there for real, through S3, is never written outside the auth dir',
    async ({ s3 }) => {
      const home = await s3.home();
      const files = credentials('a', 'b');
      await s3.store.make();
      for (const [name, bytes] of Object.entries(files)) await s3.store.write(`auths/${name}`, bytes);
      for (const [, name] of hostile.slice(0, -1))
        await s3.store.write(`auths/${name}`, credential('evil')).catch(() => undefined);
      const { code } = await run(home, 'hydrate');
      expect(code).toBe(1);
      expect(held(home.authDir)).toMatchObject(texts(files));
      const escaped = (await tree(s3.root)).filter((line) =>
        /x\.json|y\.json/.test(line.split(' ')[0] ?? ''),
      );
      expect(escaped.filter((line) => !line.startsWith(`${home.authDir}/`))).toEqual([]);
    },
  );

  test('in a directory store, which can hold some of them, is named and brought nowhere', async ({
    world,
  }) => {
    const home = await world.home();
    const files = credentials('a', 'b');
    const bad = ['..\\x.json', '\u001b[2Jx.json', 'C:x.json'];
    for (const [name, bytes] of Object.entries(files)) await world.store.write(`auths/${name}`, bytes);
    for (const name of bad) await world.store.write(`auths/${name}`, credential('evil'));
    const { code, stderr } = await sync(home);
    expect(code).toBe(1);
    for (const reason of [/\.\.\\x\.json \(store\) has a backslash/, /\\u001b\[2Jx\.json/, /C:x\.json/])
      expect(stderr).toMatch(reason);
    expect(held(home.authDir)).toEqual(texts(files));
  });
});

describe.each(KINDS)('an object in the store that is no credential (%s)', (kind) => {
  test.override({ kind });

  test.for([
    ['garbage', Buffer.from([0xff, 0, 1])],
    ['an empty object', Buffer.alloc(0)],
    ['a web page', Buffer.from('<html>Log in</html>')],
  ] as const)('(%s) in the place of a good one is healed, and kept aside', async ([, garbage], { world }) => {
    const home = await world.home();
    const files = credentials('a', 'b');
    await put(home.authDir, files);
    await done(sync(home));
    await world.store.write('auths/a.json', garbage);
    const hydrated = await run(home, 'hydrate');
    expect(hydrated.code, hydrated.stderr).toBe(1);
    expect(hydrated.stderr).toMatch(/a\.json \(store\) is /);
    expect(held(home.authDir)).toEqual(texts(files));

    await done(sync(home));
    await expectInStep(world, [home], files);
    const kept = await world.store.keys('sync/');
    const contents = await Promise.all(kept.map((key) => world.store.read(key)));
    expect(garbage.length === 0 || contents.some((bytes) => bytes?.equals(garbage))).toBe(true);
    await done(run(home, 'hydrate'));
  });

  test('and that nobody has a good version of is named, left there, and brought nowhere', async ({
    world,
  }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    await done(sync(home));
    const bad = { 'bad.json': Buffer.from('not a credential'), 'huge.json': Buffer.alloc(5_000_000, ' ') };
    for (const [name, bytes] of Object.entries(bad)) await world.store.write(`auths/${name}`, bytes);
    for (const program of ['hydrate', 'backup'] as const) {
      const { code, stderr } = await run(home, program);
      expect(code).toBe(1);
      expect(stderr).toMatch(/bad\.json \(store\) is not valid JSON/);
      expect(stderr).toMatch(/huge\.json \(store\) is 5000000 bytes long/);
    }
    expect(Object.keys(held(home.authDir))).toEqual(['a.json']);
    for (const [name, bytes] of Object.entries(bad))
      expect((await world.store.read(`auths/${name}`))?.equals(bytes)).toBe(true);
  });

  test('objects removed by hand are put back, the whole of them too', async ({ world }) => {
    const home = await world.home();
    const files = credentials('a', 'b', 'c');
    await put(home.authDir, files);
    await done(sync(home));
    await world.store.remove('auths/a.json');
    await done(sync(home));
    await expectInStep(world, [home], files);
    for (const key of await world.store.keys()) if (!key.startsWith('sync/')) await world.store.remove(key);
    await done(sync(home));
    await expectInStep(world, [home], files);
  });
});

/** A listing of `auths/`, as a server answers. */
function page(files: Readonly<Record<string, Uint8Array>>): string {
  const contents = Object.entries(files).map(
    ([name, bytes]) =>
      `<Contents><Key>auths/${encodeURIComponent(name)}</Key><Size>${bytes.length}</Size>` +
      `<ETag>&quot;${createHash('md5').update(bytes).digest('hex')}&quot;</ETag>` +
      `<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
  );
  return (
    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
    `<Name>b</Name><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>${contents.join('')}</ListBucketResult>`
  );
}
