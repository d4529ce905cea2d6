import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { glanceAt } from '../../ts/src/stores/glance.ts';
import {
  MAX_OBJECT_BYTES,
  type ReadAnswer,
  type Reference,
  type Store,
  type StoreMarker,
  type StoreMemory,
  type Tag,
} from '../../ts/src/stores/store.ts';
import { forgetfulMemory, memoryInMemory } from '../support/memory.ts';
import { backup, create, credential, current, entry, named, readAll, versionIn } from './vocabulary.ts';

/** One fresh place for a store, and what a test does to it from outside. */
export interface StoreFixture {
  /** A further handle on the same place: another host. */
  open(memory: StoreMemory): Store;
  /** Writes as a program would that knows nothing of ours (CLIProxyAPI with its native store on). */
  writeForeign(area: 'current' | 'backup', name: string, bytes: Uint8Array): Promise<void>;
  writeConfig(bytes: Uint8Array): Promise<void>;
  /** What was kept aside for a name. */
  readAside(name: string): Promise<Uint8Array[]>;
  /** Everything that is there, as one string that changes with any of it; to see that nothing was written. */
  fingerprint(): Promise<string>;
  /**
   * What of a current object's bytes this store keeps: two with the same are the same to it. Absent: every byte.
   * (JSONB keeps the content, and neither the order of keys nor white space.)
   */
  keeps?(bytes: Uint8Array): Uint8Array;
  remove(): Promise<void>;
}

