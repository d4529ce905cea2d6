import { describe, expect, test } from 'vitest';
import { type Dialect, rememberDialect } from '../../ts/src/stores/s3/dialect.ts';
import { s3Store } from '../../ts/src/stores/s3/store.ts';
import type { Store } from '../../ts/src/stores/store.ts';
import type { Fault, S3Request } from '../support/fault-proxy.ts';
import { memoryInMemory } from '../support/memory.ts';
import { freshBucket, lookInto, s3Server } from '../support/s3.ts';
import { HONOURED, knowing, proxy } from './s3-proxy.ts';
import { create, credential, current, entry, MARKER, named, readAll, versionIn } from './vocabulary.ts';

type Rule = (request: S3Request) => Fault | undefined;

/** Stand-ins for providers, and what the probe must find. */
const PROVIDERS: readonly [name: string, rule: Rule, dialect: Dialect][] = [
  ['one that honours all (AWS, SeaweedFS)', () => undefined, dialect('honoured')],
  [
    'one without conditional removal (R2, MinIO)',
    ignoring('DELETE'),
    dialect('honoured', { conditionalDelete: false }),
  ],
  [
    'one that wants ETags unquoted (Spaces)',
    () => ({ kind: 'unquoted' }),
    dialect('honoured', { etag: 'unquoted' }),
  ],
  [
    'one with generations (Google)',
    () => ({ kind: 'generations' }),
    dialect('honoured', { generation: true }),
  ],
  ['one that ignores conditions (Garage)', () => ({ kind: 'ignore-conditions' }), NONE()],
  ['one that does not know conditions (B2)', unknown, NONE()],
  [
    'one that ignores If-Match alone',
    ({ headers }) => ('if-match' in headers ? { kind: 'ignore-conditions' } : undefined),
    NONE(),
  ],
  ['one in which racing creates all win', racing, NONE()],
];

