import { StoreError, type StoreMarker, type Tag } from './store.ts';

/** A store's marker as a store in which it is a file writes it. */
export function markerBytes(marker: StoreMarker, now: Date): Uint8Array {
  const record = { id: marker.id, format: marker.format, created: now.toISOString() };
  return Buffer.from(`${JSON.stringify(record)}\n`);
}

/**
 * Reads a marker.
 *
 * @throws StoreError `refused` if it is none. It is not made anew by itself: a layout that this program cannot
 *   read may be one that a later program wrote.
 */
export function parseMarker(bytes: Uint8Array, where: string): StoreMarker {
  let record: unknown;
  try {
    record = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw damaged(where);
  }
  const marker = markerOf(record);
  if (!marker) throw damaged(where);
  return marker;
}

/** What a host remembers of the marker: it need not be read again while its tag is the same. */
export interface RememberedMarker {
  readonly marker: StoreMarker;
  readonly tag: Tag;
}

/** The marker out of what `StoreMemory` holds under `marker`; undefined if there is none, or it is damaged. */
export function recallMarker(entry: unknown): RememberedMarker | undefined {
  const marker = markerOf(entry);
  if (!marker || typeof entry !== 'object' || entry === null || !('tag' in entry)) return undefined;
  return typeof entry.tag === 'string' ? { marker, tag: entry.tag } : undefined;
}

/** The form of a marker that `recallMarker` reads. */
export function rememberMarker({ marker, tag }: RememberedMarker): Readonly<Record<string, unknown>> {
  return { id: marker.id, format: marker.format, tag };
}

function markerOf(record: unknown): StoreMarker | undefined {
  if (typeof record !== 'object' || record === null || !('id' in record) || !('format' in record))
    return undefined;
  const { id, format } = record;
  if (typeof id !== 'string' || id === '' || typeof format !== 'number' || !Number.isInteger(format))
    return undefined;
  return { id, format };
}

function damaged(where: string): StoreError {
  return new StoreError(
    'refused',
    `The marker ${where} is not one that this program can read.`,
    'Update cliproxyapi-sync if another host runs a later version. If none does, the marker is damaged: remove ' +
      'that one object, and the next run takes the store as new, which deletes nothing.',
  );
}
