import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings, settingsFrom } from '../../../ts/src/settings/settings.ts';
import { SettingsError } from '../../../ts/src/settings/settings-error.ts';

const HOME = '/home/ada';
const from = (env: Record<string, string>, ...files: Record<string, string>[]) =>
  settingsFrom({
    env: { HOME, ...env },
    files: files.map((values, index) => ({ path: `/env${index}`, values, warnings: [] })),
    host: 'laptop',
  });

describe('someone who sets nothing', () => {
  it('gets the usual places and the directory store', () => {
    expect(from({})).toMatchObject({
      proxyHome: '/home/ada/.cli-proxy-api',
      authDir: '/home/ada/.cli-proxy-api/objectstore/auths',
      ccsDir: '/home/ada/.ccs/cliproxy/auth',
      stateDir: '/home/ada/.local/state/cliproxyapi-sync',
      proxyProgram: 'cliproxyapi',
      storeMode: 'managed',
      lockWaitMs: 30_000,
      hostName: 'laptop',
      store: { kind: 'directory', path: '/home/ada/.local/state/cliproxyapi-sync/store' },
      chosenBy: undefined,
      ignored: [],
      warnings: [],
    });
  });
});

describe('a variable', () => {
  it('of the process wins over the env file, and a later file over an earlier one', () => {
    const settings = from(
      { CLIPROXY_HOME: '/process' },
      { CLIPROXY_HOME: '/first', CLIPROXY_HOST_NAME: 'first', XDG_STATE_HOME: '/first' },
      { CLIPROXY_HOME: '/second', CLIPROXY_HOST_NAME: 'second' },
    );
    expect(settings).toMatchObject({
      proxyHome: '/process',
      hostName: 'second',
      stateDir: '/first/cliproxyapi-sync',
    });
  });

  it('that is empty in the process leaves the value of the file', () => {
    expect(from({ CLIPROXY_HOME: ' ' }, { CLIPROXY_HOME: '/file' }).proxyHome).toBe('/file');
  });

  it('may be written in lower case; upper case wins; blanks around it do not count', () => {
    expect(from({ cliproxy_home: ' /lower ' }).proxyHome).toBe('/lower');
    expect(from({ cliproxy_home: '/lower', CLIPROXY_HOME: '/upper' }).proxyHome).toBe('/upper');
    expect(from({ cliproxy_home: '/process' }, { CLIPROXY_HOME: '/file' }).proxyHome).toBe('/process');
  });

  it('with a path may start with ~/', () => {
    expect(from({ CLIPROXY_HOME: '~/proxy/' }).proxyHome).toBe('/home/ada/proxy');
    expect(from({ LOCALSTORE_PATH: '~/store' }).store).toEqual({
      kind: 'directory',
      path: '/home/ada/store',
    });
  });

  it.each(['CLIPROXY_HOME', 'CLIPROXY_CCS_DIR', 'LOCALSTORE_PATH'])(
    '%s with a relative path is an error',
    (name) => {
      for (const value of ['proxy', './proxy', '../proxy', '~ada/proxy', '$HOME/proxy']) {
        expect(() => from({ [name]: value })).toThrow(new RegExp(`^${name} is not an absolute path`));
      }
    },
  );

  it('CLIPROXY_BIN may be a name or an absolute path, not a relative one', () => {
    expect(from({ CLIPROXY_BIN: 'cliproxyapi-7' }).proxyProgram).toBe('cliproxyapi-7');
    expect(from({ CLIPROXY_BIN: '~/bin/p' }).proxyProgram).toBe('/home/ada/bin/p');
    expect(() => from({ CLIPROXY_BIN: './p' })).toThrow(/CLIPROXY_BIN/);
  });

  it('XDG_STATE_HOME with a relative path is ignored, as its specification says', () => {
    expect(from({ XDG_STATE_HOME: 'state' }).stateDir).toBe('/home/ada/.local/state/cliproxyapi-sync');
  });

  it('CLIPROXY_CCS_DIR set to nothing turns CCS off, in the process or in the file', () => {
    expect(from({ CLIPROXY_CCS_DIR: '' }).ccsDir).toBeUndefined();
    expect(from({}, { CLIPROXY_CCS_DIR: '' }).ccsDir).toBeUndefined();
    expect(from({ CLIPROXY_CCS_DIR: '' }, { CLIPROXY_CCS_DIR: '/ccs' }).ccsDir).toBeUndefined();
    expect(from({ CLIPROXY_CCS_DIR: '/ccs' }, { CLIPROXY_CCS_DIR: '' }).ccsDir).toBe('/ccs');
  });

  it('CLIPROXY_STORE_MODE is managed or native', () => {
    const s3 = {
      OBJECTSTORE_ENDPOINT: 'h',
      OBJECTSTORE_BUCKET: 'bucket',
      OBJECTSTORE_ACCESS_KEY: 'a',
      OBJECTSTORE_SECRET_KEY: 'b',
    };
    expect(from({ ...s3, CLIPROXY_STORE_MODE: 'native' }).storeMode).toBe('native');
    expect(() => from({ CLIPROXY_STORE_MODE: 'both' })).toThrow(/CLIPROXY_STORE_MODE/);
  });

  it('native mode without a store that the proxy has is an error', () => {
    expect(() => from({ CLIPROXY_STORE_MODE: 'native' })).toThrow(/CLIPROXY_STORE_MODE is native/);
  });

  it('native mode puts the auth dir where the proxy has it for its store', () => {
    const native = { CLIPROXY_STORE_MODE: 'native', CLIPROXY_HOME: '/proxy' };
    expect(from({ ...native, PGSTORE_DSN: 'host=x' }).authDir).toBe('/proxy/pgstore/auths');
    expect(from({ ...native, GITSTORE_GIT_URL: 'https://x/y.git' }).authDir).toBe('/proxy/gitstore/auths');
  });

  it.each([
    ['0', 0],
    ['2.5', 2500],
    ['3600', 3_600_000],
  ])('CLIPROXY_LOCK_WAIT=%s is a number of seconds', (value, expected) => {
    expect(from({ CLIPROXY_LOCK_WAIT: value }).lockWaitMs).toBe(expected);
  });

  it.each(['-1', 'soon', '1e9', '3601', 'Infinity'])('CLIPROXY_LOCK_WAIT=%s is an error', (value) => {
    expect(() => from({ CLIPROXY_LOCK_WAIT: value })).toThrow(/CLIPROXY_LOCK_WAIT/);
  });

  it('that says where a native store kept its files is said to have no effect', () => {
    expect(from({ PGSTORE_DSN: 'host=x', PGSTORE_LOCAL_PATH: '/old' }).warnings).toEqual([
      expect.stringContaining('PGSTORE_LOCAL_PATH has no effect'),
    ]);
    expect(from({ PGSTORE_DSN: 'host=x', PGSTORE_LOCAL_PATH: '/home/ada/.cli-proxy-api/' }).warnings).toEqual(
      [],
    );
  });
});

