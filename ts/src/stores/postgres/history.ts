import { type CredentialName, parseName } from '../../credential/name.ts';
import { isVersionId } from '../../credential/version.ts';
import { MAX_HISTORY, tooMany } from '../bounds.ts';
import type { HistoryRecord } from '../store.ts';
import { millisecondsOf, type Schema } from './areas.ts';
import type { Database } from './connection.ts';
import { isMissing } from './errors.ts';

/** Characters of what a host said; and versions that one replaced, which are a few. */
const MAX_WORDS = 1_000;
const MAX_REPLACES = 100;

/** The history of these credentials, or of all. */
export async function readHistory(
  database: Database,
  { tables, location }: Schema,
  names?: readonly CredentialName[],
): Promise<HistoryRecord[]> {
  try {
    const rows = await database.query<HistoryRecord>(
      `SELECT id AS name, version AS id, left(host, ${MAX_WORDS}) AS host, left(reason, ${MAX_WORDS}) AS reason,
         replaces[1:${MAX_REPLACES}] AS replaces, ${millisecondsOf('arrived')} AS arrived
       FROM ${tables.history} WHERE length(id) < 1000 AND length(version) = 64 ${names ? 'AND id = ANY($1::text[])' : ''}
       LIMIT ${MAX_HISTORY + 1}`,
      names ? [names] : [],
    );
    /* v8 ignore if -- tests/e2e/endless-store.test.ts has one, in a process of its own */
    if (rows.length > MAX_HISTORY) throw tooMany(tables.history, location, MAX_HISTORY);
    // Whoever may write the tables may write anything: what is no name and no version is none of ours.
    return rows.flatMap(({ name, id, replaces, ...known }) =>
      parseName(name).ok && isVersionId(id)
        ? [{ name, id, replaces: replaces.filter(isVersionId), ...known }]
        : [],
    );
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
