import type { VersionId } from '../../credential/version.ts';
import { MAX_OBJECT_BYTES, type ReadAnswer, type Reference } from '../store.ts';
import { type Area, bytesOf, type Schema } from './areas.ts';
import type { Database } from './connection.ts';
import { isMissing } from './errors.ts';

/** One statement reads at most so many objects, and of those whose size a listing told so many bytes. */
const MAX_OBJECTS = 500;
const MAX_BYTES = 8 * MAX_OBJECT_BYTES;

/** Reads objects, one round trip for each few hundred of one area. */
export async function readAll(
  database: Database,
  schema: Schema,
  references: readonly Reference[],
  sizeOf: (reference: Reference) => number,
  receive: (reference: Reference, answer: ReadAnswer) => void,
): Promise<void> {
  for (const area of ['current', 'backup', 'tombstone', 'history'] as const) {
    const wanted = references.filter((reference) => reference.area === area);
    for (const some of portions(wanted, sizeOf)) {
      const answers = await readSome(database, schema, area, some);
      for (const reference of some) receive(reference, answers.get(keyOf(reference)) ?? { kind: 'absent' });
    }
  }
}

function portions(references: readonly Reference[], sizeOf: (reference: Reference) => number): Reference[][] {
  const result: Reference[][] = [];
  let bytes = 0;
  for (const reference of references) {
    const size = sizeOf(reference);
    const last = result.at(-1);
    if (!last || last.length === MAX_OBJECTS || bytes + size > MAX_BYTES) {
      result.push([reference]);
      bytes = size;
    } else {
      last.push(reference);
      bytes += size;
    }
  }
  return result;
}

interface Row {
  readonly id: string;
  readonly version: string | null;
  readonly tag: string;
  readonly size: number;
  /** Null for what is too large. */
  readonly bytes: Buffer | null;
}

async function readSome(
  database: Database,
  schema: Schema,
  area: Area | 'history',
  references: readonly Reference[],
): Promise<ReadonlyMap<string, ReadAnswer>> {
  const ids = references.map(({ name }) => name);
  const versions = references.flatMap((reference) => (reference.area === 'history' ? [reference.id] : []));
  const values = area === 'history' ? [ids, versions] : [ids];
  let rows: Row[];
  try {
    rows = await database.query<Row>(reading(schema, area), values);
  } catch (error) {
    // Nothing is in a store that is not there.
    if (!isMissing(error)) throw error;
    rows = [];
  }
  return new Map(
    rows.map((row) => [
      area === 'history' ? `${row.id}\n${row.version}` : row.id,
      row.bytes === null
        ? { kind: 'too-large', size: row.size }
        : {
            kind: 'object',
            bytes: row.bytes,
            tag: row.tag,
            // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- our table's column, written as an id
            ...(area !== 'history' && row.version !== null && { recorded: row.version as VersionId }),
          },
    ]),
  );
}

function keyOf(reference: Reference): string {
  return reference.area === 'history' ? `${reference.name}\n${reference.id}` : reference.name;
}

function reading({ tables }: Schema, area: Area | 'history'): string {
  const objects =
    area === 'history'
      ? `SELECT id, version, content AS bytes FROM ${tables.history}
         WHERE (id, version) IN (SELECT * FROM unnest($1::text[], $2::text[]))`
      : `SELECT id, NULL AS version, ${bytesOf(area, 'content')} AS bytes FROM ${tables[area]}
         WHERE id = ANY($1::text[])`;
  const tagged = `SELECT o.*, encode(sha256(bytes), 'hex') AS tag FROM (${objects}) AS o`;
  const recorded = `LEFT JOIN ${tables.written} AS w ON w.area = '${area}' AND w.id = t.id AND w.tag = t.tag`;
  return `
    SELECT t.id, t.tag, octet_length(bytes) AS size,
      ${area === 'history' ? 't.version' : 'w.version'},
      CASE WHEN octet_length(bytes) <= ${MAX_OBJECT_BYTES} THEN bytes END AS bytes
    FROM (${tagged}) AS t ${area === 'history' ? '' : recorded}`;
}
