import { describe } from 'vitest';
import { canonicalJson, type Json } from '../../ts/src/credential/json.ts';
import { postgresStore } from '../../ts/src/stores/postgres/store.ts';
import {
  freshSchema,
  optionsFrom,
  postgres,
  postgresServer,
  schemaFromOutside,
} from '../support/postgres-outside.ts';
import { type StoreFixture, storeContract } from './suite.ts';

describe.skipIf(!postgresServer)('on a real PostgreSQL server', () => {
  storeContract('the PostgreSQL store', () => fixtureAt(postgres().uri));
});

export async function fixtureAt(dsn: string): Promise<StoreFixture> {
  const schema = freshSchema();
  const outside = schemaFromOutside(schema);
  return {
    open: (memory) => postgresStore(optionsFrom(dsn, schema), memory),
    async writeForeign(area, name, bytes) {
      if (area === 'current') return outside.upsert('auth_store', name, String(bytes));
      await outside.query(
        'INSERT INTO sync_backup (id, content) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET content = EXCLUDED.content',
        [name, bytes],
      );
    },
    writeConfig: (bytes) => outside.upsert('config_store', 'config', String(bytes)),
    async readAside(name) {
      const rows = await outside.query<{ content: Buffer }>(
        'SELECT content FROM sync_rejected WHERE id = $1',
        [name],
      );
      return rows.map(({ content }) => content);
    },
    fingerprint: outside.fingerprint,
    keeps: (bytes) => {
      const content: Json = JSON.parse(String(bytes).replace(/^\ufeff/, ''));
      return Buffer.from(canonicalJson(content));
    },
    remove: outside.remove,
  };
}
