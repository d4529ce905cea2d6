import { isVersionId } from '../../credential/version.ts';
import { checkArea } from '../bounds.ts';
import { commitAll } from '../commit-all.ts';
import { glanceOf } from '../glance.ts';
import { AREA_PREFIX, historyKey, MARKER_KEY, objectKey, SYNC_PREFIX } from '../layout.ts';
import { recallMarker } from '../marker.ts';
import { forEachParallel } from '../parallel.ts';
import { serverClock } from '../server-clock.ts';
import {
  type ListedObject,
  MAX_OBJECT_BYTES,
  type ReadAnswer,
  type Reference,
  type Store,
  type StoredObject,
  StoreError,
  type StoreMemory,
} from '../store.ts';
import { type Blame, blameForReads, blameForWrites } from './blame.ts';
import { type GetAnswer, openBucket } from './bucket.ts';
import { DEFAULT_TIMEOUTS, MAX_PARALLEL, s3Client } from './client.ts';
import { commitChange, RECORDED } from './commit.ts';
import { commitConfig, readConfig, readConfigHistory } from './config.ts';
import { weaknessesOf } from './dialect.ts';
import { resolveEndpoint } from './endpoint.ts';
import { readHistory } from './history.ts';
import type { ListedKey } from './listing.ts';
import type { S3Options } from './options.ts';
import { s3Preparation } from './prepare.ts';
import { pruneHistory, readPruned } from './prune.ts';
import { md5Of } from './tag.ts';

/**
 * A bucket of any provider that speaks S3, in CLIProxyAPI's own layout. Loads the SDK, which takes a while: to
 * be imported only when it is used.
 */
export function s3Store(options: S3Options, memory: StoreMemory): Store {
  const endpoint = resolveEndpoint(options);
  const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
  const bucket = openBucket({
    client: s3Client(options, endpoint, timeouts),
    options,
    endpoint,
    timeouts,
    habits: {
      plusSign() {
        const { plusSign } = memory.read();
        return plusSign === 'space' || plusSign === 'plus' ? plusSign : undefined;
      },
      learnPlusSign: (plusSign) => memory.write({ plusSign }),
    },
  });
  const preparation = s3Preparation(bucket, memory);
  /** Sizes of what the last listing showed to be too large to read. */
  let tooLarge: ReadonlyMap<string, number> = new Map();

  async function readOne(reference: Reference): Promise<ReadAnswer> {
    const key =
      reference.area === 'history'
        ? historyKey(reference.name, reference.id)
        : objectKey(reference.area, reference.name);
    const size = tooLarge.get(key);
    return size === undefined ? answerOf(await bucket.get(key)) : { kind: 'too-large', size };
  }

  const area = (keys: readonly ListedKey[], prefix: string) =>
    checkArea(byName(keys, prefix), prefix, bucket.location);

  /** A failure that is that of the one object is its answer. */
  async function readOrExplain(reference: Reference, isOfOne: Blame): Promise<ReadAnswer> {
    try {
      return await readOne(reference);
    } catch (error) {
      if (!(error instanceof StoreError) || !(await isOfOne(error))) throw error;
      return { kind: 'failed', reason: error.message };
    }
  }

  return {
    kind: 's3',
    location: bucket.location,

    remembered: () => recallMarker(memory.read().marker)?.marker,

    async list() {
      const objects = await Promise.all([
        bucket.list(AREA_PREFIX.current),
        bucket.list(AREA_PREFIX.backup),
        bucket.list(SYNC_PREFIX, '/'),
      ]);
      const listings = [...objects, await bucket.list(AREA_PREFIX.tombstone)] as const;
      const [current, backup, records, tombstones] = listings;
      if (!current || !backup || !tombstones || !records) {
        if (listings.some((listing) => listing)) throw inBetween(bucket.location);
        preparation.found({ present: false });
        return {
          present: false,
          marker: undefined,
          current: new Map(),
          backup: new Map(),
          tombstones: new Map(),
        };
      }
      const listed = records.find(({ key }) => key === MARKER_KEY);
      const marker = listed && (await preparation.marker(listed.tag));
      preparation.found({ present: true, marker });
      tooLarge = new Map(
        [...current, ...backup, ...tombstones]
          .filter(({ size }) => size > MAX_OBJECT_BYTES)
          .map(({ key, size }) => [key, size]),
      );
      return {
        present: true,
        marker,
        current: area(current, AREA_PREFIX.current),
        backup: area(backup, AREA_PREFIX.backup),
        tombstones: area(tombstones, AREA_PREFIX.tombstone),
      };
    },

    async glance() {
      const current = await bucket.list(AREA_PREFIX.current);
      return current === undefined ? 'absent' : glanceOf(current.map(({ key, tag }) => [key, tag]));
    },

    async read(references, receive) {
      const isOfOne = blameForReads(bucket, timeouts.connect);
      await forEachParallel(references, MAX_PARALLEL, async (reference) =>
        receive(reference, await readOrExplain(reference, isOfOne)),
      );
    },

    prepare: (proposal) => preparation.prepare(proposal),

    async commit(changes) {
      if (changes.length === 0) return [];
      const writer = await preparation.writer();
      const isOfOne = blameForWrites(bucket, timeouts.connect);
      return commitAll(changes, MAX_PARALLEL, (change) => commitChange(writer, change), isOfOne);
    },

    history: (names) => readHistory(bucket, names),

    prune: async (entries) =>
      entries.length === 0 ? 0 : pruneHistory(bucket, await preparation.writer(), entries),

    pruned: (names) => readPruned(bucket, names),

    readConfig: () => readConfig(bucket),

    commitConfig: async (change) => commitConfig(await preparation.writer(), change),

    configHistory: () => readConfigHistory(bucket),

    weaknesses() {
      const dialect = preparation.dialect();
      return dialect ? weaknessesOf(dialect) : [];
    },

    tryOut: () => preparation.probeAgain(),

    clock: () => serverClock(endpoint.url),

    async close() {
      bucket.close();
    },
  };
}

function answerOf(answer: GetAnswer): ReadAnswer {
  switch (answer.kind) {
    case 'object': {
      const recorded = answer.metadata[RECORDED];
      const object: StoredObject = { bytes: answer.bytes, tag: answer.tag };
      return { kind: 'object', ...object, ...(isVersionId(recorded) && { recorded }) };
    }
    case 'absent':
    case 'no-bucket':
      return { kind: 'absent' };
    case 'too-large':
      return answer;
    case 'denied':
      return { kind: 'failed', reason: answer.error.message };
  }
}

function byName(keys: readonly ListedKey[], prefix: string): ReadonlyMap<string, ListedObject> {
  return new Map(
    keys
      // The "folder" itself, which some consoles make as an empty object.
      .filter(({ key }) => key !== prefix)
      .map(({ key, tag, size }) => [key.slice(prefix.length), { tag, size, ...md5Of(tag) }]),
  );
}

function inBetween(location: string): StoreError {
  return new StoreError('unreachable', `${location} was made or removed while it was listed.`, 'Try again.');
}
