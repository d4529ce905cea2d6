/** A proxy before the real S3 server for the tests of a file: it counts requests, and spoils those that it is told to. */
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Dialect, rememberDialect } from '../../ts/src/stores/s3/dialect.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { memoryInMemory } from '../support/memory.ts';
import { s3Server } from '../support/s3.ts';

export let proxy: FaultProxy;
beforeAll(async () => {
  if (s3Server) proxy = await startFaultProxy(s3Server.endpoint, s3Server.admin.secretKey);
});
afterEach(() => {
  proxy?.spoil(() => undefined);
  proxy?.forget();
});
afterAll(() => proxy?.stop());

/** A provider that does all that is asked for. */
export const HONOURED: Dialect = {
  conditions: 'honoured',
  etag: 'quoted',
  generation: false,
  conditionalDelete: true,
};

/** The memory of a host that has found out the provider's dialect. */
export const knowing = (dialect: Dialect = HONOURED) =>
  memoryInMemory({ dialect: rememberDialect(dialect, Date.now()) });
