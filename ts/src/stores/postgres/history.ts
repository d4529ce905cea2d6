import { type CredentialName, parseName } from '../../credential/name.ts';
import { isVersionId } from '../../credential/version.ts';
import type { HistoryRecord } from '../store.ts';
import { millisecondsOf, type Schema } from './areas.ts';
import type { Database } from './connection.ts';
import { isMissing } from './errors.ts';

/** The history of these credentials, or of all. */
export async function readHistory(
  database: Database,
  { tables }: Schema,
  names?: readonly CredentialName[],
): Promise<HistoryRecord[]> {
  try {
    const rows = await database.query<HistoryRecord>(
      `SELECT id AS name, version AS id, host, reason, replaces, ${millisecondsOf('arrived')} AS arrived
       FROM ${tables.history} ${names ? 'WHERE id = ANY($1::text[])' : ''}`,
      names ? [names] : [],
    );
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
