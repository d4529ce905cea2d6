import { afterAll, beforeAll, describe } from 'vitest';
import {
  type Certificates,
  makeCertificates,
  type PostgresNetwork,
  startPostgresNetwork,
} from '../support/postgres-network.ts';
import { postgres, postgresFixture, postgresServer, searchPathFixture } from '../support/postgres-outside.ts';
import { storeContract } from './suite.ts';

describe.skipIf(!postgresServer)('on a real PostgreSQL server', () => {
  storeContract('the PostgreSQL store', () => postgresFixture(postgres().uri));

  storeContract('the PostgreSQL store on a unix socket', () => {
    const { user, password, port, socketDirectory } = postgres();
    return postgresFixture(
      `host=${socketDirectory} port=${port} user=${user} password=${password} dbname=postgres`,
    );
  });

  storeContract('the PostgreSQL store in a schema that the DSN chooses', searchPathFixture);

  describe('behind TLS', () => {
    let certificates: Certificates;
    let network: PostgresNetwork;
    beforeAll(async () => {
      certificates = await makeCertificates();
      network = await startPostgresNetwork(postgres().port, { tls: certificates });
    });
    afterAll(async () => {
      await network?.stop();
      await certificates?.remove();
    });

    storeContract('the PostgreSQL store with sslmode=verify-full', () => {
      const { user, password } = postgres();
      const query = `sslmode=verify-full&sslrootcert=${encodeURIComponent(certificates.ca)}`;
      return postgresFixture(`postgres://${user}:${password}@localhost:${network.port}/postgres?${query}`);
    });
  });
});
