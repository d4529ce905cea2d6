/** What the tests beside this file begin with: a server of their own, since it is killed and its roles are bent. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { postgresTarget } from '../../../ts/src/settings/postgres-target.ts';
import { type PostgresOptions, postgresStore } from '../../../ts/src/stores/postgres/store.ts';
import type { Store, StoreError } from '../../../ts/src/stores/store.ts';
import { memoryInMemory } from '../../support/memory.ts';
import { findPostgres, type PostgresServer, startPostgres } from '../../support/postgres.ts';
import {
  type Certificates,
  makeCertificates,
  type NetworkOptions,
  startPostgresNetwork,
} from '../../support/postgres-network.ts';
import {
  freshSchema,
  type OutsideSchema,
  postgresServer,
  schemaFromOutside,
} from '../../support/postgres-outside.ts';
import { errorOf, MARKER } from '../vocabulary.ts';

export const QUICK = { connect: 1_500, statement: 1_500, patience: 8_000 };

export let server: PostgresServer;
export let admin: OutsideSchema;
export let certificates: Certificates;
export const cleanUps: (() => unknown)[] = [];
beforeAll(async () => {
  if (!postgresServer) return;
  const programs = findPostgres();
  if (!programs) throw new Error('there is no PostgreSQL');
  server = await startPostgres(programs);
  certificates = await makeCertificates();
  admin = schemaFromOutside('public', server.uri);
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
afterAll(async () => {
  await admin?.remove();
  await server?.stop();
  await certificates?.remove();
});

export const after = <T extends { close(): unknown } | { stop(): unknown } | { remove(): unknown }>(
  it: T,
): T => {
  cleanUps.push(() => ('close' in it ? it.close() : 'stop' in it ? it.stop() : it.remove()));
  return it;
};
export const outsideOf = (schema: string) => after(schemaFromOutside(schema, server.uri));
export const networkWith = async (options?: NetworkOptions) =>
  after(await startPostgresNetwork(server.port, options));
export const dsn = (
  parts: {
    user?: string;
    password?: string;
    host?: string;
    port?: number;
    database?: string;
    query?: string;
  } = {},
) => {
  const { user = server.user, password = server.password, host = 'localhost', port = server.port } = parts;
  return `postgres://${user}:${password}@${host}:${port}/${parts.database ?? 'postgres'}?${parts.query ?? ''}`;
};
export function open(url: string, schema: string | undefined, more: Partial<PostgresOptions> = {}): Store {
  const target = postgresTarget(url, () => undefined);
  return after(postgresStore({ target, schema, timeouts: QUICK, ...more }, memoryInMemory()));
}
export async function preparedSchema() {
  const schema = freshSchema();
  const outside = outsideOf(schema);
  await open(server.uri, schema).prepare(MARKER);
  return { schema, outside };
}
/** A role that may log in, with what else is said. */
export async function role(more = '') {
  const user = `r${randomBytes(4).toString('hex')}`;
  const password = `pw-${randomBytes(4).toString('hex')}`;
  await admin.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}' ${more}`);
  return { user, password };
}
export async function failure(run: () => Promise<unknown>): Promise<StoreError> {
  return decent(await errorOf(Promise.resolve().then(run)));
}
/** What holds for every message. */
export function decent(error: StoreError): StoreError {
  const text = `${error.message} ${error.remedy} ${String(error.cause ?? '')}`;
  expect(text).not.toMatch(/admin-secret|pw-[0-9a-f]|access_token|undefined|\[object/);
  expect(error.message).toMatch(/^(Cannot|No server|Row level|The config)/);
  expect(error.remedy).not.toBe('');
  return error;
}

export function outsideName(): string {
  const schema = freshSchema();
  outsideOf(schema);
  return schema;
}
