/** From each store to each other, through the library: what arrives, what is refused, and what a crash leaves. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { parseCredential, type Version } from '../../ts/src/credential/version.ts';
import { type Holdings, holdingsOf, holdingsOfFiles } from '../../ts/src/migrate/holdings.ts';
import { type MigrateReport, type MigrationSource, migrate } from '../../ts/src/migrate/migrate.ts';
import type { Store, StoreChange } from '../../ts/src/stores/store.ts';
import { openState } from '../../ts/src/sync/state.ts';
import { serializeTombstone } from '../../ts/src/sync/tombstone-record.ts';
import { freshPlace, KINDS_HERE, type PlaceOfStore } from '../support/places.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function place(kind: PlaceOfStore['kind']): Promise<PlaceOfStore> {
  const made = await freshPlace(kind);
  cleanUps.push(made.remove);
  return made;
}
async function open(from: PlaceOfStore): Promise<Store> {
  const store = await from.open();
  cleanUps.push(() => store.close());
  return store;
}
async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'migrate-'));
  cleanUps.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

function version(token: string, day: number): Version {
  const content = {
    type: 'claude',
    email: 'a@b',
    access_token: token,
    nested: { unknown: [1.5, '☃'] },
    last_refresh: `2026-11-${String(day).padStart(2, '0')}T00:00:00Z`,
  };
  const parsed = parseCredential(Buffer.from(JSON.stringify(content, null, 2)));
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.version;
}
const named = (name: string) => name as CredentialName;
const kept = ({ id, bytes }: Version, replaces: Version[], day: number) => ({
  id,
  bytes,
  host: 'laptop',
  reason: 'changed in the auth dir',
  replaces: replaces.map((other) => other.id),
  arrived: Date.UTC(2026, 10, day),
});
function current(name: string, now: Version, before: Version[] = [], day = 3): StoreChange {
  const put = { kind: 'put', bytes: now.bytes, seen: undefined, version: now.id } as const;
  return {
    name: named(name),
    keep: [...before.map((old, index) => kept(old, before.slice(0, index), day)), kept(now, before, day + 1)],
    current: put,
    backup: put,
  };
}
const OLD = version('old', 1);
const NEW = version('new', 2);
const OTHER = version('other', 2);
const GONE = version('gone', 1);
/** Taken out of history long ago. */
const ANCIENT = version('ancient', 0);
const TOMBSTONE = {
  name: named('gone.json'),
  version: GONE.id,
  freshness: GONE.freshness,
  host: 'laptop',
  time: Date.UTC(2026, 10, 5),
};
const CONFIG = Buffer.from('port: 8317 # ü\n');
const OLD_CONFIG = Buffer.from('port: 1\n');

