/**
 * A store in memory that obeys the contract (`tests/contract/` runs over it), each of its steps a turn at which
 * another host may go on, the store may fail, or the host may be killed.
 */
import { createHash } from 'node:crypto';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { sha256, type VersionId } from '../../ts/src/credential/version.ts';
import { commitAll, stepsOf } from '../../ts/src/stores/commit-all.ts';
import {
  type CommitOutcome,
  type CommitStep,
  type ConfigRecord,
  type HistoryEntry,
  type HistoryRecord,
  type ListedObject,
  MAX_OBJECT_BYTES,
  type ReadAnswer,
  type Reference,
  type Store,
  type StoreChange,
  StoreError,
  type StoreListing,
  type StoreMarker,
  type StoreMemory,
  type Tag,
} from '../../ts/src/stores/store.ts';
import { type Fault, turn } from './machine/process.ts';
import { notice } from './machine/witness.ts';

export interface CloudObject {
  readonly bytes: Buffer;
  readonly tag: Tag;
  readonly recorded?: VersionId;
}

type Area = 'current' | 'backup' | 'tombstone';

/** What lies in the store, and how it behaves: shared by all hosts. */
export interface Cloud {
  readonly objects: Readonly<Record<Area, Map<string, CloudObject>>>;
  readonly history: Map<string, Map<string, HistoryEntry & { readonly arrived: number }>>;
  readonly pruned: Map<string, readonly VersionId[]>;
  readonly aside: Map<string, Map<string, Buffer>>;
  config: CloudObject | undefined;
  readonly configHistory: Map<string, ConfigRecord>;
  marker: StoreMarker | undefined;
  /** Nobody answers. */
  outage: boolean;
  /** False: a provider that ignores conditions. Then each write looks before it, as the S3 store does. */
  conditions: boolean;
  /** `content`: the same bytes have the same tag, as in S3; `writes`: each write has its own. */
  tags: 'content' | 'writes';
  count: number;
  now(): number;
}

export function newCloud(now: () => number = Date.now): Cloud {
  return {
    objects: { current: new Map(), backup: new Map(), tombstone: new Map() },
    history: new Map(),
    pruned: new Map(),
    aside: new Map(),
    config: undefined,
    configHistory: new Map(),
    marker: undefined,
    outage: false,
    conditions: true,
    tags: 'content',
    count: 0,
    now,
  };
}

/** Puts an object there as any program may, whatever the conditions. */
export function putObject(
  cloud: Cloud,
  area: Area,
  name: string,
  bytes: Uint8Array,
  recorded?: VersionId,
): Tag {
  const md5 = createHash('md5').update(bytes).digest('hex');
  const tag = cloud.tags === 'content' ? md5 : `${md5}-${++cloud.count}`;
  cloud.objects[area].set(name, {
    bytes: Buffer.from(bytes),
    tag,
    ...(recorded !== undefined && { recorded }),
  });
  return tag;
}

