import { userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  describeTarget,
  type PostgresTarget,
  postgresTarget,
} from '../../../ts/src/settings/postgres-target.ts';
import { SettingsError } from '../../../ts/src/settings/settings-error.ts';

const target = (dsn: string, variables: Record<string, string> = {}) =>
  postgresTarget(dsn, (name) => variables[name]);

const hostsOf = ({ hosts }: PostgresTarget) =>
  hosts
    .map(({ host, address, port }) => `${host}${address === undefined ? '' : `=${address}`}:${port}`)
    .join(' ');

describe('PGSTORE_DSN', () => {
  const me = userInfo().username;
  it.each([
    ['postgres://ada:pw@db.example.org:6432/logins', 'db.example.org:6432', 'ada', 'pw', 'logins'],
    ['postgresql://ada:pw@db/logins', 'db:5432', 'ada', 'pw', 'logins'],
    ['postgres://ada@db', 'db:5432', 'ada', undefined, 'ada'],
    ['postgres://db/x', 'db:5432', me, undefined, 'x'],
    ['postgres:///x', ':5432', me, undefined, 'x'],
    ['postgres://', ':5432', me, undefined, me],
    // A password with everything in it, percent-encoded.
    ['postgres://ada:p%40s%2Fs%3Aw%25d%3F%23%20%C3%BC@db/x', 'db:5432', 'ada', 'p@s/s:w%d?# ü', 'x'],
    // And as far as libpq or CLIProxyAPI's driver understand it without.
    ["postgres://ada:p@s:wd#!$&'()*+,;=~@db/x", 'db:5432', 'ada', "p@s:wd#!$&'()*+,;=~", 'x'],
    ['postgres://ada:p?w@db', 'db:5432', 'ada', 'p?w', 'ada'],
    ['postgres://a%40b:pw@db/x%20y', 'db:5432', 'a@b', 'pw', 'x y'],
    ['postgres://ada:pw@[2001:db8::1]:6432/x', '2001:db8::1:6432', 'ada', 'pw', 'x'],
    ['postgres://ada:pw@[::1]/x', '::1:5432', 'ada', 'pw', 'x'],
    ['postgres://ada:pw@h1:1,h2:2,h3/x', 'h1:1 h2:2 h3:5432', 'ada', 'pw', 'x'],
    ['postgres://ada:pw@h1,h2/x?port=7', 'h1:7 h2:7', 'ada', 'pw', 'x'],
    // Cloud SQL.
    [
      'postgres://ada:pw@/x?host=/cloudsql/project:region:instance',
      '/cloudsql/project:region:instance:5432',
      'ada',
      'pw',
      'x',
    ],
    ['postgres://ada:pw@localhost/x?host=/cloudsql/a:b:c', '/cloudsql/a:b:c:5432', 'ada', 'pw', 'x'],
    ['postgres://ada:pw@%2Fvar%2Frun%2Fpostgresql/x', '/var/run/postgresql:5432', 'ada', 'pw', 'x'],
    ['postgres:///x?host=db&port=7&user=ada&password=p%26w', 'db:7', 'ada', 'p&w', 'x'],
    ['postgres://db/?dbname=x&user=ada', 'db:5432', 'ada', undefined, 'x'],
    ['host=db port=7 user=ada password=pw dbname=x', 'db:7', 'ada', 'pw', 'x'],
    ['  host = db   user=ada  dbname= x ', 'db:5432', 'ada', undefined, 'x'],
    ["host=db user=ada password='it\\'s \\\\ mine' dbname=x", 'db:5432', 'ada', "it's \\ mine", 'x'],
    ["host=db user=ada password=it's\\ mine dbname=x", 'db:5432', 'ada', "it's mine", 'x'],
    ["host=db user=ada password='' dbname=x", 'db:5432', 'ada', undefined, 'x'],
    ['host=h1,h2 port=1,2 user=ada dbname=x', 'h1:1 h2:2', 'ada', undefined, 'x'],
    ['host=db hostaddr=10.0.0.1 user=ada dbname=x', 'db=10.0.0.1:5432', 'ada', undefined, 'x'],
    ['hostaddr=10.0.0.1,10.0.0.2 user=ada dbname=x', '=10.0.0.1:5432 =10.0.0.2:5432', 'ada', undefined, 'x'],
    ['host=/run/postgresql user=ada database=x', '/run/postgresql:5432', 'ada', undefined, 'x'],
    // Supabase, Neon, RDS as their consoles give them.
    [
      'postgresql://postgres.abcd:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres',
      'aws-0-eu-central-1.pooler.supabase.com:6543',
      'postgres.abcd',
      'pw',
      'postgres',
    ],
  ])('%s', (dsn, hosts, user, password, database) => {
    const found = target(dsn);
    expect(hostsOf(found)).toBe(hosts);
    expect(found).toMatchObject({ user, database });
    expect(found.password).toBe(password);
  });

  it.each([
    ['postgres://db/x', 'prefer'],
    ['postgres://db/x?sslmode=disable', 'disable'],
    ['postgres://db/x?sslmode=allow', 'allow'],
    ['host=db sslmode=require', 'require'],
    ['postgres://db/x?ssl=true', 'require'],
    ['postgres://db/x?sslmode=verify-ca', 'verify-ca'],
    ['postgres://db/x?sslrootcert=system', 'verify-full'],
  ])('%s has sslmode %s', (dsn, mode) => {
    expect(target(dsn).tls.mode).toBe(mode);
  });

  it('has files for TLS, times and a name', () => {
    expect(
      target(
        'postgres://db/x?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem&sslpassword=kp' +
          '&connect_timeout=3&application_name=mine&target_session_attrs=read-write&channel_binding=require' +
          '&sslnegotiation=direct&passfile=/pass',
      ),
    ).toMatchObject({
      tls: {
        mode: 'verify-full',
        rootCertificate: '/ca.pem',
        certificate: '/c.pem',
        key: '/k.pem',
        keyPassword: 'kp',
        direct: true,
      },
      connectTimeout: 3,
      applicationName: 'mine',
      sessionAttributes: 'read-write',
      channelBinding: true,
      passfile: '/pass',
    });
  });

  it('hands the server what is not libpq’s, as CLIProxyAPI’s driver does, and keeps that driver’s own to itself', () => {
    const { options } = target(
      "host=db options='-c geqo=off' search_path='a b' default_query_exec_mode=exec keepalives=1 sslsni=0",
    );
    expect(options).toBe('-c geqo=off -c search_path=a\\ b');
  });

  it('takes what it does not say from libpq’s variables', () => {
    const variables = { PGHOST: 'db', PGPORT: '7', PGUSER: 'ada', PGPASSWORD: 'pw', PGSSLMODE: 'require' };
    expect(target('dbname=x', variables)).toMatchObject({
      hosts: [{ host: 'db', port: 7 }],
      user: 'ada',
      password: 'pw',
      tls: { mode: 'require' },
    });
    expect(target('postgres://eve:own@other/x?sslmode=disable', variables)).toMatchObject({
      hosts: [{ host: 'other' }],
      user: 'eve',
      password: 'own',
      tls: { mode: 'disable' },
    });
  });

  it.each([
    ['postgres://ada:S3CR3T@h1:1,[::1]:2/x%20y', 'postgres://ada@h1:1,[::1]:2/x%20y'],
    ['postgres://a%40b:S3CR3T@/x?host=/cloudsql/a:b:c', 'postgres://a%40b@/x?host=/cloudsql/a:b:c'],
    ['host=db user=ada password=S3CR3T', 'postgres://ada@db:5432/ada'],
  ])('%s is shown as %s', (dsn, shown) => {
    expect(describeTarget(target(dsn))).toBe(shown);
  });
});

