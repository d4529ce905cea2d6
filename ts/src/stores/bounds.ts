/**
 * How much a store may hold and still be a store of credentials. Whoever may write to it must not fill up the memory and
 * the disks of the hosts that share it: beyond these bounds it is left alone as a whole, since a part of a listing
 * reads as deletions.
 */
import { type ListedObject, MAX_OBJECT_BYTES, StoreError } from './store.ts';

/** Objects below one prefix, or rows of one table. */
export const MAX_KEYS = 100_000;

/** Versions in all of history, with what is known of each. S3, which has to be asked for each, ends at `MAX_KEYS`. */
export const MAX_HISTORY = 250_000;

/** Bytes of the objects below one prefix, but for those that are too large to be read. What is garbage is held in memory. */
const MAX_AREA_BYTES = 256 * 1024 * 1024;

/** @throws StoreError (refused) if there is more below a prefix than `MAX_KEYS`, or than would fit on a host. */
export function checkArea(
  objects: ReadonlyMap<string, ListedObject>,
  prefix: string,
  location: string,
): ReadonlyMap<string, ListedObject> {
  if (objects.size > MAX_KEYS) throw tooMany(prefix, location);
  let bytes = 0;
  for (const { size } of objects.values()) if (size <= MAX_OBJECT_BYTES) bytes += size;
  if (bytes <= MAX_AREA_BYTES) return objects;
  throw new StoreError(
    'refused',
    `The objects below ${prefix} in ${location} have ${Math.ceil(bytes / 1024 / 1024).toLocaleString('en')} MB together, more than all credentials of anybody.`,
    REMEDY,
  );
}

export function tooMany(prefix: string, location: string, most = MAX_KEYS): StoreError {
  return new StoreError(
    'refused',
    `There are more than ${most.toLocaleString('en')} objects below ${prefix} in ${location}.`,
    REMEDY,
  );
}

const REMEDY = 'Use a store that holds credentials alone, or remove what else is there.';
