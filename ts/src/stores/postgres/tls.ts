import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { errorWords } from '../../files/atomic-write.ts';
import { isSocket, type PostgresHost, type PostgresTls } from '../../settings/postgres-target.ts';
import { StoreError } from '../store.ts';

/** One way to connect; `false` is without TLS. */
export type TlsAttempt = ConnectionOptions | false;

/**
 * The ways to connect to a host that its `sslmode` allows, the first to be tried first. libpq's meaning (its
 * documentation, "SSL Support"), which is not `pg`'s: `require` encrypts and looks at no certificate, unless there
 * is a root certificate to look at it with; `verify-ca` does not look at the name.
 *
 * @throws StoreError (configuration) for a file that cannot be read.
 */
export async function tlsAttempts(tls: PostgresTls, host: PostgresHost): Promise<readonly TlsAttempt[]> {
  if (tls.mode === 'disable' || isSocket(host)) return [false];
  const options = await tlsOptions(tls, host);
  switch (tls.mode) {
    case 'allow':
      return [false, options];
    case 'prefer':
      return [options, false];
    default:
      return [options];
  }
}

async function tlsOptions(tls: PostgresTls, { host, address }: PostgresHost): Promise<ConnectionOptions> {
  const root = tls.rootCertificate ?? defaultFile('root.crt');
  const certificate = tls.certificate ?? defaultFile('postgresql.crt');
  const key = tls.key ?? defaultFile('postgresql.key');
  const verifies =
    tls.mode === 'verify-full' || tls.mode === 'verify-ca' || (tls.mode === 'require' && root !== undefined);
  return {
    ...(root !== undefined && root !== 'system' && verifies && { ca: await read(root, 'sslrootcert') }),
    ...(certificate !== undefined && { cert: await read(certificate, 'sslcert') }),
    ...(key !== undefined && { key: await read(key, 'sslkey') }),
    ...(tls.keyPassword !== undefined && { passphrase: tls.keyPassword }),
    rejectUnauthorized: verifies,
    ...(tls.mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
    // Where the address is given, the certificate still is for the name.
    ...(address !== undefined && host !== '' && { host, servername: host }),
  };
}

/** Where libpq looks for what is not named. */
function defaultFile(name: string): string | undefined {
  const path = join(homedir(), '.postgresql', name);
  return existsSync(path) ? path : undefined;
}

async function read(path: string, parameter: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new StoreError(
      'configuration',
      `Cannot read ${path}, which is the ${parameter} for PostgreSQL: ${errorWords(error)}.`,
      `Check ${parameter} in PGSTORE_DSN, and that this user may read the file.`,
    );
  }
}
