/** The files in which libpq, and so we, look for a password and for certificates. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { postgresTarget } from '../../../ts/src/settings/postgres-target.ts';
import { passwordFor } from '../../../ts/src/stores/postgres/passfile.ts';
import { tlsAttempts } from '../../../ts/src/stores/postgres/tls.ts';
import { StoreError } from '../../../ts/src/stores/store.ts';

let home: string;
let before: string | undefined;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'postgres-home-'));
  before = process.env.HOME;
  process.env.HOME = home;
});
afterEach(async () => {
  process.env.HOME = before;
  await rm(home, { recursive: true, force: true });
});

const target = (dsn: string) => postgresTarget(dsn, () => undefined);

describe('the password file', () => {
  const password = async (dsn: string, lines: readonly string[]) => {
    await writeFile(join(home, '.pgpass'), lines.join('\n'));
    const found = target(dsn);
    return passwordFor(found, found.hosts[0]);
  };

  test('in the home directory is read where none is named, and is not missed where there is none', async () => {
    const found = target('postgres://ada@db/logins');
    expect(await passwordFor(found, found.hosts[0])).toBeUndefined();
    expect(await password('postgres://ada@db/logins', ['db:5432:logins:ada:mine'])).toBe('mine');
  });

  test('knows a socket as localhost or by its directory', async () => {
    const dsn = 'postgres://ada@/logins?host=/run/postgresql';
    expect(await password(dsn, ['localhost:5432:*:ada:mine'])).toBe('mine');
    expect(await password(dsn, ['/run/postgresql:5432:*:ada:mine'])).toBe('mine');
    expect(await password(dsn, ['/run/other:5432:*:ada:other'])).toBeUndefined();
  });

  test('knows an address that has no name', async () => {
    expect(await password('hostaddr=10.0.0.1 user=ada dbname=x', ['10.0.0.1:*:*:*:mine'])).toBe('mine');
  });

  test.each([
    ['db:5432:logins:ada:with:colons', 'with:colons'],
    ['db:5432:logins:ada:ending:', 'ending:'],
    ['db:5432:logins:ada:', ''],
    ['db:5432:logins:ada:es\\:cape\\\\d', 'es:cape\\d'],
  ])('%s has the password %s', async (line, expected) => {
    expect(await password('postgres://ada@db/logins', ['', 'too:few', line])).toBe(expected);
  });
});

describe('certificates', () => {
  const certificatesOf = async (dsn: string) => {
    const { tls, hosts } = target(dsn);
    const [options] = await tlsAttempts(tls, hosts[0]);
    return options;
  };

  test('in the home directory are used where none are named', async () => {
    await mkdir(join(home, '.postgresql'));
    for (const name of ['root.crt', 'postgresql.crt', 'postgresql.key'])
      await writeFile(join(home, '.postgresql', name), name);
    expect(await certificatesOf('postgres://db/x?sslmode=require')).toMatchObject({
      ca: Buffer.from('root.crt'),
      cert: Buffer.from('postgresql.crt'),
      key: Buffer.from('postgresql.key'),
      rejectUnauthorized: true,
    });
  });

  test('that are named are used, with the password of the key', async () => {
    for (const name of ['me.crt', 'me.key']) await writeFile(join(home, name), name);
    const query = `sslmode=require&sslcert=${home}/me.crt&sslkey=${home}/me.key&sslpassword=pw`;
    expect(await certificatesOf(`postgres://db/x?${query}`)).toMatchObject({
      cert: Buffer.from('me.crt'),
      key: Buffer.from('me.key'),
      passphrase: 'pw',
      rejectUnauthorized: false,
    });
  });

  test('that cannot be read are named with why', async () => {
    const failing = certificatesOf(`postgres://db/x?sslmode=require&sslcert=${home}`);
    await expect(failing).rejects.toThrow(/which is the sslcert for PostgreSQL: EISDIR/);
    await expect(failing).rejects.toBeInstanceOf(StoreError);
  });
});
