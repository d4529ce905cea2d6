import { millisecondsOf, type Schema, tagOf } from './areas.ts';
import type { Database } from './connection.ts';
import { isMissing } from './errors.ts';

/** One text for all credentials, made by the server. */
export async function glance(database: Database, { tables }: Schema): Promise<string> {
  const listed = `string_agg(id || ' ' || ${tagOf('current', 'content')}, E'\\n' ORDER BY id)`;
  try {
    const rows = await database.query<{ readonly glance: string }>(
      `SELECT encode(sha256(convert_to(COALESCE(${listed}, ''), 'UTF8')), 'hex') AS glance FROM ${tables.current}`,
    );
    /* v8 ignore next -- an aggregate without groups has one row */
    return rows[0]?.glance ?? 'absent';
  } catch (error) {
    if (isMissing(error)) return 'absent';
    throw error;
  }
}

/** The server's clock, milliseconds since 1970. */
export async function serverClock(database: Database): Promise<number | undefined> {
  const rows = await database.query<{ readonly now: number }>(
    `SELECT ${millisecondsOf('clock_timestamp()')} AS now`,
  );
  return rows[0]?.now;
}