describe.skipIf(!s3Server)('providers differ', () => {
  describe.each(PROVIDERS)('%s', (_, rule, expected) => {
    function opened(known: boolean) {
      const direct = freshBucket();
      const memory = known ? knowing(expected) : memoryInMemory();
      const store = s3Store({ ...direct, endpoint: proxy.endpoint }, memory);
      proxy.spoil(rule);
      return { store, memory, outside: lookInto(direct) };
    }

    test('is found out by the probe, which leaves nothing behind', async () => {
      const { store, memory, outside } = opened(false);
      expect(store.weaknesses?.()).toEqual([]);
      expect(await store.prepare(MARKER)).toEqual(MARKER);
      expect(memory.read().dialect).toMatchObject(expected);
      expect(await outside.keys()).toEqual(['sync/store.json']);
      const weak = expected.conditions === 'none' || !expected.conditionalDelete;
      expect(store.weaknesses?.()).toHaveLength(weak ? 1 : 0);
    });

    test('takes creations, rotations and removals, and refuses what another host overtook', async () => {
      const { store } = opened(true);
      await store.prepare(MARKER);
      const first = await tagsOf(store, create('a.json', credential('1')));
      const second = await tagsOf(store, {
        ...create('a.json', credential('2'), first.current),
        backup: { kind: 'put', bytes: credential('2'), seen: first.backup },
      });
      for (const seen of [first.current, undefined, 'f'.repeat(32)]) {
        const [late] = await store.commit([
          {
            name: named('a.json'),
            keep: [entry(credential('3'))],
            current: { kind: 'put', bytes: credential('3'), seen },
          },
        ]);
        expect(late).toEqual({ kind: 'lost', step: 'current' });
      }
      const [early] = await store.commit([
        { name: named('a.json'), keep: [], current: { kind: 'remove', seen: first.current } },
      ]);
      expect(early).toEqual({ kind: 'lost', step: 'current' });
      expect(await readAll(store, [current('a.json')])).toMatchObject([
        { kind: 'object', tag: second.current },
      ]);
      // Nothing was lost by losing.
      expect((await store.history()).map(({ id }) => id).sort()).toEqual(
        ['1', '2', '3'].map((text) => versionIn(credential(text))).sort(),
      );
      const [removed] = await store.commit([
        { name: named('a.json'), keep: [], current: { kind: 'remove', seen: second.current } },
      ]);
      expect(removed?.kind).toBe('done');
      expect(await readAll(store, [current('a.json')])).toEqual([{ kind: 'absent' }]);
    });
  });

  test('the probe is not run again while it is remembered, and is after 30 days', async () => {
    const options = { ...freshBucket(), endpoint: proxy.endpoint };
    const remembered = (daysAgo: number) =>
      memoryInMemory({
        dialect: rememberDialect(dialect('honoured'), Date.now() - daysAgo * 24 * 60 * 60 * 1000),
      });
    await s3Store(options, remembered(0)).prepare(MARKER);
    proxy.forget();
    await s3Store(options, remembered(29)).prepare(MARKER);
    expect(proxy.counts()).toEqual({ GET: 1 });
    await s3Store(options, remembered(31)).prepare(MARKER);
    expect(proxy.requests.filter(({ key }) => key.startsWith('sync/probe/')).length).toBeGreaterThan(10);
  });

  test('a provider that changes from conditions to 501 after the probe is written to all the same', async () => {
    const memory = knowing();
    const store = s3Store({ ...freshBucket(), endpoint: proxy.endpoint }, memory);
    proxy.spoil(unknown);
    await store.prepare(MARKER);
    const [outcome] = await store.commit([create('a.json', credential('a'))]);
    expect(outcome?.kind).toBe('done');
    const [late] = await store.commit([create('a.json', credential('b'))]);
    expect(late).toEqual({ kind: 'lost', step: 'current' });
  });

  test('without conditions, a write in between is seen by the look just before it', async () => {
    const direct = freshBucket();
    const memory = knowing(NONE());
    const store = s3Store({ ...direct, endpoint: proxy.endpoint }, memory);
    await store.prepare(MARKER);
    const first = await tagsOf(store, create('a.json', credential('1')));
    const outside = lookInto(direct);
    // Overtaken after our write and before we read it back.
    let overtaken: Promise<void> | undefined;
    proxy.spoil(({ kind, key }) => {
      if (kind !== 'GET' || key !== 'auths/a.json') return undefined;
      overtaken ??= outside.put('auths/a.json', credential('other'));
      return { kind: 'delay', ms: 300 };
    });
    const [outcome] = await store.commit([
      {
        name: named('a.json'),
        keep: [],
        current: { kind: 'put', bytes: credential('2'), seen: first.current },
      },
    ]);
    await overtaken;
    expect(outcome).toEqual({ kind: 'lost', step: 'current' });
  });
});

function dialect(conditions: Dialect['conditions'], more: Partial<Dialect> = {}): Dialect {
  return { ...HONOURED, conditions, ...more };
}

function NONE(): Dialect {
  return dialect('none', { conditionalDelete: false });
}

function ignoring(kind: S3Request['kind']): Rule {
  return (request) => (request.kind === kind ? { kind: 'ignore-conditions' } : undefined);
}

function unknown({ conditional }: S3Request): Fault | undefined {
  return conditional ? { kind: 'answer', status: 501, code: 'NotImplemented' } : undefined;
}

/** Looks for an object, then writes, as older SeaweedFS did: right one after another, wrong at once. */
function racing({ kind, headers, body }: S3Request): Fault | undefined {
  return kind === 'PUT' && headers['if-none-match'] === '*' && body.startsWith('racer')
    ? { kind: 'ignore-conditions' }
    : undefined;
}

async function tagsOf(store: Store, change: Parameters<Store['commit']>[0][number]) {
  const [outcome] = await store.commit([change]);
  if (outcome?.kind !== 'done' || !outcome.current || !outcome.backup)
    throw new Error(JSON.stringify(outcome));
  return { current: outcome.current, backup: outcome.backup };
}
