/** Whole runs that are stopped, kept out, overtaken or given answers that seldom come. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { parseCredential } from '../../../ts/src/credential/version.ts';
import { directoryStore } from '../../../ts/src/stores/directory.ts';
import { type ReadAnswer, type Reference, type Store, StoreError } from '../../../ts/src/stores/store.ts';
import { noteNativeProxy } from '../../../ts/src/sync/native-proxy.ts';
import { type RunEvent, type RunRequest, run } from '../../../ts/src/sync/run.ts';
import { files, type Host, killedAt, login, unreachable, type World, world } from '../../scenarios/world.ts';
import { asOrdinaryUser, giveToOrdinaryUser } from '../../support/ordinary-user.ts';

const A = 'a.json';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A run of a host with what `world` does not set. */
function runOf(
  host: Host,
  more: Partial<RunRequest> = {},
  through: (store: Store) => Store = (store) => store,
) {
  return run({
    permissions: { store: true },
    authDir: host.directories.auth,
    ccsDir: host.directories.ccs,
    stateDir: host.stateDir,
    hostName: host.name,
    lockWaitMs: 10_000,
    dryRun: false,
    allowDelete: new Set(),
    openStore: async (state) => through(directoryStore({ path: host.storePath }, state.memory('dir'))),
    ...more,
  });
}

const fails = (error: unknown) => async () => {
  throw error;
};
/** The store answers otherwise about what a reference picks. */
const answering =
  (pick: (reference: Reference) => boolean, answer: ReadAnswer) =>
  (store: Store): Store => ({
    ...store,
    read: (references, receive) =>
      store.read(references, (reference, real) => receive(reference, pick(reference) ? answer : real)),
  });

async function agreed(...names: readonly string[]): Promise<{ where: World; host: Host }> {
  const where = world();
  const host = where.host('laptop');
  for (const name of names) host.put('auth', name, login(1));
  await host.sync();
  return { where, host };
}