/** The contract of `stores/store.ts` as tests. Each store's test file hands itself to it. */
export function storeContract(name: string, makeFixture: () => Promise<StoreFixture>): void {
  describe(`the contract, kept by ${name}`, () => {
    let fixture: StoreFixture;
    let opened: Store[];
    beforeEach(async () => {
      fixture = await makeFixture();
      opened = [];
    });
    afterEach(async () => {
      await Promise.all(opened.map((store) => store.close()));
      await fixture.remove();
    });

    function open(memory: StoreMemory = memoryInMemory()): Store {
      const store = fixture.open(memory);
      opened.push(store);
      return store;
    }
    const asKept = (bytes: Uint8Array) => Buffer.from(fixture.keeps?.(bytes) ?? bytes);
    /** An object as the store keeps it: what was read is so compared with what was written. */
    const content = async (store: Store, reference: Reference) => {
      const bytes = bytesOf((await readAll(store, [reference]))[0]);
      return bytes && reference.area === 'current' ? asKept(bytes) : bytes;
    };
    async function prepared(memory?: StoreMemory): Promise<Store> {
      const store = open(memory);
      await store.prepare(proposal());
      return store;
    }

    describe('being there or not', () => {
      test('a store that is not there yet is listed as absent, and a look does not make it', async () => {
        const store = open();
        for (let round = 0; round < 2; round++) {
          const listing = await store.list();
          expect(listing.present).toBe(false);
          expect(listing.marker).toBeUndefined();
          expect(listing.current.size + listing.backup.size + listing.tombstones.size).toBe(0);
        }
      });

      test('nothing is found in a store that is not there, and that is no error', async () => {
        const store = open();
        expect(await readAll(store, [current('a.json')])).toEqual([{ kind: 'absent' }]);
        expect(await store.history()).toEqual([]);
        expect(await store.readConfig()).toBeUndefined();
      });

      test('preparing it makes it, with the proposed marker, and any host sees that', async () => {
        const marker = proposal();
        expect(await open().prepare(marker)).toEqual(marker);
        const listing = await open().list();
        expect(listing.present).toBe(true);
        expect(listing.marker).toEqual(marker);
      });

      test('a marker that is there holds, whatever is proposed later', async () => {
        const marker = proposal();
        await open().prepare(marker);
        expect(await open().prepare(proposal())).toEqual(marker);
        const other = open();
        await other.list();
        expect(await other.prepare(proposal())).toEqual(marker);
      });

      test('eight hosts that prepare a new store at once get one marker', async () => {
        const markers = await Promise.all(Array.from({ length: 8 }, () => open().prepare(proposal())));
        expect(new Set(markers.map(({ id }) => id)).size).toBe(1);
        expect((await open().list()).marker).toEqual(markers[0]);
      });

      test('a store that others filled before us has no marker until it is prepared, and keeps what it has', async () => {
        await open().prepare(proposal());
        await fixture.writeForeign('current', 'a.json', credential('a'));
        const store = open();
        await store.prepare(proposal());
        expect((await store.list()).current.has('a.json')).toBe(true);
      });

      test('the marker is remembered, so that it is known while the store is out of reach', async () => {
        const memory = memoryInMemory();
        expect(open(memory).remembered()).toBeUndefined();
        const marker = await open(memory).prepare(proposal());
        expect(open(memory).remembered()).toEqual(marker);
        const second = memoryInMemory();
        await open(second).list();
        expect(open(second).remembered()).toEqual(marker);
      });

      test('it works for a host that can remember nothing', async () => {
        const store = await prepared(forgetfulMemory);
        expect((await store.commit([create('a.json', credential('a'))]))[0]?.kind).toBe('done');
        expect((await store.list()).current.has('a.json')).toBe(true);
      });

      test('listing and reading write nothing', async () => {
        const store = await prepared();
        await store.commit([create('a.json', credential('a'))]);
        const before = await fixture.fingerprint();
        const other = open();
        await other.list();
        await readAll(other, [current('a.json'), current('none.json')]);
        await other.history();
        await other.readConfig();
        expect(await fixture.fingerprint()).toBe(before);
      });

      test('it may be closed twice', async () => {
        const store = await prepared();
        await store.close();
        await store.close();
      });
    });

    describe('writing and reading', () => {
      test('what was written is listed and read back byte for byte, with the tags that were answered', async () => {
        const store = await prepared();
        const bytes = credential('a', '\ufeff{ "type": "claude",  "é":"☃" }\r\n');
        const [outcome] = await store.commit([create('a.json', bytes)]);
        const other = open();
        const listing = await other.list();
        const answers = await readAll(other, [current('a.json'), backup('a.json')]);
        expect(outcome).toMatchObject({ kind: 'done' });
        if (outcome?.kind !== 'done') return;
        const [fromCurrent, fromBackup] = answers.map(bytesOf);
        expect(fromCurrent && asKept(fromCurrent)).toEqual(asKept(bytes));
        expect(fromBackup).toEqual(Buffer.from(bytes));
        const size = { current: fromCurrent?.length, backup: bytes.length };
        expect(listing.current.get('a.json')).toMatchObject({ tag: outcome.current, size: size.current });
        expect(listing.backup.get('a.json')).toMatchObject({ tag: outcome.backup, size: size.backup });
        for (const answer of answers)
          expect(answer).toMatchObject({ kind: 'object', recorded: versionIn(bytes) });
        expect(answers[0]).toMatchObject({ tag: outcome.current });
      });

      test('names are listed as they are', async () => {
        const store = await prepared();
        const names = ODD_NAMES;
        const outcomes = await store.commit(names.map((odd) => create(odd, credential(odd))));
        expect(outcomes.map(({ kind }) => kind)).toEqual(names.map(() => 'done'));
        const other = open();
        const listing = await other.list();
        expect([...listing.current.keys()].sort()).toEqual([...names].sort());
        expect([...listing.backup.keys()].sort()).toEqual([...names].sort());
        const answers = await readAll(other, names.map(current));
        expect(answers.map((answer) => String(asKept(bytesOf(answer) ?? Buffer.alloc(0))))).toEqual(
          names.map((odd) => String(credential(odd))),
        );
        expect((await other.history()).map((record) => record.name).sort()).toEqual([...names].sort());
      });

      test('each reference is answered once, whether it is there or not, and whatever the order', async () => {
        const store = await prepared();
        const names = Array.from({ length: 100 }, (_, index) => `account-${index}.json`);
        await store.commit(names.map((each) => create(each, credential(each))));
        const references = [...names, ...names.slice(0, 3), 'none.json', 'no/such/folder.json'].map(current);
        const calls = new Map<Reference, number>();
        await store.read(references, (reference) => calls.set(reference, (calls.get(reference) ?? 0) + 1));
        expect(references.every((reference) => calls.get(reference) === 1)).toBe(true);
        expect(calls.size).toBe(references.length);
      });

      test('an object that is too large is named as such, and not read', async () => {
        const store = await prepared();
        const large = JSON.stringify('x'.repeat(MAX_OBJECT_BYTES - 2));
        await fixture.writeForeign('current', 'huge.json', Buffer.from(large.replace('x', 'xx')));
        await fixture.writeForeign('current', 'large.json', Buffer.from(large));
        for (const listed of [false, true]) {
          if (listed) expect((await store.list()).current.get('huge.json')?.size).toBe(MAX_OBJECT_BYTES + 1);
          const answers = await readAll(store, [current('huge.json'), current('large.json')]);
          expect(answers[0]).toEqual({ kind: 'too-large', size: MAX_OBJECT_BYTES + 1 });
          expect(answers[1]?.kind).toBe('object');
        }
      });

      test('what another program wrote has no recorded version, and another tag than before', async () => {
        const store = await prepared();
        const [outcome] = await store.commit([create('a.json', credential('a'))]);
        await fixture.writeForeign('current', 'a.json', credential('b'));
        const [answer] = await readAll(store, [current('a.json')]);
        expect(answer).toMatchObject({ kind: 'object', bytes: expect.anything() });
        expect(answer).not.toHaveProperty('recorded');
        expect(answer).not.toMatchObject({ tag: outcome?.kind === 'done' ? outcome.current : '' });
      });

      test('the config is read as it is', async () => {
        const store = await prepared();
        expect(await store.readConfig()).toBeUndefined();
        const config = Buffer.from('port: 8317 # ü\n');
        await fixture.writeConfig(config);
        expect(Buffer.from((await store.readConfig())?.bytes ?? [])).toEqual(config);
      });
    });

    describe('a glance', () => {
      test('is another after each change of a credential, whoever makes it, and the same otherwise', async () => {
        const seen: string[] = [];
        const look = async () => {
          const glance = await glanceAt(open());
          expect(await glanceAt(open())).toBe(glance);
          seen.push(glance);
        };
        await look();
        const store = await prepared();
        await look();
        await store.commit([create('a.json', credential('a'))]);
        await look();
        await fixture.writeForeign('current', 'b.json', credential('b'));
        await look();
        await fixture.writeForeign('current', 'b.json', credential('b again'));
        await look();
        const listed = (await store.list()).current.get('a.json');
        await removeCurrent(store, 'a.json', listed?.tag ?? '');
        await look();
        expect(new Set(seen.slice(1)).size).toBe(seen.length - 1);
      });

      test('writes nothing', async () => {
        await prepared();
        const before = await fixture.fingerprint();
        await glanceAt(open());
        expect(await fixture.fingerprint()).toBe(before);
      });
    });

    describe('trying it out', () => {
      test('goes through where one may write, and leaves nothing behind', async () => {
        await prepared();
        const before = await fixture.fingerprint();
        await open().tryOut?.();
        expect(await fixture.fingerprint()).toBe(before);
      });

      test("the store's clock is this machine's, where the server is this machine", async () => {
        const time = (await (await prepared()).clock?.()) ?? Date.now();
        expect(Math.abs(time - Date.now())).toBeLessThan(5_000);
      });
    });

    describe('the config', () => {
      const config = (text: string) => Buffer.from(`port: 8317 # ${text} ü\n`);
      const kept = (bytes: Uint8Array, reason = 'rendered') => ({ bytes, host: 'the host ü', reason });

      test('what was written is read back byte for byte, by another host too, and is in its history', async () => {
        const store = await prepared();
        const before = Date.now();
        const outcome = await store.commitConfig({
          bytes: config('a'),
          seen: undefined,
          keep: [kept(config('a'))],
        });
        expect(outcome).toMatchObject({ kind: 'done', tag: (await open().readConfig())?.tag });
        expect(Buffer.from((await open().readConfig())?.bytes ?? [])).toEqual(config('a'));
        const [record, ...others] = await open().configHistory();
        expect(others).toEqual([]);
        expect(record).toMatchObject({ host: 'the host ü', reason: 'rendered' });
        expect(Buffer.from(record?.bytes ?? [])).toEqual(config('a'));
        expect(Math.abs((record?.arrived ?? 0) - before)).toBeLessThan(60_000);
      });

      test('it is replaced on its tag alone, and what a refused change was to keep is kept all the same', async () => {
        const store = await prepared();
        await fixture.writeConfig(config('foreign'));
        const seen = (await store.readConfig())?.tag;
        for (const wrong of [undefined, 'f'.repeat(32)]) {
          const change = { bytes: config('mine'), seen: wrong, keep: [kept(config('mine'))] };
          expect(await store.commitConfig(change)).toEqual({ kind: 'lost' });
        }
        expect(Buffer.from((await store.readConfig())?.bytes ?? [])).toEqual(config('foreign'));
        const keep = [kept(config('foreign'), 'replaced'), kept(config('mine'), 'never said')];
        expect(await store.commitConfig({ bytes: config('mine'), seen, keep })).toMatchObject({
          kind: 'done',
        });
        expect(Buffer.from((await store.readConfig())?.bytes ?? [])).toEqual(config('mine'));
        const history = await open().configHistory();
        expect(history.map(({ bytes, reason }) => `${Buffer.from(bytes)} ${reason}`).sort()).toEqual([
          `${config('foreign')} replaced`,
          `${config('mine')} rendered`,
        ]);
      });

      test('of eight hosts that replace it at once one does', async () => {
        const store = await prepared();
        await fixture.writeConfig(config('old'));
        const seen = (await store.readConfig())?.tag;
        const outcomes = await Promise.all(
          Array.from({ length: 8 }, async (_, index) => {
            const bytes = config(`host ${index}`);
            return (await prepared()).commitConfig({ bytes, seen, keep: [kept(bytes)] });
          }),
        );
        expect(outcomes.filter(({ kind }) => kind === 'done')).toHaveLength(1);
        const winner = outcomes.findIndex(({ kind }) => kind === 'done');
        expect(Buffer.from((await store.readConfig())?.bytes ?? [])).toEqual(config(`host ${winner}`));
      });
    });

    test('history that was copied from another store keeps its times', async () => {
      const store = await prepared();
      const arrived = Date.UTC(2025, 2, 3, 4, 5, 6, 789);
      const bytes = credential('a');
      const keep = [{ id: versionIn(bytes), bytes, host: 'h', reason: 'r', replaces: [], arrived }];
      expect(await store.commit([{ name: named('a.json'), keep }])).toEqual([{ kind: 'done' }]);
      const config = { bytes: Buffer.from('port: 1\n'), host: 'h', reason: 'r', arrived };
      await store.commitConfig({ bytes: config.bytes, seen: undefined, keep: [config] });
      expect(await open().history()).toEqual([expect.objectContaining({ arrived })]);
      expect(await open().configHistory()).toEqual([expect.objectContaining({ arrived })]);
    });

    describe('conditions', () => {
      test('a write on the tag that is there replaces; it has a new tag', async () => {
        const store = await prepared();
        const first = await put(store, 'a.json', credential('a'), undefined);
        const second = await put(store, 'a.json', credential('b'), first);
        expect(second).not.toBe(first);
        expect(await content(store, current('a.json'))).toEqual(credential('b'));
      });

      test.each([
        [
          'a tag that was',
          async (store: Store, tag: Tag) => {
            await put(store, 'a.json', credential('b'), tag);
            return tag;
          },
        ],
        ['a tag that never was', async () => 'f'.repeat(32)],
        ['the belief that nothing is there', async () => undefined],
      ])('a write on %s is lost, and changes nothing', async (_, makeSeen) => {
        const store = await prepared();
        const tag = await put(store, 'a.json', credential('a'), undefined);
        const seen = await makeSeen(store, tag);
        const before = await content(store, current('a.json'));
        const [outcome] = await store.commit([
          { name: named('a.json'), keep: [], current: { kind: 'put', bytes: credential('mine'), seen } },
        ]);
        expect(outcome).toEqual({ kind: 'lost', step: 'current' });
        expect(await content(store, current('a.json'))).toEqual(before);
      });

      test('a write on the tag of what is gone is lost, and makes nothing', async () => {
        const store = await prepared();
        const tag = await put(store, 'a.json', credential('a'), undefined);
        await removeCurrent(store, 'a.json', tag);
        const [outcome] = await store.commit([
          { name: named('a.json'), keep: [], current: { kind: 'put', bytes: credential('mine'), seen: tag } },
        ]);
        expect(outcome).toEqual({ kind: 'lost', step: 'current' });
        expect((await store.list()).current.size).toBe(0);
      });

      test('a write that had arrived before, and whose answer was lost, is done when it is tried again', async () => {
        const store = await prepared();
        const first = await put(store, 'a.json', credential('a'), undefined);
        const again = await put(store, 'a.json', credential('a'), undefined);
        expect(again).toBe(first);
        const second = await put(store, 'a.json', credential('b'), first);
        expect(await put(open(), 'a.json', credential('b'), first)).toBe(second);
      });

      test('a removal on the tag that is there removes; tried again it is done', async () => {
        const store = await prepared();
        const tag = await put(store, 'a.json', credential('a'), undefined);
        expect((await removeCurrent(store, 'a.json', tag)).kind).toBe('done');
        expect((await store.list()).current.has('a.json')).toBe(false);
        expect((await removeCurrent(open(), 'a.json', tag)).kind).toBe('done');
      });

      test('a removal on a tag that was is lost, and removes nothing', async () => {
        const store = await prepared();
        const tag = await put(store, 'a.json', credential('a'), undefined);
        await put(store, 'a.json', credential('b'), tag);
        expect(await removeCurrent(open(), 'a.json', tag)).toEqual({ kind: 'lost', step: 'current' });
        expect(await content(store, current('a.json'))).toEqual(credential('b'));
      });

      test('another program’s write is seen by conditions like any other', async () => {
        const store = await prepared();
        const tag = await put(store, 'a.json', credential('a'), undefined);
        await fixture.writeForeign('current', 'a.json', credential('native'));
        expect(await removeCurrent(store, 'a.json', tag)).toEqual({ kind: 'lost', step: 'current' });
        expect(await content(store, current('a.json'))).toEqual(credential('native'));
      });
    });

    describe('races', () => {
      const racers = Array.from({ length: 8 }, (_, index) => index);

      test('of eight hosts that create one credential at once, one wins, and all eight versions are in history', async () => {
        await prepared();
        const stores = await Promise.all(racers.map(() => prepared()));
        const outcomes = await Promise.all(
          stores.map((store, index) => store.commit([create('a.json', credential(`host ${index}`))])),
        );
        const winners = racers.filter((index) => outcomes[index]?.[0]?.kind === 'done');
        expect(winners).toHaveLength(1);
        expect(outcomes.flat().filter(({ kind }) => kind === 'lost')).toHaveLength(7);
        const [store] = stores as [Store, ...Store[]];
        expect(await content(store, current('a.json'))).toEqual(credential(`host ${winners[0]}`));
        expect(await content(store, backup('a.json'))).toEqual(credential(`host ${winners[0]}`));
        expect(await store.history()).toHaveLength(8);
      });

      test('of eight hosts that replace one credential at once, one wins', async () => {
        const first = await prepared();
        const tag = await put(first, 'a.json', credential('a'), undefined);
        const stores = await Promise.all(racers.map(() => prepared()));
        const outcomes = await Promise.all(
          stores.map((store, index) =>
            store.commit([
              {
                name: named('a.json'),
                keep: [],
                current: { kind: 'put', bytes: credential(`host ${index}`), seen: tag },
              },
            ]),
          ),
        );
        const winners = racers.filter((index) => outcomes[index]?.[0]?.kind === 'done');
        expect(winners).toHaveLength(1);
        expect(await content(first, current('a.json'))).toEqual(credential(`host ${winners[0]}`));
      });

      test('of one that replaces and one that removes at once, one wins', async () => {
        const [one, two] = await Promise.all([prepared(), prepared()]);
        for (let round = 0; round < 5; round++) {
          const each = `round-${round}.json`;
          const tag = await put(one, each, credential('a'), undefined);
          const [[replaced], removed] = await Promise.all([
            one.commit([
              { name: named(each), keep: [], current: { kind: 'put', bytes: credential('b'), seen: tag } },
            ]),
            removeCurrent(two, each, tag),
          ]);
          const [answer] = await readAll(one, [current(each)]);
          if (replaced?.kind === 'done' && removed.kind === 'lost')
            expect(await content(one, current(each))).toEqual(credential('b'));
          else {
            expect([replaced?.kind, removed.kind]).toEqual(['lost', 'done']);
            expect(answer).toEqual({ kind: 'absent' });
          }
        }
      });

      test('hosts that write different credentials at once do not disturb each other', async () => {
        const stores = await Promise.all(racers.map(() => prepared()));
        const outcomes = await Promise.all(
          stores.map((store, index) =>
            store.commit(
              racers.map((each) => create(`host-${index}-${each}.json`, credential(`${index} ${each}`))),
            ),
          ),
        );
        expect(outcomes.flat().map(({ kind }) => kind)).toEqual(Array(64).fill('done'));
        expect((await open().list()).current.size).toBe(64);
      });
    });

    describe('the order of one change', () => {
      test('a tombstone that is lost stops the removals behind it, and history is kept all the same', async () => {
        const store = await prepared();
        const [made] = await store.commit([create('a.json', credential('a'))]);
        await store.commit([
          { name: named('a.json'), keep: [], tombstone: { kind: 'put', bytes: record(1), seen: undefined } },
        ]);
        if (made?.kind !== 'done' || !made.current || !made.backup) throw new Error('not made');
        const [outcome] = await store.commit([
          {
            name: named('a.json'),
            keep: [entry(credential('kept'))],
            tombstone: { kind: 'put', bytes: record(2), seen: undefined },
            current: { kind: 'remove', seen: made.current },
            backup: { kind: 'remove', seen: made.backup },
          },
        ]);
        expect(outcome).toEqual({ kind: 'lost', step: 'tombstone' });
        const listing = await store.list();
        expect([listing.current.size, listing.backup.size]).toEqual([1, 1]);
        expect((await store.history()).map(({ id }) => id)).toContain(versionIn(credential('kept')));
      });

      test('a current object that is lost leaves the backup copy as it was', async () => {
        const store = await prepared();
        const [made] = await store.commit([create('a.json', credential('a'))]);
        if (made?.kind !== 'done') throw new Error('not made');
        const bytes = credential('b');
        const [outcome] = await store.commit([
          {
            name: named('a.json'),
            keep: [entry(bytes)],
            current: { kind: 'put', bytes, seen: 'f'.repeat(32) },
            backup: { kind: 'put', bytes, seen: made.backup },
          },
        ]);
        expect(outcome).toEqual({ kind: 'lost', step: 'current' });
        expect(await content(store, backup('a.json'))).toEqual(credential('a'));
      });

      test('a tombstone that is ended stands until what ends it is there', async () => {
        const store = await prepared();
        const [buried] = await store.commit([
          { name: named('a.json'), keep: [], tombstone: { kind: 'put', bytes: record(1), seen: undefined } },
        ]);
        if (buried?.kind !== 'done' || !buried.tombstone) throw new Error('not made');
        const tombstone = { kind: 'remove', seen: buried.tombstone } as const;
        const bytes = credential('again');
        const put = (seen?: string) => ({ kind: 'put', bytes, seen }) as const;
        const change = { name: named('a.json'), keep: [entry(bytes)], tombstone };
        // One that ends nothing goes with it, each in its own order.
        const [lost, other] = await store.commit([
          { ...change, current: put('f'.repeat(32)), backup: put() },
          create('b.json', credential('b')),
        ]);
        expect([lost, other?.kind]).toEqual([{ kind: 'lost', step: 'current' }, 'done']);
        expect([...(await store.list()).tombstones.keys()]).toEqual(['a.json']);

        const [done] = await store.commit([{ ...change, current: put(), backup: put() }]);
        expect(done?.kind).toBe('done');
        const listing = await store.list();
        expect([listing.tombstones.size, listing.current.size, listing.backup.size]).toEqual([0, 2, 2]);
      });

      test('a backup copy that is lost is said, and the current object stands', async () => {
        const store = await prepared();
        await fixture.writeForeign('backup', 'a.json', credential('other'));
        const [outcome] = await store.commit([create('a.json', credential('a'))]);
        expect(outcome).toEqual({ kind: 'lost', step: 'backup' });
        expect(await content(store, current('a.json'))).toEqual(credential('a'));
      });

      test('changes are answered in their order, and one that is lost does not stop the others', async () => {
        const store = await prepared();
        await put(store, 'b.json', credential('there'), undefined);
        const outcomes = await store.commit(
          ['a.json', 'b.json', 'c.json'].map((each) => create(each, credential(each))),
        );
        expect(outcomes.map(({ kind }) => kind)).toEqual(['done', 'lost', 'done']);
        expect([...(await store.list()).current.keys()].sort()).toEqual(['a.json', 'b.json', 'c.json']);
      });

      test('no changes are no work', async () => {
        expect(await open().commit([])).toEqual([]);
      });
    });

    describe('pruning', () => {
      const a = named('a.json');
      const b = named('a.json/b.json');
      const kept = (text: string) => entry(credential(text));
      const idsOf = async (store: Store, each: CredentialName) =>
        (await store.history([each])).map(({ id }) => id).sort();

      test('what was pruned is gone from history, and its ids are remembered; all else stays as it was', async () => {
        const store = await prepared();
        const [old, older, stays] = [kept('old'), kept('older'), kept('stays')];
        await store.commit([
          { ...create('a.json', credential('now')), keep: [old, older, stays] },
          { name: b, keep: [old] },
        ]);
        const before = await store.list();
        const superseded = [older.id, old.id];
        expect(await store.prune([{ name: a, versions: [old.id, older.id], superseded }])).toBe(2);

        const other = open();
        expect(await idsOf(other, a)).toEqual([stays.id]);
        expect(await idsOf(other, b)).toEqual([old.id]);
        expect(await readAll(other, [{ area: 'history', name: a, id: old.id }])).toEqual([
          { kind: 'absent' },
        ]);
        expect((await other.pruned([a])).get(a)).toEqual(superseded);
        expect((await other.pruned([b])).get(b) ?? []).toEqual([]);
        expect([...(await other.pruned())].filter(([, ids]) => ids.length > 0)).toEqual([[a, superseded]]);
        expect(await store.list()).toEqual(before);
      });

      test('ids add up in their order, without repetition', async () => {
        const store = await prepared();
        const [one, two, three] = [kept('1').id, kept('2').id, kept('3').id];
        await store.prune([{ name: a, versions: [], superseded: [one, two] }]);
        await store.prune([{ name: a, versions: [], superseded: [two, three, one] }]);
        expect((await store.pruned([a])).get(a)).toEqual([one, two, three]);
      });

      test('hosts that prune the same credential at once all have their ids remembered', async () => {
        const stores = [open(), open(), open(), open()];
        for (const store of stores) await store.prepare(proposal());
        const ids = stores.map((_, index) => kept(`host ${index}`).id);
        await Promise.all(
          stores.map((store, index) =>
            store.prune([{ name: a, versions: [], superseded: ids.slice(index, index + 1) }]),
          ),
        );
        expect([...((await open().pruned([a])).get(a) ?? [])].sort()).toEqual([...ids].sort());
      });

      test('what is not there is no error, and a version that was pruned can be kept again', async () => {
        const store = await prepared();
        const old = kept('old');
        const entries = [{ name: a, versions: [old.id], superseded: [old.id] }];
        await store.prune(entries);
        await store.commit([{ name: a, keep: [old] }]);
        expect(await idsOf(store, a)).toEqual([old.id]);
        await store.prune(entries);
        expect(await idsOf(store, a)).toEqual([]);
        expect(await store.prune([])).toBe(0);
      });

      test('in a store that is not there nothing was pruned', async () => {
        const store = open();
        expect([...(await store.pruned())]).toEqual([]);
        expect((await store.pruned([a])).get(a) ?? []).toEqual([]);
      });
    });

    describe('tombstones, history and what is kept aside', () => {
      test('a tombstone is listed, read, replaced and removed like a credential', async () => {
        const store = await prepared();
        const name = named('a.json');
        const [first] = await store.commit([
          { name, keep: [], tombstone: { kind: 'put', bytes: record(1), seen: undefined } },
        ]);
        if (first?.kind !== 'done' || !first.tombstone) throw new Error('not written');
        expect((await open().list()).tombstones.get('a.json')?.tag).toBe(first.tombstone);
        expect(await content(store, { area: 'tombstone', name })).toEqual(Buffer.from(record(1)));
        expect((await store.list()).current.size).toBe(0);
        const [second] = await store.commit([
          { name, keep: [], tombstone: { kind: 'remove', seen: first.tombstone } },
        ]);
        expect(second?.kind).toBe('done');
        expect((await store.list()).tombstones.size).toBe(0);
      });

      test('a history entry tells its host, reason, time and what it was to replace', async () => {
        const store = await prepared();
        const replaces = [1, 2, 3].map((number) => versionIn(credential(`old ${number}`)));
        const kept = {
          ...entry(credential('a')),
          host: 'Bürorechner 2',
          reason: 'fresher here: 100% “newer”, a+b',
          replaces,
        };
        const before = Date.now();
        await store.commit([{ name: named('a.json'), keep: [kept] }]);
        const [found] = await open().history([named('a.json')]);
        const { bytes, ...expected } = kept;
        expect(found).toMatchObject({ ...expected, name: 'a.json' });
        expect(Math.abs((found?.arrived ?? 0) - before)).toBeLessThan(60_000);
        expect(await content(store, { area: 'history', name: named('a.json'), id: kept.id })).toEqual(
          Buffer.from(bytes),
        );
      });

      test('an entry that is there is left as it is, and that is no error', async () => {
        const store = await prepared();
        const kept = entry(credential('a'));
        await store.commit([{ name: named('a.json'), keep: [kept] }]);
        const [outcome] = await open().commit([
          { name: named('a.json'), keep: [{ ...kept, host: 'another' }] },
        ]);
        expect(outcome?.kind).toBe('done');
        expect((await store.history()).map(({ host }) => host)).toEqual([kept.host]);
      });

      test('history is told apart by name, also where one name continues another', async () => {
        const store = await prepared();
        const names = ['a.json', 'a.json/b.json', 'b.json', 'b/a.json'];
        await store.commit(names.map((each) => ({ name: named(each), keep: [entry(credential(each))] })));
        expect((await store.history()).map((found) => found.name).sort()).toEqual(names);
        expect((await store.history([named('a.json')])).map((found) => found.name)).toEqual(['a.json']);
        const some = await store.history([named('a.json/b.json'), named('b/a.json'), named('none.json')]);
        expect(some.map((found) => found.name).sort()).toEqual(['a.json/b.json', 'b/a.json']);
      });

      test('bytes that are no credential are kept aside before they are replaced', async () => {
        const store = await prepared();
        // JSON, since some stores hold nothing else.
        const half = Buffer.from('"half a crede"');
        await fixture.writeForeign('current', 'a.json', half);
        const tag = (await store.list()).current.get('a.json')?.tag;
        const change = {
          ...create('a.json', credential('a'), tag),
          keepAside: [half, new Uint8Array()],
        };
        expect((await store.commit([change]))[0]?.kind).toBe('done');
        expect((await fixture.readAside('a.json')).map(String).sort()).toEqual(['', String(half)]);
        const again = { name: named('a.json'), keep: [], keepAside: [half] };
        expect((await store.commit([again]))[0]?.kind).toBe('done');
      });
    });
  });
}

