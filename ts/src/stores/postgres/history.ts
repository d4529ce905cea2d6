import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
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
    const rows = await database.query<HistoryRecord & { readonly version: VersionId }>(
      `SELECT id AS name, version AS id, host, reason, replaces, ${millisecondsOf('arrived')} AS arrived
       FROM ${tables.history} ${names ? 'WHERE id = ANY($1::text[])' : ''}`,
      names ? [names] : [],
    );
    return rows;
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
