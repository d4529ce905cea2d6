import { createHash } from 'node:crypto';
import { type Cache, CacheDamaged } from './cache.ts';

/** What to read; an object may be asked for more than once. */
interface Wanted {
  readonly oid: string;
  /** Bytes. */
  readonly size: number;
}

/** Bytes of objects that are read at once. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** The name that Git gives to these bytes as a file: our tag. */
export function blobId(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

/**
 * Reads objects that are here, in any order, each once; one process for some megabytes of them.
 *
 * @throws CacheDamaged if one cannot be read.
 */
export async function readObjects<T extends Wanted>(
  cache: Cache,
  wanted: Iterable<T>,
  receive: (object: T, bytes: Uint8Array) => void,
): Promise<void> {
  const objects = new Map([...wanted].map((object) => [object.oid, object]));
  let chunk: T[] = [];
  let bytes = 0;
  const flush = async () => {
    if (chunk.length > 0) await readChunk(cache, chunk, receive);
    chunk = [];
    bytes = 0;
  };
  for (const object of objects.values()) {
    chunk.push(object);
    bytes += object.size;
    if (bytes > CHUNK_BYTES) await flush();
  }
  await flush();
}

/** Reads one object that is here. */
export async function readObject(cache: Cache, wanted: Wanted): Promise<Uint8Array<ArrayBuffer>> {
  let found = new Uint8Array();
  await readObjects(cache, [wanted], (_, bytes) => {
    found = new Uint8Array(bytes);
  });
  return found;
}

async function readChunk<T extends Wanted>(
  cache: Cache,
  objects: readonly T[],
  receive: (object: T, bytes: Uint8Array) => void,
): Promise<void> {
  const names = objects.map(({ oid }) => `${oid}\n`);
  const output = await cache.local(['cat-file', '--batch', '--buffer'], names);
  let at = 0;
  for (const object of objects) {
    const { oid } = object;
    // `<oid> <type> <size>\n<content>\n`, or `<oid> missing\n`.
    const end = output.indexOf(0x0a, at);
    const [found, , size] = output.subarray(at, end).toString().split(' ');
    if (end < 0 || found !== oid || size === undefined) throw new CacheDamaged(`${oid} is missing`);
    const start = end + 1;
    at = start + Number(size) + 1;
    if (at > output.length) throw new CacheDamaged(`${oid} is cut short`);
    // Its own memory: the output is dropped.
    receive(object, new Uint8Array(output.subarray(start, at - 1)));
  }
}