/** Names that are allowed, and that get lost in bad encodings. */
const ODD_NAMES = [
  'plain.json',
  'with space.json',
  'me+work@example.com.json',
  'a+b c.json',
  'quote"and\'apostrophe.json',
  'percent%20and%2B%.json',
  'amp&lt;<tag>.json',
  'hash#question?.json',
  'ünïcödé-☃-😀.json',
  'nested/deep/er.json',
  `${'x'.repeat(250)}.json`,
  '{curly}[square]|pipe^~`.json',
];

function proposal(): StoreMarker {
  return { id: randomUUID(), format: 1 };
}

function record(number: number): Uint8Array {
  return Buffer.from(JSON.stringify({ tombstone: number }));
}

function bytesOf(answer: ReadAnswer | undefined): Buffer | undefined {
  return answer?.kind === 'object' ? Buffer.from(answer.bytes) : undefined;
}

async function put(store: Store, name: string, bytes: Uint8Array, seen: Tag | undefined): Promise<Tag> {
  const [outcome] = await store.commit([
    { name: named(name), keep: [], current: { kind: 'put', bytes, seen } },
  ]);
  if (outcome?.kind !== 'done' || outcome.current === undefined)
    throw new Error(`not written: ${JSON.stringify(outcome)}`);
  return outcome.current;
}

async function removeCurrent(store: Store, name: string, seen: Tag) {
  const [outcome] = await store.commit([{ name: named(name), keep: [], current: { kind: 'remove', seen } }]);
  if (!outcome) throw new Error('no outcome');
  return outcome;
}
