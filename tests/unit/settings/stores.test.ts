import { describe, expect, it } from 'vitest';
import { proxyEnvironment } from '../../../ts/src/settings/proxy-environment.ts';
import { settingsFrom } from '../../../ts/src/settings/settings.ts';
import { SettingsError } from '../../../ts/src/settings/settings-error.ts';

const from = (env: Record<string, string>, file: Record<string, string> = {}) =>
  settingsFrom({
    env: { HOME: '/home/ada', ...env },
    files: [{ path: '/env', values: file, warnings: [] }],
  });
const errorOf = (env: Record<string, string>): SettingsError => {
  try {
    from(env);
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
  throw new Error('no error');
};

const postgres = { PGSTORE_DSN: 'postgres://ada:pw@db/x' };
const s3 = {
  OBJECTSTORE_ENDPOINT: 'https://s3.example.org/',
  OBJECTSTORE_BUCKET: 'logins',
  OBJECTSTORE_ACCESS_KEY: 'access-key-value',
  OBJECTSTORE_SECRET_KEY: 'secret-key-value',
};
const git = { GITSTORE_GIT_URL: 'https://example.org/x.git' };
const directory = { LOCALSTORE_PATH: '/store' };

describe('which store', () => {
  it('PostgreSQL before S3 before Git before a directory, and what was ignored', () => {
    const kinds = (env: Record<string, string>) => {
      const { store, ignored } = from(env);
      return [store.kind, ...ignored.map(({ kind }) => kind)];
    };
    expect(kinds({ ...directory, ...git, ...s3, ...postgres })).toEqual([
      'postgres',
      's3',
      'git',
      'directory',
    ]);
    expect(kinds({ ...directory, ...git, ...s3 })).toEqual(['s3', 'git', 'directory']);
    expect(kinds({ ...directory, ...git })).toEqual(['git', 'directory']);
    expect(kinds(directory)).toEqual(['directory']);
    expect(from({ ...git, ...s3 }).chosenBy).toBe('OBJECTSTORE_ENDPOINT');
  });

  it('does not look into a half-configured store that is ignored anyway', () => {
    expect(from({ ...postgres, OBJECTSTORE_BUCKET: 'x' }).ignored).toEqual([
      { kind: 's3', variable: 'OBJECTSTORE_BUCKET' },
    ]);
  });

  it('everything of each store', () => {
    expect(from({ ...postgres, PGSTORE_SCHEMA: 'proxy', PGSSLMODE: 'require' }).store).toMatchObject({
      kind: 'postgres',
      dsn: 'postgres://ada:pw@db/x',
      target: { hosts: [{ host: 'db', port: 5432 }], user: 'ada', tls: { mode: 'require' } },
      schema: 'proxy',
    });
    expect(from(s3).store).toEqual({
      kind: 's3',
      endpoint: 'https://s3.example.org',
      bucket: 'logins',
      region: 'auto',
      accessKey: 'access-key-value',
      secretKey: 'secret-key-value',
    });
    const remote = { kind: 'git', url: git.GITSTORE_GIT_URL, transport: 'http', program: 'git' };
    expect(from(git).store).toEqual({ ...remote, username: 'git' });
    expect(
      from({ ...git, GITSTORE_GIT_TOKEN: 't', GITSTORE_GIT_BRANCH: 'b', GITSTORE_GIT_USERNAME: 'u' }).store,
    ).toEqual({ ...remote, username: 'u', token: 't', branch: 'b' });
  });
});

describe('a half-configured store', () => {
  it.each(Object.keys(s3))('without %s is an error that names it and shows no key', (name) => {
    const env = Object.fromEntries(Object.entries(s3).filter(([key]) => key !== name));
    const { message, remedy } = errorOf(env);
    expect(message).toBe(`the S3 store is half-configured: ${name} is not set`);
    expect(message + remedy).not.toMatch(/key-value/);
  });

  it('names all that is missing', () => {
    expect(errorOf({ OBJECTSTORE_ENDPOINT: 'x' }).message).toContain(
      'OBJECTSTORE_BUCKET, OBJECTSTORE_ACCESS_KEY, OBJECTSTORE_SECRET_KEY are not set',
    );
  });

  it('of the other kinds is one too', () => {
    expect(errorOf({ GITSTORE_GIT_TOKEN: 'x' }).message).toContain('GITSTORE_GIT_URL is not set');
    expect(errorOf({ PGSTORE_SCHEMA: 'x' }).message).toContain('PGSTORE_DSN is not set');
  });

  it('an empty value is no value', () => {
    expect(errorOf({ ...s3, OBJECTSTORE_SECRET_KEY: '  ' }).message).toContain('OBJECTSTORE_SECRET_KEY');
    expect(from({ OBJECTSTORE_ENDPOINT: '' }).store.kind).toBe('directory');
  });
});

describe('OBJECTSTORE_ENDPOINT', () => {
  const endpoint = (value: string, bucket = 'logins') => {
    const { store } = from({ ...s3, OBJECTSTORE_ENDPOINT: value, OBJECTSTORE_BUCKET: bucket });
    if (store.kind !== 's3') throw new Error(store.kind);
    return `${store.endpoint} ${store.region}`;
  };

  it.each([
    ['s3.amazonaws.com', 'https://s3.amazonaws.com us-east-1'],
    ['https://s3.eu-central-1.amazonaws.com', 'https://s3.eu-central-1.amazonaws.com eu-central-1'],
    ['s3-us-west-2.amazonaws.com', 'https://s3-us-west-2.amazonaws.com us-west-2'],
    [
      's3.dualstack.ap-southeast-2.amazonaws.com',
      'https://s3.dualstack.ap-southeast-2.amazonaws.com ap-southeast-2',
    ],
    ['s3-fips.us-gov-west-1.amazonaws.com', 'https://s3-fips.us-gov-west-1.amazonaws.com us-gov-west-1'],
    ['s3.cn-north-1.amazonaws.com.cn', 'https://s3.cn-north-1.amazonaws.com.cn cn-north-1'],
    ['https://0123.r2.cloudflarestorage.com/', 'https://0123.r2.cloudflarestorage.com auto'],
    ['fra1.digitaloceanspaces.com', 'https://fra1.digitaloceanspaces.com auto'],
    ['storage.googleapis.com', 'https://storage.googleapis.com auto'],
    ['http://localhost:9000', 'http://localhost:9000 auto'],
    ['localhost:9000', 'https://localhost:9000 auto'],
    ['HTTP://[::1]:8333/', 'http://[::1]:8333 auto'],
    ['https://x.supabase.co/storage/v1/s3/', 'https://x.supabase.co/storage/v1/s3 auto'],
  ])('%s is understood', (value, expected) => {
    expect(endpoint(value)).toBe(expected);
  });

  it('keeps a region that is set', () => {
    const { store } = from({ ...s3, OBJECTSTORE_REGION: 'garage' });
    expect(store).toMatchObject({ region: 'garage' });
    expect(() => from({ ...s3, OBJECTSTORE_REGION: 'eu west' })).toThrow(/OBJECTSTORE_REGION/);
  });

  it.each([
    'http://exa mple.org',
    'https://ada:hunter2@example.org',
    'https://hunter2@example.org',
    'ftp://hunter2.example.org',
    's3://hunter2',
    'https://',
    'https:///example.org',
    'https:/example.org',
    'example.org:99999',
    'https://example.org/?a=hunter2',
    'https://example.org#hunter2',
    'https:\\\\example.org',
  ])('%s is an error that does not repeat it', (value) => {
    const { message, remedy } = errorOf({ ...s3, OBJECTSTORE_ENDPOINT: value });
    expect(message).toMatch(/^OBJECTSTORE_ENDPOINT /);
    expect(message + remedy).not.toMatch(/hunter2|secret-key-value/);
  });

  it.each([
    'https://0123.r2.cloudflarestorage.com/logins',
    'logins.s3.eu-west-1.amazonaws.com',
    'logins.fra1.digitaloceanspaces.com',
  ])('%s, with the bucket in it, is an error: everything would go below a folder of its name', (value) => {
    expect(() => endpoint(value)).toThrow(/name of the bucket/);
  });

  it('may start like the bucket by accident', () => {
    expect(endpoint('minio.example.org', 'minio')).toBe('https://minio.example.org auto');
  });
});

describe('OBJECTSTORE_BUCKET', () => {
  it.each(['abc', 'my.bucket-1', 'Old_Bucket', 'x'.repeat(63)])('may be %s', (name) => {
    expect(from({ ...s3, OBJECTSTORE_BUCKET: name }).store).toMatchObject({ bucket: name });
  });

  it.each([
    'ab',
    'x'.repeat(64),
    'a..b',
    'a.-b',
    '-abc',
    'abc-',
    'a/b',
    's3://abc',
    'a b c',
    'äbc',
    '10.0.0.1',
    'abc?',
  ])('may not be %s', (name) => {
    expect(() => from({ ...s3, OBJECTSTORE_BUCKET: name })).toThrow(/^OBJECTSTORE_BUCKET /);
  });
});

describe('GITSTORE_GIT_URL', () => {
  const read = (value: string, more: Record<string, string> = {}) => {
    const { store } = from({ GITSTORE_GIT_URL: value, ...more });
    if (store.kind !== 'git') throw new Error(store.kind);
    return store;
  };

  it.each([
    ['https://github.com/me/logins.git', 'https://github.com/me/logins.git http'],
    ['https://gitlab.com/group/sub/logins', 'https://gitlab.com/group/sub/logins http'],
    ['HTTPS://Example.org:8443/x.git', 'https://example.org:8443/x.git http'],
    ['git@github.com:me/logins.git', 'git@github.com:me/logins.git ssh'],
    ['host:logins.git', 'host:logins.git ssh'],
    ['[::1]:logins.git', '[::1]:logins.git ssh'],
    ['ssh://git@host.example:2222/~me/x.git', 'ssh://git@host.example:2222/~me/x.git ssh'],
    ['ssh://git:hunter2@host.example/x.git', 'ssh://git@host.example/x.git ssh'],
    ['file:///srv/git/x.git', 'file:///srv/git/x.git file'],
    ['/srv/git/my logins.git', '/srv/git/my logins.git file'],
    ['~/logins.git', '/home/ada/logins.git file'],
  ])('%s is understood', (value, expected) => {
    const { url, transport } = read(value);
    expect(`${url} ${transport}`).toBe(expected);
  });

  it('gives up the login that is in it, which the variables beat', () => {
    expect(read('https://oauth2:tok%40en@gitlab.com/me/x.git')).toMatchObject({
      url: 'https://gitlab.com/me/x.git',
      username: 'oauth2',
      token: 'tok@en',
    });
    expect(
      read('https://a:b@bitbucket.org/me/x.git', {
        GITSTORE_GIT_USERNAME: 'x-token-auth',
        GITSTORE_GIT_TOKEN: 't',
      }),
    ).toMatchObject({ url: 'https://bitbucket.org/me/x.git', username: 'x-token-auth', token: 't' });
    expect(read('https://github.com/me/x.git')).toMatchObject({ username: 'git' });
  });

  it.each([
    'github.com/me/hunter2.git',
    'hunter2',
    './hunter2.git',
    'https://github.com/',
    'https://ada:hunter2@',
    'https://ada:hunter%2@example.org/x.git',
    'https://example.org/x.git?token=hunter2',
    'https://example.org/x.git#hunter2',
    'https://exa mple.org/hunter2.git',
    'git://example.org/hunter2.git',
    'ftp://ada:hunter2@example.org/x.git',
    'ext::sh -c hunter2',
    'ext::hunter2',
    '-oProxyCommand=hunter2:x',
    'git@-oProxyCommand=hunter2:x',
    'ssh://-oProxyCommand=hunter2/x',
    'git@host.example:',
  ])('%s is an error that does not repeat it', (value) => {
    const { message, remedy } = errorOf({ GITSTORE_GIT_URL: value });
    expect(message).toMatch(/^GITSTORE_GIT_URL /);
    expect(message + remedy).not.toMatch(/hunter/);
  });

  it.each(['a b', '-x', 'a..b', 'x.lock', 'a~1', 'HEAD', '/a', 'a/', '.a', 'cliproxyapi-sync', '@'])(
    'GITSTORE_GIT_BRANCH may not be %s',
    (branch) => {
      expect(errorOf({ ...git, GITSTORE_GIT_BRANCH: branch }).message).toMatch(/^GITSTORE_GIT_BRANCH /);
    },
  );

  it.each(['main', 'feature/logins', 'v1.2', 'ünïcode'])('GITSTORE_GIT_BRANCH may be %s', (branch) => {
    expect(read(git.GITSTORE_GIT_URL, { GITSTORE_GIT_BRANCH: branch })).toMatchObject({ branch });
  });

  it('a token of two lines is an error that does not repeat it', () => {
    const { message, remedy } = errorOf({ ...git, GITSTORE_GIT_TOKEN: 'hunter2\nhost=evil' });
    expect(message).toMatch(/^GITSTORE_GIT_TOKEN has line breaks/);
    expect(message + remedy).not.toMatch(/hunter/);
  });
});

describe('the environment of the proxy', () => {
  const selecting = ['PGSTORE_DSN', 'OBJECTSTORE_ENDPOINT', 'GITSTORE_GIT_URL', 'HOME_JWT'];

  it('in managed mode has every variable that chooses a store empty, so that no .env can fill it', () => {
    const environment = proxyEnvironment(from({ ...s3, home_jwt: 'j' }, { PGSTORE_DSN: 'host=x' }));
    for (const name of selecting) {
      expect(environment[name], name).toBe('');
      expect(environment[name.toLowerCase()], name).toBe('');
    }
    expect(Object.values(environment)).not.toContain('secret-key-value');
  });

  it('has the rest of the process and of the file, the process winning', () => {
    const environment = proxyEnvironment(
      from({ LANG: 'C', HTTP_PROXY: '' }, { LANG: 'de', HTTP_PROXY: 'http://p', MANAGEMENT_PASSWORD: ' m ' }),
    );
    expect(environment).toMatchObject({
      HOME: '/home/ada',
      LANG: 'C',
      HTTP_PROXY: 'http://p',
      MANAGEMENT_PASSWORD: ' m ',
    });
  });

  it('in native mode has the chosen store, at our home, and no other', () => {
    const settings = from(
      { ...git, CLIPROXY_STORE_MODE: 'native', CLIPROXY_HOME: '/proxy', objectstore_bucket: 'logins' },
      { ...s3, OBJECTSTORE_BUCKET: 'other', OBJECTSTORE_LOCAL_PATH: '/old', HOME_JWT: 'j' },
    );
    expect(settings.store).toMatchObject({ kind: 's3', bucket: 'logins' });
    expect(proxyEnvironment(settings)).toMatchObject({
      OBJECTSTORE_ENDPOINT: 'https://s3.example.org/',
      OBJECTSTORE_BUCKET: 'logins',
      objectstore_bucket: '',
      OBJECTSTORE_SECRET_KEY: 'secret-key-value',
      OBJECTSTORE_LOCAL_PATH: '/proxy',
      PGSTORE_DSN: '',
      GITSTORE_GIT_URL: '',
      HOME_JWT: 'j',
    });
    expect(proxyEnvironment(from({ ...postgres, CLIPROXY_STORE_MODE: 'native' }))).toMatchObject({
      PGSTORE_DSN: postgres.PGSTORE_DSN,
      PGSTORE_LOCAL_PATH: '/home/ada/.cli-proxy-api',
    });
  });

  it('takes names from a file that mean something to JavaScript as plain names', () => {
    const values = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string>;
    const environment = proxyEnvironment(from({}, values));
    expect(Object.entries(environment)).toEqual(
      expect.arrayContaining([
        ['__proto__', 'x'],
        ['constructor', 'y'],
      ]),
    );
  });
});
