import { type Tables, tablesIn } from './tables.ts';

/** The three kinds of objects that a credential has. */
export const AREAS = ['tombstone', 'current', 'backup'] as const;
export type Area = (typeof AREAS)[number];

/** The bytes of an object as an expression over its column; of JSONB the text that PostgreSQL gives it. */
export function bytesOf(area: Area | 'config', column: string): string {
  switch (area) {
    case 'current':
      return `convert_to(${column}::text, 'UTF8')`;
    case 'config':
      return `convert_to(${column}, 'UTF8')`;
    default:
      return column;
  }
}

/** The SHA-256 of an object's bytes: its tag. Not MD5, which a server in FIPS mode has not. */
export function tagOf(area: Area | 'config', column: string): string {
  return `encode(sha256(${bytesOf(area, column)}), 'hex')`;
}

/** What the modules of this store hand each other. */
export interface Schema {
  readonly tables: Tables;
  /** As `PGSTORE_SCHEMA` has it. */
  readonly name: string | undefined;
  /** For people. */
  readonly location: string;
}

export function schemaOf(name: string | undefined, location: string): Schema {
  return { name, location, tables: tablesIn(name) };
}

/** A time of the server as milliseconds since 1970. */
export function millisecondsOf(column: string): string {
  return `(extract(epoch FROM ${column}) * 1000)::float8`;
}
