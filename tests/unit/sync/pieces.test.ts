/** What runs are made of, where something is missing, damaged, in the way or stopped. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { parseCredential, type VersionId } from '../../../ts/src/credential/version.ts';
import { identify } from '../../../ts/src/files/process.ts';
import { directoryStore } from '../../../ts/src/stores/directory.ts';
import { type HistoryRecord, type Store, StoreError } from '../../../ts/src/stores/store.ts';
import { exclusively } from '../../../ts/src/sync/exclusively.ts';
import { hostHistory, readHostVersion } from '../../../ts/src/sync/host-history.ts';
import { readLastRuns, recordRun } from '../../../ts/src/sync/last-run.ts';
import { listLocal, readLocal, readMarker } from '../../../ts/src/sync/local.ts';
import { removeLocal, writeLocal } from '../../../ts/src/sync/local-write.ts';
import type { CredentialSnapshot, Snapshot } from '../../../ts/src/sync/model.ts';
import { besideProxy, findNativeProxy, noteNativeProxy } from '../../../ts/src/sync/native-proxy.ts';
import { putBackWords } from '../../../ts/src/sync/put-back.ts';
import { MAX_PRUNED_PER_RUN, tidyHistory } from '../../../ts/src/sync/retention.ts';
import { openState } from '../../../ts/src/sync/state.ts';
import { Stopped, untilAborted } from '../../../ts/src/sync/stopping.ts';
import { takeOver } from '../../../ts/src/sync/take-over.ts';
import { placeNames, sentences, shellWord } from '../../../ts/src/sync/words.ts';
import { memoryInMemory } from '../../support/memory.ts';
import { asOrdinaryUser, giveToOrdinaryUser } from '../../support/ordinary-user.ts';

const LOGIN = Buffer.from('{"type":"x"}');
const A = 'a.json' as CredentialName;
const DAY = 24 * 3_600_000;

let root: string;
let stateDir: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pieces-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  stateDir = join(root, 'state');
});

function versionId(text: string): VersionId {
  const parsed = parseCredential(Buffer.from(`{"type":"x","token":"${text}"}`));
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.version.id;
}

describe('when this host last ran', () => {
  const run = { command: 'sync', time: 1_700_000_000_000, exitCode: 0, store: 's3://logins' };

  test('is told with the last run that succeeded', async () => {
    expect(await readLastRuns(stateDir)).toEqual({ last: undefined, success: undefined });
    await recordRun(stateDir, run);
    const failed = { ...run, time: run.time + 1, exitCode: 75 };
    await recordRun(stateDir, failed);
    expect(await readLastRuns(stateDir)).toEqual({ last: failed, success: run });
  });

  test.each([
    'nonsense',
    'null',
    '{"format":2,"last":{"command":"sync","time":1,"exitCode":0,"store":"x"}}',
    '{"format":1,"last":null,"success":7}',
    '{"format":1,"last":{"command":1,"time":1,"exitCode":0,"store":"x"}}',
    '{"format":1,"last":{"command":"sync","time":1,"exitCode":0}}',
    '{"format":1,"last":{"command":"sync","time":1,"exitCode":"0","store":"x"}}',
    '{"format":1,"last":{"command":"sync","time":"1","exitCode":0,"store":"x"}}',
  ])('is not known from %s', async (text) => {
    mkdirSync(stateDir);
    writeFileSync(join(stateDir, 'last-run.json'), text);
    expect(await readLastRuns(stateDir)).toEqual({ last: undefined, success: undefined });
  });

  test('is not noted where that fails, and that is no failure of the run', async () => {
    writeFileSync(stateDir, '');
    await recordRun(stateDir, run);
  });
});

describe('a wait for the store', () => {
  test('ends with its answer, or with its failure', async () => {
    const { signal } = new AbortController();
    expect(await untilAborted(undefined, Promise.resolve(1))).toBe(1);
    expect(await untilAborted(signal, Promise.resolve(1))).toBe(1);
    await expect(untilAborted(signal, Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  test('ends when the time is up, before it began or in the middle', async () => {
    const never = new Promise<never>(() => undefined);
    await expect(untilAborted(AbortSignal.abort(), never)).rejects.toThrow(Stopped);
    const controller = new AbortController();
    const waiting = expect(untilAborted(controller.signal, never)).rejects.toThrow(Stopped);
    controller.abort();
    await waiting;
  });
});

describe('what this host keeps', () => {
  test('is nothing where there is no state, and is not nothing where it cannot be looked at', async () => {
    expect(await hostHistory(stateDir)).toEqual([]);
    expect(await readHostVersion(stateDir, { name: A, id: versionId('a') })).toBeUndefined();
    mkdirSync(stateDir);
    writeFileSync(join(stateDir, 'history'), 'a file');
    await expect(hostHistory(stateDir)).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(readHostVersion(stateDir, { name: A, id: versionId('a') })).rejects.toMatchObject({
      code: 'ENOTDIR',
    });
  });

  test('is files alone', async () => {
    mkdirSync(join(stateDir, 'history', A, `${versionId('a')}.json`), { recursive: true });
    writeFileSync(join(stateDir, 'history', A, `${versionId('b')}.json`), LOGIN);
    expect((await hostHistory(stateDir)).map(({ id }) => id)).toEqual([versionId('b')]);
  });

  test('may not be worked on where the lock cannot be taken', async () => {
    mkdirSync(join(stateDir, 'lock-owner.json'), { recursive: true });
    const scope = { stateDir, lockWaitMs: 0, dryRun: false };
    await expect(exclusively(scope, async () => 'done')).rejects.toThrow(/lock/);
  });
});

describe('words', () => {
  test('join places and sentences, and quote what a shell would take apart', () => {
    expect([placeNames([]), placeNames(['auth'])]).toEqual(['', 'the auth dir']);
    expect(placeNames(['auth', 'ccs', 'store'])).toBe('the auth dir, the CCS dir and the store');
    expect(sentences('One', 'Two.', 'Three?')).toBe('One. Two. Three?');
    expect([shellWord('a.json'), shellWord("it's mine.json")]).toEqual(['a.json', "'it'\\''s mine.json'"]);
  });

  test('tell what came back and was put back, with its date where it is known', () => {
    const id = versionId('a');
    expect(putBackWords(A, { place: 'auth', id, arrived: 0 }).reason).toMatch(
      / of 1970-01-01T00:00:00Z again/,
    );
    const { reason, remedy } = putBackWords(A, { place: 'ccs', id, arrived: undefined });
    expect(reason).toMatch(/^the CCS dir had version [0-9a-f]{12} again/);
    expect(remedy).toMatch(/restore a\.json --version/);
  });
});

describe('a native proxy', () => {
  const noted = { store: 'postgres', authDir: '/nowhere/auths' } as const;

  test('that has ended is none, whatever was noted', async () => {
    mkdirSync(stateDir);
    const { pid } = spawnSync('true');
    const note = { format: 1, ...noted, process: { ...identify(process.pid), pid } };
    writeFileSync(join(stateDir, 'native-proxy.json'), JSON.stringify(note));
    expect(await findNativeProxy(stateDir)).toBeUndefined();
  });

  test('whose mirror is not there yet is about to fill it; when it began is not known from a damaged note', async () => {
    mkdirSync(stateDir);
    const made = await noteNativeProxy(stateDir, noted, process.pid);
    expect(made.directory).toBe('');
    expect(await findNativeProxy(stateDir)).toMatchObject({ phase: 'starting' });
    const path = join(stateDir, 'native-proxy.json');
    writeFileSync(path, JSON.stringify({ ...made, at: 'noon' }));
    expect(await findNativeProxy(stateDir)).toMatchObject({ at: 0 });
    rmSync(path);
    mkdirSync(path);
    await expect(findNativeProxy(stateDir)).rejects.toMatchObject({ name: 'StateError' });
  });

  test('keeps runs out of the auth dir that it is about to fill, and of no other; beside Git it pushes', () => {
    const request = { authDir: '/nowhere/auths', permissions: { store: true } };
    const proxy = (more: object) => ({
      ...noted,
      process: identify(process.pid),
      directory: '',
      at: 0,
      phase: 'starting' as const,
      ...more,
    });
    expect(besideProxy(request, undefined)).toEqual({ ...request, authBusy: undefined });
    expect(besideProxy(request, proxy({})).authBusy).toMatch(/is about to fill it from the store/);
    expect(besideProxy(request, proxy({ authDir: '/elsewhere' })).authBusy).toBeUndefined();
    expect(besideProxy(request, proxy({ phase: 'running' })).authBusy).toBeUndefined();
    expect(besideProxy(request, proxy({ store: 'git', phase: 'running' })).permissions).toEqual({
      store: true,
      proxyPushes: true,
    });
  });
});

describe('a file that is put into a place', () => {
  const absent = { kind: 'absent' } as const;

  test('makes the place if it is missing', async () => {
    const directory = join(root, 'auths');
    expect(await writeLocal(directory, A, LOGIN, absent)).toEqual({ kind: 'done' });
    expect(readLocal(join(directory, A)).kind).toBe('version');
  });

  test('is never put beside the place, nor through a link in it', async () => {
    const directory = join(root, 'auths');
    mkdirSync(directory);
    await expect(writeLocal(directory, '../a.json' as CredentialName, LOGIN, absent)).rejects.toThrow(
      /is not below/,
    );
    mkdirSync(join(root, 'outside'));
    symlinkSync(join(root, 'outside'), join(directory, 'team'));
    expect(await writeLocal(directory, 'team/a.json' as CredentialName, LOGIN, absent)).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/ELOOP/),
    });
    expect(readLocal(join(root, 'outside/a.json'))).toEqual(absent);
  });

  test('and fails for a reason that has no words of ours is told by the system’s', async () => {
    const directory = join(root, 'auths');
    expect(await writeLocal(directory, 'a\0.json' as CredentialName, LOGIN, absent)).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/ERR_INVALID_ARG_VALUE/),
    });
  });

  test('that may not be read is not removed', async () => {
    const directory = join(root, 'auths');
    mkdirSync(directory);
    writeFileSync(join(directory, A), LOGIN, { mode: 0 });
    giveToOrdinaryUser(root);
    await asOrdinaryUser(async () => {
      const seen = readLocal(join(directory, A));
      expect(seen).toEqual({ kind: 'unreadable', reason: 'cannot be read (EACCES)' });
      expect(await removeLocal(directory, A, seen)).toEqual({ kind: 'lost' });
    });
  });
});

describe('a place', () => {
  test('whose marker, or itself, cannot be looked at has failed, and nothing in it is missed', async () => {
    const directory = join(root, 'auths');
    mkdirSync(directory);
    mkdirSync(join(directory, 'closed'));
    writeFileSync(join(directory, '.cliproxyapi-sync'), 'x');
    writeFileSync(join(directory, 'a.json'), LOGIN);
    giveToOrdinaryUser(root);
    const chmod = (path: string, mode: string) => spawnSync('chmod', [mode, path]);
    chmod(join(directory, 'closed'), '000');
    await asOrdinaryUser(async () => {
      const { hidden, problems } = await listLocal('auth', directory);
      expect([hidden, problems.map(({ reason }) => reason)]).toEqual([
        ['closed'],
        ['cannot be listed (EACCES)'],
      ]);
    });
    chmod(join(directory, '.cliproxyapi-sync'), '000');
    await asOrdinaryUser(async () => {
      expect(() => readMarker(directory)).toThrow(/EACCES/);
      expect((await listLocal('auth', directory)).state).toMatchObject({
        kind: 'failed',
        reason: expect.stringMatching(/its marker .* cannot be read \(EACCES\)/),
      });
    });
    chmod(directory, '300');
    await asOrdinaryUser(async () => {
      chmod(join(directory, '.cliproxyapi-sync'), '600');
      expect((await listLocal('auth', directory)).state).toMatchObject({
        kind: 'failed',
        reason: expect.stringMatching(/may not be listed by this user \(EACCES\)/),
      });
    });
    chmod(directory, '700');
    symlinkSync('loop', join(root, 'loop'));
    const failed = async (path: string) => (await listLocal('auth', join(root, path))).state;
    expect(await failed('loop')).toMatchObject({ kind: 'failed', reason: expect.stringMatching(/ELOOP/) });
    expect(await failed('auths/a.json/below')).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/is not a directory/),
    });
  });

  test('beside one for paused accounts that cannot be looked at has failed', async () => {
    const directory = join(root, 'auth');
    mkdirSync(directory);
    mkdirSync(join(root, 'auth-paused'));
    writeFileSync(join(root, 'auth-paused/a.json'), LOGIN);
    writeFileSync(join(root, 'auth-paused/notes.txt'), '');
    expect([...(await listLocal('ccs', directory)).paused]).toEqual(['a.json']);
    rmSync(join(root, 'auth-paused'), { recursive: true });
    writeFileSync(join(root, 'auth-paused'), '');
    expect((await listLocal('ccs', directory)).state.kind).toBe('failed');
  });

  test.runIf(process.getuid?.() === 0)('holds a device, and is not stopped by it', async () => {
    mkdirSync(join(root, 'auths'));
    const made = spawnSync('mknod', [join(root, 'auths/null.json'), 'c', '1', '3']);
    if (made.status !== 0) return;
    const { sightings } = await listLocal('auth', join(root, 'auths'));
    expect([...sightings.values()]).toEqual([
      { kind: 'unreadable', reason: 'is not a regular file', isOther: true },
    ]);
  });

  test('of a name that is too long in capitals is listed', async () => {
    const directory = join(root, 'auths');
    mkdirSync(directory);
    writeFileSync(join(directory, `${'ŉ'.repeat(120)}.json`), LOGIN);
    const { state, sightings } = await listLocal('auth', directory);
    expect([state.kind, sightings.size]).toEqual(['listed', 1]);
  });

  test('in which all names are in capitals, or have no letters, folds none', async () => {
    const directory = join(root, 'auths');
    mkdirSync(directory);
    writeFileSync(join(directory, 'A.json'), LOGIN);
    writeFileSync(join(directory, 'a.json'), LOGIN);
    writeFileSync(join(directory, 'A.JSON'), LOGIN);
    expect((await listLocal('auth', directory)).state).toMatchObject({ kind: 'listed', folds: false });
  });
});

describe('a former auth dir', () => {
  const MARKER = '01234567-89ab-cdef-0123-456789abcdef';

  async function take() {
    mkdirSync(join(root, 'former/team'), { recursive: true });
    writeFileSync(join(root, 'former/.cliproxyapi-sync'), MARKER);
    writeFileSync(join(root, 'former/team/a.json'), LOGIN);
    const state = await openState(stateDir, { readOnly: false });
    return takeOver([join(root, 'former')], join(root, 'auths'), state);
  }

  test('of which something cannot be taken over yet is asked again', async () => {
    mkdirSync(join(root, 'auths'));
    mkdirSync(join(root, 'outside'));
    symlinkSync(join(root, 'outside'), join(root, 'auths/team'));
    expect(await take()).toEqual([]);
    rmSync(join(root, 'auths/team'));
    expect(await take()).toEqual(['team/a.json']);
  });

  test('of which it cannot be told what was taken over brings nothing back', async () => {
    mkdirSync(join(stateDir, 'taken-over.json'), { recursive: true });
    await expect(take()).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('history that is too much', () => {
  const keep = { versions: 1, days: 1 };
  const now = Date.now();
  const absent = { kind: 'absent' } as const;
  /** The store holds a version that came after all that are in history. */
  const seen: CredentialSnapshot = {
    auth: absent,
    ccs: absent,
    store: {
      kind: 'version',
      version: { id: versionId('current'), freshness: {} },
      tag: 't',
      recorded: true,
    },
    backup: absent,
    tombstone: undefined,
    history: undefined,
  };
  const snapshotOf = (names: readonly string[]): Snapshot => {
    const listed = { kind: 'listed', marker: 'm', folds: false } as const;
    return {
      now,
      places: { auth: listed, ccs: { kind: 'off' }, store: listed, backup: listed },
      credentials: new Map(names.map((name) => [name as CredentialName, seen])),
      problems: [],
    };
  };
  /** Old versions of a credential, each replaced by the next. */
  const records = (name: string, count: number): HistoryRecord[] =>
    Array.from({ length: count }, (_, index) => ({
      name: name as CredentialName,
      id: versionId(`${name} ${index}`),
      host: '',
      reason: '',
      replaces: index === 0 ? [] : [versionId(`${name} ${index - 1}`)],
      arrived: now - 10 * DAY + index,
    }));

  async function tidying(
    history: readonly HistoryRecord[],
    names: readonly string[],
    more: Partial<Store> = {},
  ) {
    const state = await openState(stateDir, { readOnly: false });
    const removed: string[] = [];
    const store: Store = {
      ...directoryStore({ path: join(root, 'store') }, memoryInMemory()),
      history: async (of) => history.filter(({ name }) => of?.includes(name) ?? true),
      prune: async (entries) => {
        for (const { name, versions } of entries) removed.push(...versions.map(() => name));
        return removed.length;
      },
      ...more,
    };
    const memory = state.memory(`history of ${store.location}`);
    const tidy = (signal?: AbortSignal, snapshot = snapshotOf(names)) =>
      tidyHistory(keep, snapshot, store, state, { foundAllInStep: true, signal });
    return { memory, removed, tidy, dueSince: () => memory.write({ prunedAt: now - 2 * DAY, next: null }) };
  }

  test('is looked at a day after the first run, and not at all where the time is up or nothing is due', async () => {
    const { memory, removed, tidy, dueSince } = await tidying(records('a.json', 5), ['a.json']);
    expect(await tidy()).toEqual([]);
    expect(memory.read()).toMatchObject({ prunedAt: now });
    expect(await tidy()).toEqual([]);
    await dueSince();
    expect(await tidy(AbortSignal.abort())).toEqual([]);
    expect(removed).toEqual([]);
    expect(await tidy()).toEqual([expect.stringMatching(/^took \d+ old versions? out of history$/)]);
    expect(removed.length).toBeGreaterThan(0);
  });

  test('of hundreds of credentials is taken in several runs', async () => {
    const names = Array.from({ length: 150 }, (_, index) => `${String(index).padStart(3, '0')}.json`);
    const { memory, tidy, dueSince } = await tidying([], names);
    await dueSince();
    expect(await tidy()).toEqual([]);
    expect(memory.read()).toMatchObject({ prunedAt: now - 2 * DAY, next: '100.json' });
    expect(await tidy()).toEqual([]);
    expect(memory.read()).toMatchObject({ prunedAt: now, next: null });
  });

  test('and more than a run may take waits for another', async () => {
    const names = ['a.json', 'b.json'];
    const all = [...records('a.json', MAX_PRUNED_PER_RUN + 10), ...records('b.json', 3)];
    const { removed, tidy, dueSince } = await tidying(all, names);
    await dueSince();
    await tidy();
    expect(removed).toHaveLength(MAX_PRUNED_PER_RUN);
    expect(removed).not.toContain('b.json');
  });

  test('stays where a tombstone that cannot be read does not tell what is needed', async () => {
    const { removed, tidy, dueSince } = await tidying(records('a.json', 5), ['a.json']);
    const damaged = { ...seen, tombstone: { kind: 'invalid', reason: 'is no tombstone' } } as const;
    await dueSince();
    await tidy(undefined, { ...snapshotOf([]), credentials: new Map([[A, damaged]]) });
    expect(removed).toEqual([]);
  });

  test('stays where no place holds anything of a credential: history is all that is left', async () => {
    const { removed, tidy, dueSince } = await tidying(records('a.json', 5), ['a.json']);
    await dueSince();
    await tidy(undefined, { ...snapshotOf([]), credentials: new Map([[A, { ...seen, store: absent }]]) });
    expect(removed).toEqual([]);
  });

  test('goes where nothing is known to have been pruned before', async () => {
    const more = { pruned: async () => new Map() };
    const { removed, tidy, dueSince } = await tidying(records('a.json', 2), ['a.json'], more);
    await dueSince();
    expect(await tidy()).toEqual(['took 1 old version out of history']);
    expect(removed).toEqual(['a.json']);
  });

  test('that cannot be pruned now stays, and a mistake in the program is one', async () => {
    const failing = async (error: unknown) => {
      const { tidy, dueSince } = await tidying(records('a.json', 5), ['a.json'], {
        prune: async () => {
          throw error;
        },
      });
      await dueSince();
      return tidy();
    };
    expect(await failing(new StoreError('unreachable', 'nobody answers.', 'Try again.'))).toEqual([
      'old versions stay in history for now: nobody answers.',
    ]);
    expect(await failing(new Stopped('the time is up'))).toEqual([]);
    await expect(failing(new TypeError('a mistake'))).rejects.toThrow('a mistake');
  });
});
