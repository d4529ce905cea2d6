import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import bcrypt from 'bcryptjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { writeConfig } from '../../../ts/src/proxy/write-config.ts';
import { settingsFrom } from '../../../ts/src/settings/settings.ts';

let home: string;
let proxyHome: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'write-config-'));
  proxyHome = join(home, '.cli-proxy-api');
  await mkdir(proxyHome);
});
afterEach(() => rm(home, { recursive: true, force: true }));

const settings = (env: Record<string, string> = {}) => settingsFrom({ env: { HOME: home, ...env } });
const path = (name: string) => join(proxyHome, name);
const config = async () => parse(await readFile(path('config.yaml'), 'utf8'));
const modeOf = async (name: string) => (await stat(path(name))).mode & 0o777;

describe('a template', () => {
  it('becomes a private config with the variables and the auth dir', async () => {
    await writeFile(path('config.template.yaml'), 'port: __PORT__\napi-keys: [__KEY__]\n');
    expect(await writeConfig(settings({ PORT: '1', key: ' k ' }))).toEqual({
      kind: 'written',
      source: 'template',
      path: path('config.yaml'),
      warnings: [],
    });
    expect(await config()).toEqual({
      port: 1,
      'api-keys': [' k '],
      'auth-dir': path('objectstore/auths'),
    });
    expect(await modeOf('config.yaml')).toBe(0o600);
    expect((await readdir(proxyHome)).sort()).toEqual(['config.template.yaml', 'config.yaml']);
  });

  it('does not touch a config that is equal, so that no watcher wakes up', async () => {
    await writeFile(path('config.template.yaml'), 'port: 1\n');
    await writeConfig(settings());
    const old = new Date(1000);
    await utimes(path('config.yaml'), old, old);
    const { ino } = await stat(path('config.yaml'));
    expect(await writeConfig(settings())).toMatchObject({ kind: 'unchanged' });
    expect(await stat(path('config.yaml'))).toMatchObject({ ino, mtimeMs: 1000 });
  });

  it('takes the rights on an equal config from others', async () => {
    await writeFile(path('config.template.yaml'), 'port: 1\n');
    await writeConfig(settings());
    await chmod(path('config.yaml'), 0o644);
    expect(await writeConfig(settings())).toMatchObject({ kind: 'unchanged' });
    expect(await modeOf('config.yaml')).toBe(0o600);
  });

  it('replaces another config, private even if that one was not', async () => {
    await writeFile(path('config.template.yaml'), 'port: 1\n');
    await writeFile(path('config.yaml'), 'port: 2\n', { mode: 0o644 });
    expect(await writeConfig(settings())).toMatchObject({ kind: 'written' });
    expect((await config()).port).toBe(1);
    expect(await modeOf('config.yaml')).toBe(0o600);
  });

  it('that is broken leaves the config alone', async () => {
    await writeFile(path('config.template.yaml'), 'port: [1\n');
    await writeFile(path('config.yaml'), 'port: 2\n');
    await expect(writeConfig(settings())).rejects.toThrow(/config\.template\.yaml is not valid YAML at line/);
    expect(await readFile(path('config.yaml'), 'utf8')).toBe('port: 2\n');
  });

  it('may be a link into a Nix store', async () => {
    await writeFile(join(home, 'store.yaml'), 'port: 1\n', { mode: 0o444 });
    await symlink(join(home, 'store.yaml'), path('config.template.yaml'));
    expect(await writeConfig(settings())).toMatchObject({ kind: 'written' });
  });

  it.each([
    ['a directory', () => mkdir(path('config.template.yaml'))],
    ['a link to nothing', () => symlink('nothing', path('config.template.yaml'))],
    ['binary', () => writeFile(path('config.template.yaml'), Buffer.from([0xff, 0xfe, 0]))],
    ['huge', () => writeFile(path('config.template.yaml'), Buffer.alloc(5 * 1024 * 1024, ' '))],
  ])('that is %s is an error that names it', async (_, make) => {
    await make();
    await expect(writeConfig(settings())).rejects.toThrow(
      expect.objectContaining({
        name: 'SettingsError',
        message: expect.stringContaining('config.template.yaml'),
      }),
    );
  });

  it('of a home that is not there yet, with the config from the store, makes the home', async () => {
    await rm(proxyHome, { recursive: true });
    const stored = Buffer.from('port: 3\nauth-dir: /remote # c\nx: __KEEP__\n');
    expect(await writeConfig(settings(), async () => stored)).toMatchObject({
      kind: 'written',
      source: 'store',
    });
    expect(await readFile(path('config.yaml'), 'utf8')).toBe(
      `port: 3\nauth-dir: "${path('objectstore/auths')}" # c\nx: __KEEP__\n`,
    );
    expect((await stat(proxyHome)).mode & 0o777).toBe(0o700);
  });
});

