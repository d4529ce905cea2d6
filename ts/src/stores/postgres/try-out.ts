import { randomUUID } from 'node:crypto';
import { StoreError } from '../store.ts';
import type { Schema } from './areas.ts';
import type { Database } from './connection.ts';
import { lookForTables, TABLE_KEYS } from './tables.ts';

/**
 * Finds out whether a run could write: rights on every table by statements that touch no row, and one row written and
 * removed again in the same transaction, which nobody else ever sees.
 *
 * @throws StoreError, or what the server says, if not.
 */
export async function tryOut(database: Database, { tables, name, location }: Schema): Promise<void> {
  const found = await lookForTables(database, name, location);
  const there = TABLE_KEYS.filter((key) => found.tables.has(key));
  const probe = `sync/probe/${randomUUID()}`;
  const statements = there.flatMap((key) => {
    const table = tables[key];
    const column = key === 'configHistory' ? 'digest' : 'id';
    return [
      `INSERT INTO ${table} SELECT * FROM ${table} WHERE false`,
      `UPDATE ${table} SET ${column} = ${column} WHERE false`,
      `DELETE FROM ${table} WHERE false`,
    ];
  });
  if (found.tables.has('aside')) {
    statements.push(
      `INSERT INTO ${tables.aside} (id, digest, content) VALUES ('${probe}', '', '')`,
      `DELETE FROM ${tables.aside} WHERE id = '${probe}'`,
    );
  }
  const schemaName = name === undefined ? 'current_schema()' : `'${name.replaceAll("'", "''")}'`;
  const rows = await database.script<{ readonly create: boolean }>(
    [...statements, `SELECT has_schema_privilege(${schemaName}, 'CREATE') AS create`].join(';\n'),
  );
  if (there.length < TABLE_KEYS.length && !rows[0]?.create) {
    throw new StoreError(
      'refused',
      `${location} lacks some of our tables, and this user may not make them.`,
      'Grant CREATE on the schema for the first sync, or run that as a user who may.',
    );
  }
}