describe('a run', () => {
  test('whose time is up before it began changes nothing', async () => {
    const { host, where } = await agreed(A);
    host.put('auth', 'b.json', login(2));
    expect(await runOf(host, { signal: AbortSignal.abort() })).toMatchObject({
      exitCode: 75,
      stopped: 'the time for this run is up',
      problems: [],
    });
    expect(where.store.names('auths')).toEqual([A]);
  });

  test('whose lock was taken over meanwhile changes nothing more', async () => {
    const { host, where } = await agreed(A);
    host.put('auth', 'b.json', login(2));
    const onEvent = () => rmSync(join(host.stateDir, 'lock'), { recursive: true, force: true });
    expect(await runOf(host, { onEvent })).toMatchObject({
      exitCode: 75,
      stopped: expect.stringMatching(/another run took over/),
    });
    expect(where.store.names('auths')).toEqual([A]);
  });

  test('beside a native proxy that is about to fill the auth dir leaves that alone', async () => {
    const { host } = await agreed(A, 'b.json');
    await noteNativeProxy(host.stateDir, { store: 'postgres', authDir: host.directories.auth }, process.pid);
    host.remove('auth', A);
    const report = await runOf(host, { lockWaitMs: 150 });
    expect(report).toMatchObject({
      exitCode: 75,
      busy: expect.stringMatching(/the auth dir is left alone for now: the proxy/),
    });
    expect(host.names('ccs')).toEqual([A, 'b.json']);
  });

  test('of which the store cannot be right says so with 78', async () => {
    const { host } = await agreed(A);
    const wrong = new StoreError('configuration', 'The bucket name is not allowed.', 'Set another.');
    expect(await host.run({ through: (store) => ({ ...store, list: fails(wrong) }) })).toMatchObject({
      exitCode: 78,
      storeError: wrong,
    });
  });

  test('is ended by a mistake in the program, which is not put down to the store', async () => {
    const { host } = await agreed(A);
    const mistake = new TypeError('a mistake');
    for (const call of ['list', 'read'] as const) {
      host.put('auth', A, login(2));
      const through = (store: Store): Store => ({ ...store, [call]: fails(mistake) });
      host.saveState();
      rmSync(host.stateDir, { recursive: true });
      await expect(host.run({ through })).rejects.toBe(mistake);
    }
  });

  test('whose store lists and does not read goes by what is known without it', async () => {
    const { host } = await agreed(A);
    rmSync(host.stateDir, { recursive: true });
    const gone = new StoreError('unreachable', 'Nobody answers.', 'Try again.');
    expect(await host.run({ through: (store) => ({ ...store, read: fails(gone) }) })).toMatchObject({
      exitCode: 75,
      storeError: gone,
    });
    expect(host.names('auth')).toEqual([A]);
  });

  test('that other hosts overtake again and again is given up until the next', async () => {
    const { host } = await agreed(A);
    vi.spyOn(Math, 'random').mockReturnValue(0);
    host.put('auth', A, login(2));
    const through = (store: Store): Store => ({
      ...store,
      commit: async (changes) => changes.map(() => ({ kind: 'lost', step: 'current' })),
    });
    expect(await host.run({ through })).toMatchObject({
      exitCode: 75,
      stopped: 'other hosts or programs kept changing a.json through 8 rounds',
    });
  });

  test('that programs of this host keep changing is given up until the next', async () => {
    const { host } = await agreed(A);
    let count = 0;
    const onEvent = ({ kind }: RunEvent) => {
      if (kind === 'progress') host.put('auth', `${count++}.json`, login(3));
    };
    host.put('auth', A, login(2));
    expect(await runOf(host, { onEvent })).toMatchObject({
      stopped: expect.stringMatching(/kept changing the same credentials through 8 rounds/),
    });
  });

  test('tells what its store is weak in once', async () => {
    const { host } = await agreed(A);
    const through = (store: Store): Store => ({ ...store, weaknesses: () => ['It ignores conditions.'] });
    expect((await host.run({ through })).weaknesses).toEqual(['It ignores conditions.']);
    expect((await host.run({ through })).weaknesses).toEqual([]);
  });

  test('names a place that it may not write its marker to', async () => {
    const { host, where } = await agreed(A);
    rmSync(join(host.directories.auth, '.cliproxyapi-sync'));
    giveToOrdinaryUser(where.root);
    await asOrdinaryUser(async () => {
      chmodSync(host.directories.auth, 0o500);
      expect((await host.run()).problems).toMatchObject([
        { place: 'auth', reason: 'cannot be written (EACCES)' },
      ]);
      chmodSync(host.directories.auth, 0o700);
    });
  });

  test('takes a CCS dir that cannot be looked at for none that is off', async () => {
    const { host } = await agreed(A);
    rmSync(host.directories.ccs, { recursive: true });
    symlinkSync('auth', host.directories.ccs);
    expect((await host.run()).problems).toMatchObject([
      { place: 'ccs', reason: expect.stringMatching(/ELOOP/) },
    ]);
  });

  test('tells of what its guard held back in every round', async () => {
    const names = ['a.json', 'b.json', 'c.json', 'd.json'];
    const { host } = await agreed(...names);
    for (const name of names.slice(0, 3)) host.remove('auth', name);
    let isFirst = true;
    const onEvent = (event: RunEvent) => {
      if (event.kind !== 'progress' || event.done < event.total || !isFirst) return;
      isFirst = false;
      for (const name of names.slice(1)) host.remove('auth', name);
    };
    const { guard } = await runOf(host, { onEvent });
    expect([...(guard?.names ?? [])].sort()).toEqual(names);
    expect(host.names('auth')).toEqual(names);
  });
});