describe('a config without a template', () => {
  it('is only made to name the auth dir, and the store is not asked', async () => {
    await writeFile(path('config.yaml'), '# mine\n\nport: 2 # two\nauth-dir: ~/elsewhere\nk: __K__\n');
    const outcome = await writeConfig(settings({ K: 'x' }), () => Promise.reject(new Error('asked')));
    expect(outcome).toMatchObject({ kind: 'written', source: 'config' });
    expect(await readFile(path('config.yaml'), 'utf8')).toBe(
      `# mine\n\nport: 2 # two\nauth-dir: "${path('objectstore/auths')}"\nk: __K__\n`,
    );
  });

  it('is left alone if it names it already, with ~ too', async () => {
    const text = '# mine\nauth-dir:   ~/.cli-proxy-api/objectstore/auths\n';
    await writeFile(path('config.yaml'), text);
    expect(await writeConfig(settings())).toMatchObject({ kind: 'unchanged' });
    expect(await readFile(path('config.yaml'), 'utf8')).toBe(text);
  });
});

describe('a config that is a link', () => {
  beforeEach(() => symlink(join(home, 'store.yaml'), path('config.yaml')));

  it('is not written through, and the error says what to link instead', async () => {
    await writeFile(join(home, 'store.yaml'), 'port: 2\n');
    await expect(writeConfig(settings())).rejects.toThrow(
      expect.objectContaining({
        message: expect.stringContaining('symbolic link'),
        remedy: expect.stringContaining('config.template.yaml'),
      }),
    );
    expect(await readFile(join(home, 'store.yaml'), 'utf8')).toBe('port: 2\n');
  });

  it('is fine if it is right as it is', async () => {
    await writeFile(join(home, 'store.yaml'), 'auth-dir: ~/.cli-proxy-api/objectstore/auths\n', {
      mode: 0o644,
    });
    expect(await writeConfig(settings())).toMatchObject({ kind: 'unchanged' });
    expect((await stat(join(home, 'store.yaml'))).mode & 0o777).toBe(0o644);
  });
});

describe('neither a template nor a config', () => {
  it('is said, with the paths where one could be', async () => {
    expect(await writeConfig(settings())).toEqual({
      kind: 'missing',
      path: path('config.yaml'),
      template: path('config.template.yaml'),
    });
  });
});

describe('a template elsewhere', () => {
  const elsewhere = (name: string) => join(home, name);

  it('that CLIPROXY_CONFIG_TEMPLATE names goes before the one in the proxy home', async () => {
    await writeFile(path('config.template.yaml'), 'port: 1\n');
    await writeFile(elsewhere('named.yaml'), 'port: 2\n');
    await writeConfig(settings({ CLIPROXY_CONFIG_TEMPLATE: elsewhere('named.yaml') }));
    expect((await config()).port).toBe(2);
  });

  it('that does not exist is an error that names the variable, and the config stays', async () => {
    await writeFile(path('config.yaml'), 'port: 1\n');
    await expect(writeConfig(settings({ CLIPROXY_CONFIG_TEMPLATE: elsewhere('none.yaml') }))).rejects.toThrow(
      /CLIPROXY_CONFIG_TEMPLATE names .*none\.yaml, which does not exist/,
    );
    expect(await readFile(path('config.yaml'), 'utf8')).toBe('port: 1\n');
  });

  it('that CLIPROXY_CONFIG_DEFAULT names is taken only where there is nothing else', async () => {
    await writeFile(elsewhere('default.yaml'), 'port: __PORT__\n');
    const env = { CLIPROXY_CONFIG_DEFAULT: elsewhere('default.yaml'), PORT: '9' };
    await writeConfig(settings(env), async () => Buffer.from('port: 3\n'));
    expect((await config()).port).toBe(3);
    await writeFile(path('config.yaml'), 'port: 4\n');
    await writeConfig(settings(env));
    expect((await config()).port).toBe(4);
    await rm(path('config.yaml'));
    await writeConfig(settings(env));
    expect((await config()).port).toBe(9);
  });
});