/** A store with a bit of everything. */
async function fill(store: Store): Promise<void> {
  await store.prepare({ id: 'source', format: 1 });
  const tombstone = { kind: 'put', bytes: serializeTombstone(TOMBSTONE), seen: undefined } as const;
  const outcomes = await store.commit([
    current('rotated.json', NEW, [OLD]),
    current('folder/nested ü.json', OTHER),
    { name: TOMBSTONE.name, keep: [kept(GONE, [], 2)], tombstone },
  ]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(['done', 'done', 'done']);
  await store.prune([{ name: named('rotated.json'), versions: [], superseded: [ANCIENT.id] }]);
  const words = { host: 'laptop', reason: 'rendered' };
  const keep = [OLD_CONFIG, CONFIG].map((bytes, index) => ({
    bytes,
    ...words,
    arrived: Date.UTC(2026, 9, 1 + index),
  }));
  await store.commitConfig({ bytes: CONFIG, seen: undefined, keep });
}

function sourceOf(store: Store): MigrationSource {
  return { location: store.location, look: () => holdingsOf(store), read: store.read };
}

async function run(
  source: MigrationSource,
  target: Store,
  options: { merge?: boolean; dryRun?: boolean; checkpoint?: () => void } = {},
): Promise<MigrateReport> {
  const { merge = false, dryRun = false, checkpoint = () => undefined } = options;
  const state = await openState(await directory(), { readOnly: dryRun });
  return migrate({ source, target, merge, dryRun, hostName: 'mover', state, checkpoint });
}

/** What a person would compare: versions, times and words, without the stores' own tags. */
function essence({ credentials, pruned, config, configHistory }: Holdings) {
  const id = (sighting: { kind: string; version?: { id: string } }) => sighting.version?.id ?? sighting.kind;
  return {
    pruned: [...pruned].filter(([, ids]) => ids.length > 0),
    credentials: Object.fromEntries(
      [...credentials].sort().map(([name, { current: now, backup, tombstone, history }]) => [
        name,
        {
          current: id(now),
          backup: id(backup),
          tombstone: tombstone?.kind === 'tombstone' ? tombstone.tombstone : tombstone,
          history: [...history].sort((a, b) => (a.id < b.id ? -1 : 1)),
        },
      ]),
    ),
    config: config && Buffer.from(config.bytes).toString(),
    configHistory: configHistory
      .map(({ bytes, host, reason, arrived }) => ({
        text: Buffer.from(bytes).toString(),
        host,
        reason,
        arrived,
      }))
      .sort((a, b) => (a.text < b.text ? -1 : 1)),
  };
}

const PAIRS = KINDS_HERE.flatMap((from) => KINDS_HERE.map((to) => [from, to] as const));

describe.each(PAIRS)('from %s to %s', (fromKind, toKind) => {
  test('everything arrives, and a second run finds all of it there', async () => {
    const source = await open(await place(fromKind));
    const target = await open(await place(toKind));
    await fill(source);
    const before = essence(await holdingsOf(source));
    const report = await run(sourceOf(source), target);
    expect(report).toMatchObject({
      exitCode: 0,
      refused: undefined,
      wrong: [],
      leftBehind: [],
      credentials: { total: 2, written: 2 },
      tombstones: { total: 1, written: 1 },
      history: { total: 4, written: 4 },
      config: 'copied',
    });
    expect(essence(await holdingsOf(target))).toEqual(before);
    expect(essence(await holdingsOf(source))).toEqual(before);
    expect(await run(sourceOf(source), target)).toMatchObject({
      exitCode: 0,
      results: [],
      credentials: { total: 2, written: 0 },
      tombstones: { total: 1, written: 0 },
      history: { total: 4, written: 0 },
      config: 'there',
    });
    expect(essence(await holdingsOf(target))).toEqual(before);
  });
});

describe('a migration', () => {
  async function pair(): Promise<{ source: Store; target: Store }> {
    const source = await open(await place('directory'));
    const target = await open(await place('directory'));
    await fill(source);
    return { source, target };
  }

  test('that is dry says what it would do, and makes nothing', async () => {
    const { source, target } = await pair();
    const report = await run(sourceOf(source), target, { dryRun: true });
    expect(report).toMatchObject({
      exitCode: 0,
      credentials: { total: 2, written: 2 },
      tombstones: { total: 1, written: 1 },
      history: { total: 4, written: 4 },
      config: 'copied',
    });
    expect((await target.list()).present).toBe(false);
  });

  test('from nothing is refused, and makes nothing', async () => {
    const source = await open(await place('directory'));
    const target = await open(await place('directory'));
    expect(await run(sourceOf(source), target)).toMatchObject({
      exitCode: 1,
      refused: { reason: expect.stringContaining('nothing to migrate') },
    });
    expect((await target.list()).present).toBe(false);
  });

  test.each([
    [
      'a credential',
      async (target: Store) => void (await target.commit([current('theirs.json', OTHER)])),
      'theirs.json',
    ],
    [
      'another version',
      async (target: Store) => void (await target.commit([current('rotated.json', OTHER)])),
      'rotated.json',
    ],
    [
      'a config',
      async (target: Store) =>
        void (await target.commitConfig({ bytes: Buffer.from('port: 2\n'), seen: undefined, keep: [] })),
      'its config',
    ],
  ])('into a store that has %s of its own is refused before anything is written', async (_, occupy, said) => {
    const { source, target } = await pair();
    await target.prepare({ id: 'target', format: 1 });
    await occupy(target);
    const before = essence(await holdingsOf(target));
    const { exitCode, refused } = await run(sourceOf(source), target);
    expect(exitCode).toBe(1);
    expect(refused?.reason).toContain(said);
    expect(refused?.remedy).toContain('--merge');
    expect(essence(await holdingsOf(target))).toEqual(before);
  });

  test('that merges takes the fresher of two, keeps the other in history, and leaves what is only there', async () => {
    const { source, target } = await pair();
    const theirs = version('theirs', 9);
    await target.prepare({ id: 'target', format: 1 });
    await target.commit([current('rotated.json', theirs), current('theirs.json', OTHER)]);
    await target.commitConfig({ bytes: Buffer.from('port: 2\n'), seen: undefined, keep: [] });
    const report = await run(sourceOf(source), target, { merge: true });
    expect(report).toMatchObject({ exitCode: 0, wrong: [], config: 'kept' });
    const after = essence(await holdingsOf(target));
    expect(after.credentials['rotated.json']?.current).toBe(theirs.id);
    expect(after.credentials['rotated.json']?.history.map(({ id }) => id).sort()).toEqual(
      [theirs.id, NEW.id, OLD.id].sort(),
    );
    expect(after.credentials['theirs.json']?.current).toBe(OTHER.id);
    expect(after.config).toBe('port: 2\n');
    expect(after.configHistory.map(({ text }) => text)).toContain(String(CONFIG));
  });

  test('never brings an older version over a newer one, nor a deleted one back', async () => {
    const { source, target } = await pair();
    await target.prepare({ id: 'target', format: 1 });
    // The target still has what the source replaced and what it deleted.
    await target.commit([current('rotated.json', OLD), current('gone.json', GONE)]);
    expect(await run(sourceOf(source), target)).toMatchObject({ exitCode: 0, wrong: [] });
    const after = essence(await holdingsOf(target)).credentials;
    expect(after['rotated.json']).toMatchObject({ current: NEW.id, backup: NEW.id });
    expect(after['gone.json']).toMatchObject({ current: 'absent', backup: 'absent', tombstone: TOMBSTONE });
  });

  test('lets a login that is fresher than the deletion live', async () => {
    const { source, target } = await pair();
    const again = version('again', 8);
    await target.prepare({ id: 'target', format: 1 });
    await target.commit([current('gone.json', again)]);
    expect(await run(sourceOf(source), target, { merge: true })).toMatchObject({ exitCode: 0, wrong: [] });
    const after = essence(await holdingsOf(target)).credentials['gone.json'];
    expect(after).toMatchObject({ current: again.id, tombstone: undefined });
  });

  test('that ended in the middle is finished by the same command', async () => {
    const { source, target } = await pair();
    const whole = essence(await holdingsOf(source));
    for (let calls = 1; ; calls++) {
      const reached = await open(await place('directory'));
      let left = calls;
      const dying = failing(reached, () => --left < 0);
      const ended = await run(sourceOf(source), dying).catch((error: Error) => error.message);
      if (typeof ended !== 'string') {
        expect(calls).toBeGreaterThan(5);
        break;
      }
      expect(ended).toBe('killed');
      expect(await run(sourceOf(source), reached)).toMatchObject({ exitCode: 0, wrong: [], leftBehind: [] });
      const after = essence(await holdingsOf(reached));
      expect(after).toEqual(whole);
    }
    await target.close();
  });

  test('reads back what it wrote: a store that loses it is found out', async () => {
    const { source, target } = await pair();
    const forgetful: Store = {
      ...target,
      history: async (names) => (await target.history(names)).filter(({ id }) => id !== OLD.id),
      read: (references, receive) =>
        target.read(references, (reference, answer) =>
          receive(
            reference,
            reference.area === 'history' && reference.id === OLD.id ? { kind: 'absent' } : answer,
          ),
        ),
    };
    const report = await run(sourceOf(source), forgetful);
    expect(report.exitCode).toBe(1);
    expect(report.wrong.join()).toMatch(/rotated\.json, version .*is not there/);
  });

  test('takes plain login files with their config, and names what is none', async () => {
    const target = await open(await place('directory'));
    const files = await directory();
    const write = async (name: string, bytes: Uint8Array) => {
      await mkdir(dirname(join(files, name)), { recursive: true });
      await writeFile(join(files, name), bytes);
    };
    await write('claude.json', NEW.bytes);
    await write('folder/codex.json', OTHER.bytes);
    await write('broken.json', Buffer.from('{"type": '));
    await write('config.yaml', CONFIG);
    const source: MigrationSource = {
      location: files,
      look: () => holdingsOfFiles(files, join(files, 'config.yaml')),
      read: async () => undefined,
    };
    const report = await run(source, target);
    expect(report).toMatchObject({
      exitCode: 1,
      wrong: [],
      credentials: { total: 2, written: 2 },
      config: 'copied',
    });
    expect(report.leftBehind.join()).toContain('broken.json');
    const after = essence(await holdingsOf(target));
    expect(Object.entries(after.credentials).map(([name, held]) => [name, held.current])).toEqual([
      ['claude.json', NEW.id],
      ['folder/codex.json', OTHER.id],
    ]);
    expect(after.config).toBe(String(CONFIG));
  });
});

/** The store, until `isDead` says so: then every call fails, before or after the work. */
function failing(store: Store, isDead: () => boolean): Store {
  let after = false;
  const calls = ['prepare', 'commit', 'commitConfig', 'list', 'history', 'read'] as const;
  const broken = Object.fromEntries(
    calls.map((call) => [
      call,
      async (...args: never[]) => {
        const dead = isDead();
        after = !after;
        if (dead && !after) throw new Error('killed');
        const answer = await (store[call] as (...given: never[]) => Promise<unknown>)(...args);
        if (dead) throw new Error('killed');
        return answer;
      },
    ]),
  );
  return { ...store, ...broken };
}