describe('HOME', () => {
  const explicit = { CLIPROXY_HOME: '/proxy', CLIPROXY_CCS_DIR: '/ccs', XDG_STATE_HOME: '/state' };

  it('is not needed when every place is set', () => {
    expect(settingsFrom({ env: explicit })).toMatchObject({
      authDir: '/proxy/objectstore/auths',
      ccsDir: '/ccs',
    });
  });

  it.each(Object.keys(explicit))('unset and %s unset is an error that names both', (name) => {
    const env = Object.fromEntries(Object.entries(explicit).filter(([key]) => key !== name));
    expect(() => settingsFrom({ env })).toThrow(new RegExp(`HOME is not set.*${name}`));
    expect(() => settingsFrom({ env: { ...env, HOME: 'ada' } })).toThrow(/HOME is not an absolute path/);
  });
});

describe('places that lie in one another', () => {
  it.each<[string, Record<string, string>]>([
    ['CCS dir and auth dir are the same', { CLIPROXY_CCS_DIR: '~/.cli-proxy-api/objectstore/auths' }],
    ['CCS dir above the auth dir', { CLIPROXY_CCS_DIR: '~/.cli-proxy-api' }],
    ['the store in the CCS dir', { LOCALSTORE_PATH: '~/.ccs/cliproxy/auth/store' }],
    ['the store over the auth dir', { LOCALSTORE_PATH: '~/.cli-proxy-api/objectstore' }],
    ['the state in the CCS dir', { XDG_STATE_HOME: '~/.ccs/cliproxy/auth', LOCALSTORE_PATH: '/store' }],
  ])('are refused: %s', (_, env) => {
    expect(() => from(env)).toThrow(/lie in one another/);
  });

  it('are fine side by side, and the proxy may live in the state directory', () => {
    expect(() => from({ LOCALSTORE_PATH: '~/.cli-proxy-api/store' })).not.toThrow();
    expect(() => from({ CLIPROXY_HOME: '~/.local/state/cliproxyapi-sync/proxy' })).not.toThrow();
  });
});