describe('a config that was made from what a variable names', () => {
  const file = () => join(home, 'default.yaml');
  const env = { CLIPROXY_CONFIG_DEFAULT: '', MANAGEMENT_KEY: 'secret' };
  beforeEach(() => {
    env.CLIPROXY_CONFIG_DEFAULT = file();
  });
  const defaultIs = async (text: string) => {
    await writeFile(file(), text);
    return writeConfig(settings(env));
  };
  const edit = async (change: (text: string) => string) =>
    writeFile(path('config.yaml'), change(await readFile(path('config.yaml'), 'utf8')));
  const WITH_KEY = '# a comment\nport: 1\n\nremote-management:\n    secret-key: __MANAGEMENT_KEY__\n';
  /** As the proxy does it: the hash in the place of the key, and its own indentation. */
  const hashKey = async () => {
    const hash = await bcrypt.hash('secret', 4);
    await edit((text) => text.replace(/secret-key: .*/, `secret-key: ${hash}`).replace('\n\n', '\n'));
    return hash;
  };

  it('follows it when it changes', async () => {
    await defaultIs('port: 1\n');
    expect(await defaultIs('port: 2\n')).toMatchObject({ kind: 'written', source: 'template', warnings: [] });
    expect((await config()).port).toBe(2);
    expect(await defaultIs('port: 2\n')).toMatchObject({ kind: 'unchanged' });
    await defaultIs('port: 3\n');
    expect((await config()).port).toBe(3);
  });

  it('follows it though the proxy has put the hash of the key in the place of the key', async () => {
    await defaultIs(WITH_KEY);
    await hashKey();
    expect(await defaultIs(WITH_KEY.replace('1', '2'))).toMatchObject({ kind: 'written', warnings: [] });
    expect(await config()).toMatchObject({ port: 2, 'remote-management': { 'secret-key': 'secret' } });
    // And once more, after a start that changed nothing.
    const hash = await hashKey();
    expect(await defaultIs(WITH_KEY.replace('1', '2'))).toMatchObject({ kind: 'unchanged' });
    expect((await config())['remote-management']['secret-key']).toBe(hash);
    await defaultIs(WITH_KEY.replace('1', '3'));
    expect((await config()).port).toBe(3);
  });

  it.each([
    ['a value', (text: string) => text.replace('port: 1', 'port: 9')],
    ['a comment', (text: string) => `# mine\n${text}`],
    ['the key', (text: string) => text.replace(/secret-key: .*/, 'secret-key: other')],
  ])('is left alone once a person has changed %s, which is said once for each change', async (_, change) => {
    await defaultIs(WITH_KEY);
    await edit(change);
    const edited = await readFile(path('config.yaml'), 'utf8');
    // Nothing to say as long as there is nothing to follow.
    expect(await defaultIs(WITH_KEY)).toMatchObject({ warnings: [] });
    expect(await defaultIs(WITH_KEY.replace('1', '2'))).toMatchObject({
      kind: 'unchanged',
      warnings: [expect.stringMatching(/config\.yaml is no longer.*default\.yaml.*move it away$/)],
    });
    expect(await defaultIs(WITH_KEY.replace('1', '2'))).toMatchObject({ warnings: [] });
    expect(await defaultIs(WITH_KEY.replace('1', '3'))).toMatchObject({ warnings: [expect.anything()] });
    expect(await readFile(path('config.yaml'), 'utf8')).toBe(edited);
  });

  it('that a person has broken is left alone, and named', async () => {
    await defaultIs('port: 1\n');
    await edit(() => 'port: [1\n');
    await expect(defaultIs('port: 2\n')).rejects.toThrow(/config\.yaml is not valid YAML/);
    expect(await readFile(path('config.yaml'), 'utf8')).toBe('port: [1\n');
  });

  it('follows again when it was moved away, or changed back', async () => {
    await defaultIs('port: 1\n');
    const text = await readFile(path('config.yaml'), 'utf8');
    await edit(() => 'port: 9\n');
    await defaultIs('port: 2\n');
    expect((await config()).port).toBe(9);
    await writeFile(path('config.yaml'), text);
    await defaultIs('port: 2\n');
    expect((await config()).port).toBe(2);
    await edit(() => 'port: 9\n');
    await rm(path('config.yaml'));
    await defaultIs('port: 3\n');
    await defaultIs('port: 4\n');
    expect((await config()).port).toBe(4);
  });

  it('goes back to the default when the named template is taken away', async () => {
    await writeFile(file(), 'port: 1\n');
    await writeFile(join(home, 'named.yaml'), 'port: 2\napi-keys: [k]\n');
    await writeConfig(settings({ ...env, CLIPROXY_CONFIG_TEMPLATE: join(home, 'named.yaml') }));
    expect((await config()).port).toBe(2);
    await writeConfig(settings(env));
    expect(await config()).toEqual({ port: 1, 'auth-dir': path('objectstore/auths') });
  });

  it('is a person’s own where nothing is known of it, or what is known cannot be read', async () => {
    await defaultIs('port: 1\n');
    const memory = join(settings().stateDir, 'config.json');
    for (const text of ['', '{}', '[]', '{"path":1,"fingerprints":[]}']) {
      await writeFile(memory, text);
      expect(await defaultIs('port: 2\n')).toMatchObject({ source: 'config', warnings: [] });
      expect((await config()).port).toBe(1);
    }
  });

  it('holds no secret in what is remembered, which only this user may read', async () => {
    await defaultIs(WITH_KEY);
    const memory = join(settings().stateDir, 'config.json');
    expect(await readFile(memory, 'utf8')).not.toContain('secret');
    expect((await stat(memory)).mode & 0o777).toBe(0o600);
  });

  it('is written though it cannot be remembered, which is said', async () => {
    const { stateDir } = settings();
    await mkdir(dirname(stateDir), { recursive: true });
    await writeFile(stateDir, '');
    expect(await defaultIs('port: 1\n')).toMatchObject({
      kind: 'written',
      warnings: [expect.stringContaining('could not be noted')],
    });
  });

  it('follows though the run that wrote it was killed before or after the write', async () => {
    await defaultIs('port: 1\n');
    const before = await readFile(path('config.yaml'), 'utf8');
    await defaultIs('port: 2\n');
    await writeFile(path('config.yaml'), before);
    await defaultIs('port: 3\n');
    expect((await config()).port).toBe(3);
  });
});

describe('a secret in a file', () => {
  it('that NAME_FILE names stands in for NAME, without the newline at its end', async () => {
    await writeFile(path('config.template.yaml'), 'api-keys: [__KEY__]\n');
    await writeFile(join(home, 'key'), 'se: "cret\n');
    await writeConfig(settings({ KEY_FILE: join(home, 'key') }));
    expect((await config())['api-keys']).toEqual(['se: "cret']);
    await writeConfig(settings({ KEY_FILE: join(home, 'key'), KEY: 'itself' }));
    expect((await config())['api-keys']).toEqual(['itself']);
  });

  it('that cannot be read is an error that names the variable', async () => {
    await writeFile(path('config.template.yaml'), 'api-keys: [__KEY__]\n');
    await expect(writeConfig(settings({ KEY_FILE: join(home, 'none') }))).rejects.toThrow(/KEY_FILE names/);
  });
});