describe('a PGSTORE_DSN with a mistake', () => {
  it.each([
    ['S3CR3T', /neither a URI .* nor words/],
    ['postgress://ada:S3CR3T@db/x', /a scheme other than/],
    ['https://ada:S3CR3T@db/x', /a scheme other than/],
    ['postgres:/ada:S3CR3T@db/x', /neither/],
    // Characters of a password that are read as separators.
    ['postgres://ada:S3/CR3T@db/x', /a host or port that cannot be one|"@" behind its host/],
    ['postgres://ada:12/S3CR3T@db/x', /"@" behind its host/],
    ['postgres://ada:12/a?S3CR3T@db/x', /"@" behind its host/],
    ['postgres://ada:S3CR3T%@db/x', /"%" that is not followed/],
    ['postgres://ada:S3CR3T%zz@db/x', /"%" that is not followed/],
    ['postgres://ada:S3CR3T%ff@db/x', /"%" that is not followed/],
    ['postgres://ada:S3CR3T%00@db/x', /"%" that is not followed/],
    ['postgres://ada:S3CR3T@db:70000/x', /port that is no number/],
    ['postgres://ada:S3CR3T@db:S3CR3T/x', /host or port/],
    ['postgres://ada:S3CR3T@d b/x', /host that cannot be one/],
    ['postgres://ada:S3CR3T@db:1:2/x', /host or port/],
    ['postgres://ada:S3CR3T@db/x?S3CR3T', /parameter without "="/],
    ['postgres://ada:S3CR3T@db/x?sslmode=S3CR3T', /sslmode that is none/],
    ['postgres://ada:S3CR3T@db/x?S3 CR3T=1', /parameter whose name cannot be one/],
    ['postgres://ada:S3CR3T@db/x?target_session_attrs=S3CR3T', /target_session_attrs that is none/],
    [
      'postgres://ada:S3CR3T@db/x?sslrootcert=system&sslmode=require',
      /sslrootcert=system with a weak sslmode/,
    ],
    ['postgres://ada:S3CR3T@db/x?sslnegotiation=direct', /direct with a weak sslmode/],
    ['postgres://ada:S3CR3T@db/x?service=S3CR3T', /names a service/],
    ['postgres://ada:S3CR3T@db/x?connect_timeout=S3CR3T', /no number of seconds/],
    ['postgres://ada:S3CR3T@h1,h2/x?port=1,2,3', /another number of ports/],
    ['host=db password=my S3CR3T', /nor words/],
    ["host=db password='S3CR3T", /nor words/],
    ["host=db password='S3CR3T'x", /nor words/],
    ['host=db password=\nS3CR3T', /control characters/],
    ['host=d@b password=S3CR3T', /host that cannot be one/],
  ])('(%s) is named, and no part of it is told', (dsn, expected) => {
    let error: unknown;
    try {
      target(dsn);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof SettingsError)) throw new Error(`no SettingsError: ${String(error)}`);
    expect(error.message).toMatch(/^PGSTORE_DSN /);
    expect(error.message).toMatch(expected);
    expect(error.message + error.remedy).not.toMatch(/S3|CR3T/);
    expect(error.remedy).not.toBe('');
  });
});