describe('what a run says of files and objects that it cannot use', () => {
  test('names what to do, for those in the store and those here', async () => {
    const { host, where } = await agreed(A);
    host.put('auth', 'half.json', '{');
    where.store.put('auths', 'garbage.json', 'garbage');
    where.store.put('auths', 'huge.json', 'x'.repeat(1024 * 1024 + 1));
    host.put('auth', 'closed.json', login(1));
    symlinkSync('/nowhere', join(host.directories.auth, 'link.json'));
    chmodSync(join(host.directories.auth, 'closed.json'), 0);
    giveToOrdinaryUser(where.root);
    const { problems } = await asOrdinaryUser(() => host.run());
    const remedyOf = (name: string) => problems.find(({ subject }) => subject === name)?.remedy;
    expect(remedyOf('half.json')).toMatch(/or move it away: `mv /);
    expect(remedyOf('garbage.json')).toMatch(/Log in again, or put a good copy there\.$/);
    expect(remedyOf('huge.json')).toMatch(/Put a regular, readable file there/);
    expect(remedyOf('closed.json')).toMatch(/sudo chown/);
    expect(remedyOf('link.json')).toMatch(/cp -L/);
  });
});

describe('what the store answers', () => {
  test.each<[string, (reference: Reference) => boolean, ReadAnswer]>([
    ['an object that is gone by then', ({ area }) => area === 'current', { kind: 'absent' }],
    ['an object that fails', ({ area }) => area === 'current', { kind: 'failed', reason: 'is broken' }],
    ['a backup copy that is too large', ({ area }) => area === 'backup', { kind: 'too-large', size: 2e6 }],
  ])('is no deletion where it is %s', async (_, pick, answer) => {
    const { host, where } = await agreed(A);
    const other = where.host('desk');
    await other.run({ through: answering(pick, answer) });
    await host.sync();
    await other.sync();
    expect([host.names('auth'), other.names('auth'), where.store.names('auths')]).toEqual([[A], [A], [A]]);
  });

  test.each<[string, ReadAnswer]>([
    ['gone by then', { kind: 'absent' }],
    ['broken', { kind: 'failed', reason: 'is broken' }],
    ['too large', { kind: 'too-large', size: 2e6 }],
  ])('about a tombstone that is %s brings nothing back for good', async (_, answer) => {
    const { host, where } = await agreed(A, 'b.json');
    const other = where.host('desk');
    await other.sync();
    host.remove('auth', A);
    await host.sync();
    await other.run({ through: answering(({ area }) => area === 'tombstone', answer) });
    await other.sync();
    await host.sync();
    expect([host.names('auth'), other.names('auth')]).toEqual([['b.json'], ['b.json']]);
  });

  test('about a tombstone under a name that is none is passed by, and said', async () => {
    const { host, where } = await agreed(A);
    mkdirSync(join(where.storePath, 'sync/tombstones'), { recursive: true });
    writeFileSync(join(where.storePath, 'sync/tombstones/a\\b.json'), '{}');
    writeFileSync(join(where.storePath, 'auths/notes.txt'), 'mine');
    const { problems } = await host.run();
    expect(problems.map(({ subject, place }) => [subject, place])).toEqual([['a\\b.json', 'store']]);
  });

  test('with the same digest for the backup copy as for the object spares reading it', async () => {
    const { where } = await agreed(A);
    where.store.put('auths', 'garbage.json', 'garbage');
    where.store.put('backup/auths', 'garbage.json', 'garbage');
    const reads: string[] = [];
    const withDigests = (store: Store): Store => ({
      ...store,
      async list() {
        const listing = await store.list();
        const digested = (area: 'auths' | 'backup/auths', of: typeof listing.current) =>
          new Map(
            [...of].map(([name, object]) => {
              const bytes = readFileSync(join(where.storePath, area, name));
              return [name, { ...object, md5: createHash('md5').update(bytes).digest('hex') }];
            }),
          );
        const current = digested('auths', listing.current);
        return { ...listing, current, backup: digested('backup/auths', listing.backup) };
      },
      read(references, receive) {
        reads.push(...references.map(({ area, name }) => `${area} ${name}`));
        return store.read(references, receive);
      },
    });
    const other = where.host('desk');
    const { problems } = await other.run({ through: withDigests });
    expect(reads.sort()).toEqual(['current a.json', 'current garbage.json']);
    expect(problems.map(({ subject, place }) => `${place} ${subject}`)).toEqual([
      'store garbage.json',
      'backup garbage.json',
    ]);
    expect(other.names('auth')).toEqual([A]);
  });
});

describe('a version that is to be had out of the store', () => {
  /** A store and a host without its state: what it writes comes out of history. */
  async function healing(): Promise<{ host: Host; where: World }> {
    const { where } = await agreed(A);
    for (const area of ['auths', 'backup/auths'] as const) where.store.remove(area, A);
    const other = where.host('desk');
    return { host: other, where };
  }

  test.each<[string, ReadAnswer, RegExp]>([
    ['gone', { kind: 'absent' }, /is not in the store's history any more/],
    ['broken', { kind: 'failed', reason: 'is broken' }, /from the store failed: is broken/],
    [
      'another',
      { kind: 'object', bytes: Buffer.from('{"type":"y"}'), tag: 't' },
      /is not in the store's history/,
    ],
  ])('and is %s fails that credential alone, and is had by the next run', async (_, answer, words) => {
    const { host } = await healing();
    const report = await host.run({ through: answering(({ area }) => area === 'history', answer) });
    expect(report.results.flatMap(({ failures }) => failures).join()).toMatch(words);
    expect(host.names('auth')).toEqual([]);
    await host.sync();
    expect(host.names('auth')).toEqual([A]);
  });

  test('out of the current object or the backup copy is looked for again where it is another by then', async () => {
    const { where } = await agreed(A);
    const other = where.host('desk');
    await other.sync();
    other.remove('ccs', A);
    rmSync(other.directories.ccs, { recursive: true });
    mkdirSync(other.directories.ccs);
    rmSync(other.directories.auth, { recursive: true });
    mkdirSync(other.directories.auth);
    let left = 1;
    const once = (store: Store): Store =>
      answering(({ area }) => area === 'current' && left-- > 0, { kind: 'absent' })(store);
    await other.sync({ through: once });
    expect([other.names('auth'), other.names('ccs')]).toEqual([[A], [A]]);
    where.store.remove('auths', A);
    rmSync(other.directories.auth, { recursive: true });
    mkdirSync(other.directories.auth);
    rmSync(other.directories.ccs, { recursive: true });
    mkdirSync(other.directories.ccs);
    await other.sync();
    expect(where.store.names('auths')).toEqual([A]);
  });
});

describe('a store that answers', () => {
  test('what nobody asked for is not listened to', async () => {
    const { host } = await healedByNew();
    const through = (store: Store): Store => ({
      ...store,
      async read(references, receive) {
        await store.read(references, receive);
        const asked = references.find(({ area }) => area === 'history');
        if (asked?.area === 'history')
          receive({ ...asked, name: 'other.json' as CredentialName }, { kind: 'absent' });
      },
    });
    await host.sync({ through });
    expect(host.names('auth')).toEqual([A]);
  });

  test('nothing to a change has broken its contract, and nothing is taken for done', async () => {
    const { host, where } = await agreed(A);
    host.put('auth', 'b.json', login(2));
    const through = (store: Store): Store => ({ ...store, commit: async () => [] });
    await expect(host.run({ through })).rejects.toThrow(/gave no answer for b\.json/);
    await host.sync();
    expect(where.store.names('auths')).toEqual([A, 'b.json']);
  });

  test('nothing of names of which nothing was pruned is taken at its word', async () => {
    const { where } = await agreed(A);
    const other = where.host('desk');
    other.put('auth', A, login(0));
    await other.sync({ through: (store) => ({ ...store, pruned: async () => new Map() }) });
    expect(other.read('auth', A)).toEqual(login(1));
  });

  async function healedByNew() {
    const { where } = await agreed(A);
    for (const area of ['auths', 'backup/auths'] as const) where.store.remove(area, A);
    return { host: where.host('desk') };
  }
});

test('thousands of credentials are read', async () => {
  const { where } = await agreed(A);
  for (let count = 0; count < 2_001; count++) where.store.put('auths', `${count}.json`, login(1));
  const report = await where.host('desk').run({ dryRun: true });
  expect(report.results).toHaveLength(2_002);
});

test('a refresh that a proxy put into the store is in history once its backup copy was lost and is back', async () => {
  const { host, where } = await agreed(A);
  for (const area of ['auths', 'backup/auths'] as const) where.store.put(area, A, login(2));
  await host.sync();
  expect(host.read('auth', A)).toEqual(login(2));
  where.store.remove('backup/auths', A);
  await host.sync();
  expect(where.stored(`backup/auths/${A}`)).toEqual(login(2));
  expect(where.store.history(A)).toContainEqual(login(2));
});

test('what hydrate took as it was found is in history after the next sync', async () => {
  const { host, where } = await agreed(A);
  where.store.put('auths', A, login(2));
  await host.run({ command: 'hydrate' });
  expect([host.read('auth', A), where.store.history(A)]).toEqual([login(2), [login(1)]]);
  await host.sync();
  expect(where.store.history(A)).toContainEqual(login(2));
});

test('a new login that is deleted right after a run was killed over it stays deleted', async () => {
  const { host, where } = await agreed('b.json', 'c.json');
  host.put('auth', A, login(2));
  await expect(host.run({ through: killedAt('all') })).rejects.toThrow('killed');
  expect(where.store.names('auths')).toContain(A);
  host.remove('auth', A);
  await host.sync();
  expect([where.store.names('auths'), host.names('ccs')]).toEqual([
    ['b.json', 'c.json'],
    ['b.json', 'c.json'],
  ]);
});

test('a name that no place knows can be forgotten, on a host without a CCS dir too', async () => {
  const { where } = await agreed(A);
  const other = where.host('desk', { ccs: false });
  await other.sync();
  const choices = {
    choose: () => new Map([['x.json' as CredentialName, { kind: 'forget', time: 1 } as const]]),
  };
  await other.run({ choices });
  expect([other.names('auth'), where.store.names('auths')]).toEqual([[A], [A]]);
});

describe('a store that fails one write', () => {
  const failed = (store: Store): Store => ({
    ...store,
    commit: async (changes) =>
      changes.map(() => ({
        kind: 'failed',
        step: 'current',
        error: new StoreError('refused', 'Access denied.', 'Ask for the right.'),
      })),
  });

  test('keeps what it was to keep on this host, and the local places are brought in step', async () => {
    const { host } = await agreed(A);
    host.put('auth', A, login(2));
    host.put('ccs', A, login(3));
    const report = await host.run({ through: failed });
    expect(report.exitCode).toBe(1);
    expect(report.results.flatMap(({ failures }) => failures)).toContain('Access denied. Ask for the right.');
    expect([host.read('auth', A), host.read('ccs', A)]).toEqual([login(3), login(3)]);
    expect(readdirSync(join(host.stateDir, 'history', A)).length).toBeGreaterThan(0);
  });

  test('deletes nothing here without a tombstone there', async () => {
    const { host } = await agreed(A, 'b.json');
    host.remove('ccs', A);
    expect((await host.run({ through: failed })).exitCode).toBe(1);
    expect(host.names('auth')).toEqual([A, 'b.json']);
  });
});

describe('a file that is missing when it is looked at', () => {
  /** Runs, and does something while the run makes sure that a file is gone. */
  async function meanwhile(host: Host, act: () => void) {
    const running = host.run();
    await new Promise((resolve) => setTimeout(resolve, 200));
    act();
    return running;
  }

  test('and there a moment later was not deleted', async () => {
    const { host, where } = await agreed(A, 'b.json');
    const path = join(host.directories.auth, A);
    renameSync(path, `${path}.tmp`);
    await meanwhile(host, () => renameSync(`${path}.tmp`, path));
    expect(where.store.names('auths')).toEqual([A, 'b.json']);
    expect(where.store.names('sync/tombstones')).toEqual([]);
  });

  test('and paused a moment later was not deleted', async () => {
    const { host, where } = await agreed(A, 'b.json');
    const paused = join(host.directories.ccs, '../auth-paused');
    const path = join(host.directories.ccs, A);
    mkdirSync(paused);
    renameSync(path, `${path}.tmp`);
    await meanwhile(host, () => renameSync(`${path}.tmp`, join(paused, A)));
    expect([host.names('auth'), host.names('ccs')]).toEqual([[A, 'b.json'], ['b.json']]);
    expect(where.store.names('sync/tombstones')).toEqual([]);
  });

  test.each<[string, (marker: string) => void]>([
    [
      'with another marker a moment later',
      (marker) => writeFileSync(marker, '01234567-89ab-cdef-0123-456789abcdef'),
    ],
    [
      'whose marker cannot be read a moment later',
      (marker) => {
        rmSync(marker);
        symlinkSync('.cliproxyapi-sync', marker);
      },
    ],
  ])('in a place %s was not deleted', async (_, act) => {
    const { host, where } = await agreed(A, 'b.json');
    host.remove('auth', A);
    const marker = join(host.directories.auth, '.cliproxyapi-sync');
    await meanwhile(host, () => act(marker));
    expect(where.store.names('sync/tombstones')).toEqual([]);
    expect(where.store.names('auths')).toEqual([A, 'b.json']);
  });
});

test('a credential that is disabled already is deleted as it is', async () => {
  const { host } = await agreed('b.json');
  host.put('auth', A, login(1, { disabled: true }));
  await host.sync();
  host.remove('ccs', A);
  await host.sync();
  expect(host.names('auth')).toEqual(['b.json']);
});

test('a CCS dir that may not be written to is named, and the auth dir is brought in step', async () => {
  const { host, where } = await agreed(A);
  const other = where.host('desk');
  await other.sync();
  host.put('auth', A, login(2));
  await host.sync();
  giveToOrdinaryUser(where.root);
  chmodSync(other.directories.ccs, 0o500);
  const report = await asOrdinaryUser(() => other.run());
  chmodSync(other.directories.ccs, 0o700);
  expect(report.results.flatMap(({ failures }) => failures)).toEqual([
    expect.stringMatching(/^writing the CCS dir failed: .*EACCES/),
  ]);
  expect(other.read('auth', A)).toEqual(login(2));
});

test('an auth dir that may not be written to is named, and the CCS dir is brought in step', async () => {
  const { host, where } = await agreed(A);
  host.put('ccs', A, login(2));
  giveToOrdinaryUser(where.root);
  chmodSync(host.directories.auth, 0o500);
  const report = await asOrdinaryUser(() => host.run());
  chmodSync(host.directories.auth, 0o700);
  expect(report.results.flatMap(({ failures }) => failures)).toEqual([
    expect.stringMatching(/^writing the auth dir failed: .*EACCES/),
  ]);
  expect(where.stored(`auths/${A}`)).toEqual(login(2));
});

test('the guard says of what was chosen by name only what it holds back of that', async () => {
  const { host } = await agreed(A, 'b.json', 'c.json', 'd.json');
  const parsed = parseCredential(readFileSync(join(host.directories.auth, A)));
  if (!parsed.ok) throw new Error(parsed.reason);
  for (const name of [A, 'b.json', 'c.json']) host.remove('auth', name);
  const choice = {
    kind: 'restore',
    version: parsed.version,
    of: parsed.version.id,
    reason: 'wanted back',
  } as const;
  const choose = () => new Map([[A as CredentialName, choice]]);
  const { guard } = await host.run({ choices: { choose } });
  expect(guard === undefined || guard.names).toEqual([A]);
});

test('a login that was made again in one place comes back into the mirror of a proxy that pushes', async () => {
  const { host } = await agreed(A, 'b.json');
  host.remove('auth', A);
  host.put('ccs', A, login(2));
  await runOf(host, { permissions: { store: true, proxyPushes: true } });
  expect(host.read('auth', A)).toEqual(login(2));
});

test('a host that never saw its store brings its own places in step without it', async () => {
  const host = world().host('laptop');
  host.put('ccs', A, login(1));
  expect((await host.run({ through: unreachable })).exitCode).toBe(75);
  expect(host.read('auth', A)).toEqual(login(1));
});

describe('a state', () => {
  /** Changes what the base notes of a credential that was deleted. */
  async function withBurial(change: (buried: { tombstone: { name: string }; tag?: string }) => void) {
    const { host, where } = await agreed(A, 'b.json');
    host.remove('auth', A);
    await host.sync();
    for (const path of files(host.stateDir).filter((each) => each.endsWith('.json'))) {
      const text = readFileSync(path, 'utf8');
      if (!text.includes('"buried"')) continue;
      const content = JSON.parse(text);
      change(content.credentials[A].buried);
      writeFileSync(path, JSON.stringify(content));
    }
    return { host, where };
  }

  test('with a deletion under a name that is none is damaged: a first join, and the deletion holds', async () => {
    const { host } = await withBurial((buried) => {
      buried.tombstone.name = '../x.json';
    });
    expect((await host.run()).problems).toMatchObject([{ place: 'state' }]);
    expect(host.names('auth')).toEqual(['b.json']);
  });

  test('with a deletion whose record it has not seen in the store looks at it there', async () => {
    const { host } = await withBurial((buried) => {
      delete buried.tag;
    });
    await host.sync();
    expect(host.names('auth')).toEqual(['b.json']);
  });
});