describe('loading', () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'settings-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));
  const write = (path: string, text: string) => writeFile(join(home, path), text, { mode: 0o600 });

  it('reads ~/dotfiles/.env if it is there', async () => {
    expect((await loadSettings({ env: { HOME: home } })).envFiles).toEqual([]);
    await mkdir(join(home, 'dotfiles'));
    await write('dotfiles/.env', 'export CLIPROXY_HOST_NAME="desk"\n');
    expect(await loadSettings({ env: { HOME: home } })).toMatchObject({
      hostName: 'desk',
      envFiles: [join(home, 'dotfiles/.env')],
    });
    expect((await loadSettings({ env: {}, home })).hostName).toBe('desk');
  });

  it('takes --env-file before CLIPROXY_ENV_FILE before the default', async () => {
    await mkdir(join(home, 'dotfiles'));
    await write('dotfiles/.env', 'CLIPROXY_HOST_NAME=default');
    await write('b', 'CLIPROXY_HOST_NAME=variable');
    await write('c', 'CLIPROXY_HOST_NAME=argument');
    const env = { HOME: home, CLIPROXY_ENV_FILE: '~/b' };
    expect((await loadSettings({ env })).hostName).toBe('variable');
    expect((await loadSettings({ env, envFile: join(home, 'c') })).hostName).toBe('argument');
  });

  it('says which option names a file that is missing, where the Nix modules run it', async () => {
    const env = {
      HOME: home,
      CLIPROXY_ENV_FILE: '/does/not/exist',
      CLIPROXY_ENV_FILE_OPTION: 'services.cliproxyapi.environmentFiles',
    };
    await expect(loadSettings({ env })).rejects.toMatchObject({
      message: expect.stringContaining('(CLIPROXY_ENV_FILE) does not exist'),
      remedy: expect.stringContaining('with services.cliproxyapi.environmentFiles.'),
    });
  });

  it('reads several files from CLIPROXY_ENV_FILE, the later one winning', async () => {
    await write('a', 'CLIPROXY_HOST_NAME=a\nCLIPROXY_LOCK_WAIT=1');
    await write('b', 'CLIPROXY_HOST_NAME=b');
    const settings = await loadSettings({ env: { HOME: home, CLIPROXY_ENV_FILE: `${home}/a:${home}/b` } });
    expect(settings).toMatchObject({ hostName: 'b', lockWaitMs: 1000 });
  });

  it.each([
    [{ CLIPROXY_ENV_FILE: '/does/not/exist' }, /CLIPROXY_ENV_FILE.*does not exist/],
    [{ CLIPROXY_ENV_FILE: 'relative' }, /CLIPROXY_ENV_FILE is not an absolute path/],
  ])('%o is an error', async (env, message) => {
    await expect(loadSettings({ env: { HOME: home, ...env } })).rejects.toThrow(message);
    await expect(loadSettings({ env: { HOME: home, ...env } })).rejects.toBeInstanceOf(SettingsError);
  });
});
