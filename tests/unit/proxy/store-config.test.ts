import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { putStoreConfig } from '../../../ts/src/proxy/store-config.ts';
import type { ConfigChange, StoredObject, StoreMemory } from '../../../ts/src/stores/store.ts';
import { memoryInMemory } from '../../support/memory.ts';

let proxyHome = '';
let memory: StoreMemory;
let stored: StoredObject | undefined;
let changes: ConfigChange[];

beforeEach(() => {
  proxyHome = mkdtempSync(join(tmpdir(), 'store-config-'));
  onTestFinished(() => rmSync(proxyHome, { recursive: true, force: true }));
  memory = memoryInMemory();
  stored = undefined;
  changes = [];
});

const store = {
  readConfig: async () => stored,
  async commitConfig(change: ConfigChange) {
    if (change.seen !== stored?.tag) return { kind: 'lost' } as const;
    changes.push(change);
    inStore(Buffer.from(change.bytes).toString());
    return { kind: 'done', tag: stored?.tag ?? '' } as const;
  },
};

function inStore(text: string): void {
  stored = { bytes: Buffer.from(text), tag: `tag ${text}` };
}

const text = () => Buffer.from(stored?.bytes ?? []).toString();

function template(content: string): void {
  writeFileSync(join(proxyHome, 'config.template.yaml'), content);
}

function put(
  env: Record<string, string> = {},
  home = proxyHome,
  mind = memory,
  more: { readonly configDefault?: string } = {},
) {
  const authDir = join(home, 'pgstore/auths');
  const settings = { proxyHome: home, stateDir: home, authDir, environment: [{ values: env }], ...more };
  return putStoreConfig(settings, store, mind, 'laptop');
}

describe('the config in the store', () => {
  test('is rendered from the template where there is none, and is in its history', async () => {
    template('port: 1\napi-keys: [__KEY__]\n');
    expect(await put({ KEY: 'k' })).toEqual({ kind: 'put', warnings: [] });
    expect(parse(text())).toMatchObject({ port: 1, 'api-keys': ['k'] });
    expect(changes[0]?.keep.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual([text()]);
  });

  test('is not written again while it says the same, be it with a hash for the secret', async () => {
    template('remote-management:\n  secret-key: hunter2\n');
    await put();
    // bcrypt of hunter2, cost 4, as the proxy puts it there.
    const { hash } = await import('bcryptjs');
    inStore(text().replace('hunter2', await hash('hunter2', 4)));
    expect(await put()).toMatchObject({ kind: 'unchanged' });
    expect(changes).toHaveLength(1);
  });

  test('that someone changed since is left alone, until the template changes; what goes is kept', async () => {
    template('port: 1\n');
    await put();
    inStore('port: 1\ndebug: true\n');
    expect(await put()).toMatchObject({ kind: 'changed-there' });
    expect(text()).toBe('port: 1\ndebug: true\n');
    template('port: 2\n');
    expect(await put()).toMatchObject({ kind: 'put' });
    expect(parse(text())).toMatchObject({ port: 2 });
    expect(changes[1]?.keep.map(({ bytes }) => Buffer.from(bytes).toString())).toContain(
      'port: 1\ndebug: true\n',
    );
  });

  test('a variable that changed is a change of the template', async () => {
    template('api-keys: [__KEY__]\n');
    await put({ KEY: 'old' });
    expect(await put({ KEY: 'new' })).toMatchObject({ kind: 'put' });
    expect(parse(text())).toMatchObject({ 'api-keys': ['new'] });
  });

  test('two hosts with the same template and other homes agree', async () => {
    template('port: 1\n');
    await put();
    const other = join(proxyHome, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'config.template.yaml'), 'port: 1\n');
    expect(await put({}, other, memoryInMemory())).toMatchObject({ kind: 'unchanged' });
    expect(changes).toHaveLength(1);
  });

  test('two hosts with different templates do not take turns for ever', async () => {
    template('port: 1\n');
    const other = join(proxyHome, 'other');
    const theirs = memoryInMemory();
    mkdirSync(other);
    writeFileSync(join(other, 'config.template.yaml'), 'port: 2\n');
    await put();
    await put({}, other, theirs);
    for (let round = 0; round < 3; round++) {
      expect(await put()).toMatchObject({ kind: 'changed-there' });
      expect(await put({}, other, theirs)).toMatchObject({ kind: 'unchanged' });
    }
    expect(changes).toHaveLength(2);
  });

  test('without a template it stands; where there is none it is the config.yaml of the home', async () => {
    expect(await put()).toEqual({ kind: 'missing' });
    writeFileSync(join(proxyHome, 'config.yaml'), 'port: 3\n');
    expect(await put()).toMatchObject({ kind: 'put' });
    writeFileSync(join(proxyHome, 'config.yaml'), 'port: 4\n');
    expect(await put()).toMatchObject({ kind: 'unchanged' });
    expect(parse(text())).toMatchObject({ port: 3 });
  });

  test('a default is put where there is nothing, and followed as long as nobody else changes it', async () => {
    const configDefault = join(proxyHome, 'default.yaml');
    const follow = (content: string) => {
      writeFileSync(configDefault, content);
      return put({}, proxyHome, memory, { configDefault });
    };
    inStore('port: 9\n');
    expect(await follow('port: 1\n')).toMatchObject({ kind: 'unchanged' });
    stored = undefined;
    expect(await follow('port: 1\n')).toMatchObject({ kind: 'put' });
    expect(await follow('port: 2\n')).toMatchObject({ kind: 'put' });
    expect(parse(text())).toMatchObject({ port: 2 });
    inStore(`${text()}debug: true\n`);
    expect(await follow('port: 3\n')).toMatchObject({ kind: 'changed-there' });
    expect(parse(text())).toMatchObject({ port: 2, debug: true });
  });

  test('another host was faster: what it put is looked at, and kept', async () => {
    template('port: 1\n');
    let isFirst = true;
    const racing = {
      ...store,
      async commitConfig(change: ConfigChange) {
        if (isFirst) inStore('port: 9\n');
        isFirst = false;
        return store.commitConfig(change);
      },
    };
    const settings = { proxyHome, stateDir: proxyHome, authDir: join(proxyHome, 'a'), environment: [] };
    expect(await putStoreConfig(settings, racing, memory, 'laptop')).toMatchObject({ kind: 'put' });
    expect(changes[0]?.keep.map(({ bytes }) => Buffer.from(bytes).toString())).toContain('port: 9\n');
  });
});
