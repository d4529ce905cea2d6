import { createHash } from 'node:crypto';
import { type Cache, CacheDamaged } from './cache.ts';

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
export async function readObjects(
  cache: Cache,
  wanted: Iterable<{ readonly oid: string; readonly size: number }>,
  receive: (oid: string, bytes: Uint8Array) => void,
): Promise<void> {
  const sizes = new Map([...wanted].map(({ oid, size }) => [oid, size]));
  let chunk: string[] = [];
  let bytes = 0;
  const flush = async () => {
    if (chunk.length > 0) await readChunk(cache, chunk, receive);
    chunk = [];
    bytes = 0;
  };
  for (const [oid, size] of sizes) {
    chunk.push(oid);
    bytes += size;
    if (bytes > CHUNK_BYTES) await flush();
  }
  await flush();
}

async function readChunk(
  cache: Cache,
  oids: readonly string[],
  receive: (oid: string, bytes: Uint8Array) => void,
): Promise<void> {
  const output = await cache.local(['cat-file', '--batch', '--buffer'], [`${oids.join('\n')}\n`]);
  let at = 0;
  for (const oid of oids) {
    // `<oid> <type> <size>\n<content>\n`, or `<oid> missing\n`.
    const end = output.indexOf(0x0a, at);
    const [found, , size] = output.subarray(at, end).toString().split(' ');
    if (end < 0 || found !== oid || size === undefined) throw new CacheDamaged(`${oid} is missing`);
    const start = end + 1;
    at = start + Number(size) + 1;
    if (at > output.length) throw new CacheDamaged(`${oid} is cut short`);
    // Its own memory: the output is dropped.
    receive(oid, new Uint8Array(output.subarray(start, at - 1)));
  }
}
