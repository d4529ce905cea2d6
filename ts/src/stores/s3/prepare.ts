import { MARKER_KEY } from '../layout.ts';
import { markerBytes, parseMarker, recallMarker, rememberMarker } from '../marker.ts';
import { StoreError, type StoreMarker, type StoreMemory, type Tag } from '../store.ts';
import type { Bucket } from './bucket.ts';
import { pause } from './deadline.ts';
import { type Dialect, recallDialect, rememberDialect } from './dialect.ts';
import { probe } from './probe.ts';
import { type Writer, writerFor } from './write.ts';

/** Where conditions do not hold, how long another host may take from looking for a marker to writing its own. */
const MARKER_RACE_MS = 2_000;

/** What has to be so before the first write: a bucket, a known dialect, a marker. Each is found out once. */
export interface Preparation {
  /** The marker, from memory if it still has this tag. */
  marker(tag: Tag): Promise<StoreMarker | undefined>;
  /** Takes note of what a listing has just shown, which spares `prepare` its own look. */
  found(state: { readonly present: boolean; readonly marker?: StoreMarker | undefined }): void;
  prepare(proposal: StoreMarker): Promise<StoreMarker>;
  writer(): Promise<Writer>;
  /** Finds the dialect out, whatever is remembered. */
  probeAgain(): Promise<void>;
  /** What is known of the dialect; undefined before the first probe. */
  dialect(): Dialect | undefined;
}

export function s3Preparation(bucket: Bucket, memory: StoreMemory): Preparation {
  let present: boolean | undefined;
  let current: StoreMarker | undefined;
  let writer: Promise<Writer> | undefined;

  const where = `${MARKER_KEY} in ${bucket.location}`;
  /** Found in this run: in a dry run nothing is remembered. */
  let dialect: Dialect | undefined;
  const known = () => (dialect ??= recallDialect(memory.read().dialect, Date.now()));

  async function learn(): Promise<Writer> {
    const remembered = known();
    return writerFor(bucket, remembered ?? (await findOut()));
  }

  async function findOut(): Promise<Dialect> {
    dialect = await probe(bucket);
    await memory.write({ dialect: rememberDialect(dialect, Date.now()) });
    return dialect;
  }

  function knownWriter(): Promise<Writer> {
    writer ??= learn().catch((error: unknown) => {
      // The next caller tries again.
      writer = undefined;
      throw error;
    });
    return writer;
  }

  async function fetchMarker(): Promise<StoreMarker | 'absent' | 'no-bucket'> {
    const answer = await bucket.get(MARKER_KEY);
    switch (answer.kind) {
      case 'object': {
        const marker = parseMarker(answer.bytes, where);
        await memory.write({ marker: rememberMarker({ marker, tag: answer.tag }) });
        return marker;
      }
      case 'denied':
        throw answer.error;
      case 'too-large':
        return parseMarker(new Uint8Array(), where);
      case 'absent':
      case 'no-bucket':
        return answer.kind;
    }
  }

  async function writeMarker(proposal: StoreMarker): Promise<StoreMarker> {
    const writing = await knownWriter();
    const written = await writing.put(MARKER_KEY, markerBytes(proposal, new Date()), undefined);
    if (written.kind === 'done' && known()?.conditions === 'honoured') {
      await memory.write({ marker: rememberMarker({ marker: proposal, tag: written.tag }) });
      return proposal;
    }
    // The last one to write won: all who read after that have the same.
    if (known()?.conditions !== 'honoured') await pause(MARKER_RACE_MS);
    const found = await fetchMarker();
    if (found !== 'absent' && found !== 'no-bucket') return found;
    throw new StoreError('unreachable', `${where} was removed while it was written.`, 'Try again.');
  }

  return {
    async marker(tag) {
      const remembered = recallMarker(memory.read().marker);
      if (remembered?.tag === tag) return remembered.marker;
      const found = await fetchMarker();
      return found === 'absent' || found === 'no-bucket' ? undefined : found;
    },

    found(state) {
      present = state.present;
      current = state.marker;
    },

    async prepare(proposal) {
      if (current === undefined) {
        // A HEAD or GET of an object does not tell a missing bucket everywhere, a listing does.
        const found = present === false ? 'no-bucket' : await fetchMarker();
        if (found === 'no-bucket') await bucket.create();
        current = found === 'absent' || found === 'no-bucket' ? await writeMarker(proposal) : found;
        present = true;
      }
      await knownWriter();
      return current;
    },

    writer: knownWriter,

    async probeAgain() {
      writer = undefined;
      await findOut();
    },

    dialect: known,
  };
}
