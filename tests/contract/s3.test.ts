import { describe } from 'vitest';
import { rememberDialect } from '../../ts/src/stores/s3/dialect.ts';
import { s3Store } from '../../ts/src/stores/s3/store.ts';
import type { StoreMemory } from '../../ts/src/stores/store.ts';
import { freshBucket, lookInto, s3Server } from '../support/s3.ts';
import { storeContract } from './suite.ts';

const DIALECT = {
  conditions: 'honoured',
  etag: 'quoted',
  generation: false,
  conditionalDelete: true,
} as const;

function knowingDialect(memory: StoreMemory): StoreMemory {
  const dialect = rememberDialect(DIALECT, Date.now());
  return { read: () => ({ dialect, ...memory.read() }), write: memory.write };
}

describe.skipIf(!s3Server)('on a real S3 server', () => {
  storeContract('the S3 store', async () => {
    const options = freshBucket();
    const outside = lookInto(options);
    return {
      // The probe takes SeaweedFS seconds, and has tests of its own.
      open: (memory) => s3Store(options, knowingDialect(memory)),
      writeForeign: (area, name, bytes) =>
        outside.put(`${area === 'current' ? 'auths' : 'backup/auths'}/${name}`, bytes),
      writeConfig: (bytes) => outside.put('config/config.yaml', bytes),
      async readAside(name) {
        const keys = await outside.keys(`sync/rejected/${name}/`);
        return Promise.all(keys.map(async (key) => (await outside.get(key)).bytes));
      },
      fingerprint: outside.fingerprint,
      async remove() {
        outside.close();
      },
    };
  });
});
