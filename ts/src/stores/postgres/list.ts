import { checkArea, MAX_KEYS } from '../bounds.ts';
import { parseMarker, type RememberedMarker } from '../marker.ts';
import { type ListedObject, StoreError } from '../store.ts';
import { AREAS, type Area, bytesOf, type Schema, tagOf } from './areas.ts';
import type { Database } from './connection.ts';
import { isMissing } from './errors.ts';
import { type Found, lookForTables, TABLE_KEYS, type TableKey } from './tables.ts';

export interface Listed {
  readonly found: Found;
  readonly marker: RememberedMarker | undefined;
  readonly objects: Readonly<Record<Area, ReadonlyMap<string, ListedObject>>>;
}

/** Everything that is there: in one round trip, but for a store of which a part is missing. Writes nothing. */
export async function listAll(database: Database, schema: Schema): Promise<Listed> {
  const whole: Found = { schema: true, tables: new Set(TABLE_KEYS) };
  try {
    return listed(await database.query(listing(schema, whole)), whole, schema);
  } catch (error) {
    if (!isMissing(error)) throw error;
    const found = await lookForTables(database, schema.name, schema.location);
    const rows = found.tables.size > 0 ? await database.query<Row>(listing(schema, found)) : [];
    return listed(rows, found, schema);
  }
}

interface Row {
  readonly area: Area | 'marker' | 'hidden';
  readonly id: string;
  readonly tag: string;
  readonly size: number;
  readonly content: Buffer | null;
}

function listing({ tables }: Schema, found: Found): string {
  const parts: string[] = [];
  for (const area of AREAS) {
    if (!found.tables.has(area)) continue;
    const size = `octet_length(${bytesOf(area, 'content')})`;
    parts.push(
      // One more than there may be says that there are too many.
      `(SELECT '${area}' AS area, ${SHORT_ID} AS id, ${tagOf(area, 'content')} AS tag, ${size} AS size, NULL::bytea AS content
       FROM ${tables[area]} LIMIT ${MAX_KEYS + 1})`,
      // A policy that hides rows would make credentials look deleted.
      `SELECT 'hidden', '', '', 0, NULL WHERE row_security_active('${tables[area].replaceAll("'", "''")}')`,
    );
  }
  if (found.tables.has('marker'))
    parts.push(
      `SELECT 'marker', id, '', 0, substring(content FROM 1 FOR 4096) FROM ${tables.marker} WHERE id = '${MARKER_ID}'`,
    );
  // Gives nothing; names what later statements need, so that what is missing shows now.
  const needed: Partial<Record<TableKey, string>> = {
    current: 'jsonb_typeof(content) IS NULL AND created_at = updated_at',
    config: 'content IS NULL AND created_at = updated_at',
  };
  for (const key of found.tables)
    parts.push(`SELECT '', '', '', 0, NULL FROM ${tables[key]} WHERE false AND ${needed[key] ?? 'true'}`);
  return parts.join('\nUNION ALL ');
}

export const MARKER_ID = 'store';

/** What is longer is no name; it is refused as one, and shown, all the same. */
const SHORT_ID = "CASE WHEN length(id) > 1000 THEN left(id, 990) || '.json' ELSE id END";

function listed(rows: readonly Row[], found: Found, schema: Schema): Listed {
  const objects: Record<Area, Map<string, ListedObject>> = {
    tombstone: new Map(),
    current: new Map(),
    backup: new Map(),
  };
  let marker: RememberedMarker | undefined;
  for (const { area, id, tag, size, content } of rows) {
    if (area === 'hidden') throw hidden(schema.location);
    if (area === 'marker') {
      /* v8 ignore next -- null for the other areas alone */
      marker = markerIn(content ?? new Uint8Array(), schema);
    } else objects[area].set(id, { tag, size });
  }
  for (const area of AREAS) checkArea(objects[area], schema.tables[area], schema.location);
  return { found, marker, objects };
}

/** The bytes of a marker are its tag: they are small. */
export function markerIn(content: Uint8Array, { location }: Schema): RememberedMarker {
  const marker = parseMarker(content, `sync_marker in ${location}`);
  return { marker, tag: Buffer.from(content).toString() };
}

function hidden(location: string): StoreError {
  return new StoreError(
    'refused',
    `Row level security may hide rows of ${location} from this user.`,
    'Connect as the owner of the tables, or give this user BYPASSRLS: rows that are hidden would look deleted.',
  );
}