/** One host's handle on the store. */
export function memoryStore(cloud: Cloud, memory: StoreMemory): Store {
  /** One request: it may fail before or, unseen, after it did its work. */
  function request<T>(what: string, changes: boolean, effect: () => T): Promise<T> {
    return turn(`store: ${what}`, changes, (fault?: Fault) => {
      if (cloud.outage || fault === 'unreachable')
        throw new StoreError('unreachable', 'Nobody answers.', 'Try again.');
      if (fault === 'refused') throw new StoreError('refused', 'Access is denied.', 'Ask for it.');
      const result = effect();
      if (fault === 'lost answer') throw new StoreError('unreachable', 'No answer came.', 'Try again.');
      return result;
    });
  }

  async function remember(marker: StoreMarker | undefined): Promise<void> {
    if (marker && memory.read().marker === undefined) await memory.write({ marker });
    else if (marker && JSON.stringify(memory.read().marker) !== JSON.stringify(marker))
      await memory.write({ marker });
  }

  async function keep({ name, keep, keepAside = [] }: StoreChange): Promise<void> {
    for (const entry of keep) {
      await request(`keep ${entry.id.slice(0, 6)} of ${name}`, true, () => {
        const there = cloud.history.get(name) ?? new Map();
        cloud.history.set(name, there);
        if (there.has(entry.id)) return;
        notice.object('history', name, undefined, entry.bytes);
        there.set(entry.id, {
          ...entry,
          bytes: Buffer.from(entry.bytes),
          arrived: entry.arrived ?? cloud.now(),
        });
      });
    }
    for (const bytes of keepAside) {
      await request(`keep aside for ${name}`, true, () => {
        const there = cloud.aside.get(name) ?? new Map();
        cloud.aside.set(name, there.set(sha256(bytes), Buffer.from(bytes)));
      });
    }
  }

  async function commitOne(change: StoreChange): Promise<CommitOutcome> {
    const tags: { current?: Tag; backup?: Tag; tombstone?: Tag } = {};
    let step: CommitStep = 'keep';
    try {
      await keep(change);
      for (const each of stepsOf(change)) {
        step = each;
        const object = change[each];
        if (!object) continue;
        const area = each;
        const { name } = change;
        const lost = () => {
          const there = cloud.objects[area].get(name);
          if (object.kind === 'put' && there && Buffer.compare(there.bytes, object.bytes) === 0) return false;
          if (object.kind === 'remove' && !there) return false;
          return there?.tag !== object.seen;
        };
        const write = (): Tag | undefined => {
          const there = cloud.objects[area].get(name);
          if (object.kind === 'remove') {
            if (there) notice.object(area, name, there.bytes, undefined);
            cloud.objects[area].delete(name);
            return undefined;
          }
          const same = there && Buffer.compare(there.bytes, object.bytes) === 0;
          if (same && (cloud.tags === 'writes' || there.recorded === object.version)) return there.tag;
          if (!same) notice.object(area, name, there?.bytes, object.bytes);
          return putObject(cloud, area, name, object.bytes, object.version);
        };
        const what = `${object.kind} ${area} ${name}`;
        if (cloud.conditions) {
          const answer = await request(what, true, () => (lost() ? 'lost' : { tag: write() }));
          if (answer === 'lost') return { kind: 'lost', step };
          if (answer.tag !== undefined) tags[step] = answer.tag;
        } else {
          if (await request(`look before ${what}`, false, lost)) return { kind: 'lost', step };
          const tag = await request(what, true, write);
          const after = await request(`look after ${what}`, false, () => cloud.objects[area].get(name)?.tag);
          if (after !== tag) return { kind: 'lost', step };
          if (tag !== undefined) tags[step] = tag;
        }
      }
      return { kind: 'done', ...tags };
    } catch (error) {
      if (error instanceof StoreError) return { kind: 'failed', step, error };
      throw error;
    }
  }

  return {
    kind: 'directory',
    location: 'memory',

    remembered: () => {
      const marker = memory.read().marker as StoreMarker | undefined;
      return marker && { id: marker.id, format: marker.format };
    },

    async list() {
      // What can have come by then is known; what comes between the requests, as in a bucket, may be seen in part.
      const { present, marker } = await request('list records', false, () => {
        notice.listed();
        return {
          present: cloud.marker !== undefined || cloud.objects.current.size > 0,
          marker: cloud.marker,
        };
      });
      const listed = (area: Area) =>
        request(`list ${area}`, false, () => {
          const objects = [...cloud.objects[area]].map(([name, { tag, bytes }]): [string, ListedObject] => [
            name,
            { tag, size: bytes.length, ...(cloud.tags === 'content' && { md5: tag }) },
          ]);
          return new Map(objects);
        });
      const [current, backup] = await Promise.all([listed('current'), listed('backup')]);
      const tombstones = await listed('tombstone');
      const listing: StoreListing = { present, marker, current, backup, tombstones };
      await remember(listing.marker);
      return listing;
    },

    async read(references, receive) {
      for (const reference of references)
        receive(
          reference,
          await request(`read ${reference.area} ${reference.name}`, false, () => readNow(cloud, reference)),
        );
    },

    async prepare(proposal) {
      const marker = await request('prepare', cloud.marker === undefined, () => (cloud.marker ??= proposal));
      await remember(marker);
      return marker;
    },

    commit: async (changes) => (changes.length === 0 ? [] : commitAll(changes, 8, commitOne)),

    history: (names) =>
      request('history', false, () =>
        [...cloud.history].flatMap(([name, entries]) =>
          names && !(names as readonly string[]).includes(name)
            ? []
            : [...entries.values()].map(
                ({ bytes: _, ...record }): HistoryRecord => ({
                  ...record,
                  name: name as HistoryRecord['name'],
                }),
              ),
        ),
      ),

    async prune(entries) {
      let removed = 0;
      for (const { name, versions, superseded } of entries) {
        await request(`note what is pruned of ${name}`, true, () => {
          cloud.pruned.set(name, [...new Set([...(cloud.pruned.get(name) ?? []), ...superseded])]);
        });
        for (const id of versions)
          await request(`prune ${id.slice(0, 6)} of ${name}`, true, () => {
            if (!cloud.history.get(name)?.has(id)) return;
            notice.pruned(name, id);
            cloud.history.get(name)?.delete(id);
            removed++;
          });
      }
      return removed;
    },

    pruned: (names) =>
      request('pruned', false, () => {
        const wanted = names as readonly string[] | undefined;
        const all = [...cloud.pruned].filter(([name]) => wanted?.includes(name) ?? true);
        return new Map(all.map(([name, ids]) => [name as CredentialName, ids]));
      }),

    readConfig: () => request('read the config', false, () => cloud.config),

    commitConfig: (change) =>
      request('write the config', true, () => {
        for (const entry of change.keep) {
          const id = sha256(entry.bytes);
          if (!cloud.configHistory.has(id))
            cloud.configHistory.set(id, { ...entry, arrived: entry.arrived ?? cloud.now() });
        }
        const there = cloud.config;
        const same = there && Buffer.compare(there.bytes, change.bytes) === 0;
        if (!same && there?.tag !== change.seen) return { kind: 'lost' };
        cloud.config = { bytes: Buffer.from(change.bytes), tag: sha256(change.bytes) };
        return { kind: 'done', tag: cloud.config.tag };
      }),

    configHistory: () => request("list the config's history", false, () => [...cloud.configHistory.values()]),

    close: async () => {},
  };
}

function readNow(cloud: Cloud, reference: Reference): ReadAnswer {
  if (reference.area === 'history') {
    const entry = cloud.history.get(reference.name)?.get(reference.id);
    return entry ? { kind: 'object', bytes: entry.bytes, tag: reference.id } : { kind: 'absent' };
  }
  const found = cloud.objects[reference.area].get(reference.name);
  if (!found) return { kind: 'absent' };
  if (found.bytes.length > MAX_OBJECT_BYTES) return { kind: 'too-large', size: found.bytes.length };
  const { recorded, ...object } = found;
  return { kind: 'object', ...object, ...(recorded !== undefined && { recorded }) };
}
