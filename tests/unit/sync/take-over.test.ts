/** What a former auth dir holds comes into the one that is used now, and ends there. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MARKER_NAME } from '../../../ts/src/sync/local.ts';
import { noteNativeProxy } from '../../../ts/src/sync/native-proxy.ts';
import { openState } from '../../../ts/src/sync/state.ts';
import { endTakeOver, takeOver } from '../../../ts/src/sync/take-over.ts';

const LOGIN = '{"type":"x","last_refresh":"2026-01-01T00:00:00Z"}';
const FRESHER = '{"type":"x","last_refresh":"2026-01-02T00:00:00Z"}';

let root: string;
let former: string;
let authDir: string;
let stateDir: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'take-over-'));
  [former, authDir, stateDir] = [join(root, 'former'), join(root, 'auths'), join(root, 'state')];
  mkdirSync(former);
  mkdirSync(stateDir);
  writeFileSync(join(former, MARKER_NAME), '01234567-89ab-cdef-0123-456789abcdef');
});
afterEach(() => rmSync(root, { recursive: true }));

const put = (directory: string, text: string) => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'a.json'), text);
};
const held = () => readFileSync(join(authDir, 'a.json'), 'utf8');
const kept = () => {
  const folder = join(stateDir, 'history/a.json');
  return existsSync(folder)
    ? readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
    : [];
};
const take = async () => takeOver([former], authDir, await openState(stateDir, { readOnly: false }));
const isFormer = () => existsSync(join(former, MARKER_NAME));

describe('what a former auth dir holds', () => {
  test('is taken over once: what is deleted later does not come back', async () => {
    put(former, LOGIN);
    expect(await take()).toEqual(['a.json']);
    expect(held()).toBe(LOGIN);
    rmSync(join(authDir, 'a.json'));
    expect(await take()).toEqual([]);
    put(former, FRESHER);
    expect(await take()).toEqual(['a.json']);
    expect(held()).toBe(FRESHER);
  });

  test('is left where there is no marker of ours', async () => {
    put(former, LOGIN);
    rmSync(join(former, MARKER_NAME));
    expect(await take()).toEqual([]);
    expect(existsSync(authDir)).toBe(false);
  });

  test('replaces an older one, which is kept first', async () => {
    put(authDir, LOGIN);
    put(former, FRESHER);
    expect(await take()).toEqual(['a.json']);
    expect(held()).toBe(FRESHER);
    expect(kept()).toEqual([LOGIN]);
  });

  test('is kept beside a fresher one, and beside what cannot be read as one', async () => {
    put(former, LOGIN);
    for (const other of [FRESHER, '{"type":']) {
      put(authDir, other);
      rmSync(join(stateDir, 'taken-over.json'), { force: true });
      expect(await take()).toEqual([]);
      expect(held()).toBe(other);
      expect(kept()).toEqual([LOGIN]);
    }
  });

  test('needs nothing where the same is there already, or where it is no credential', async () => {
    put(former, LOGIN);
    put(authDir, LOGIN);
    writeFileSync(join(former, 'b.json'), '{');
    expect(await take()).toEqual([]);
    expect(kept()).toEqual([]);
  });

  test.each(['{', 'null', '[]', '{"/former":null}', '{"/former":{"a.json":1}}'])(
    'is looked at once more when the record of it is damaged: %s',
    async (damaged) => {
      put(former, LOGIN);
      writeFileSync(join(stateDir, 'taken-over.json'), damaged);
      expect(await take()).toEqual(['a.json']);
    },
  );
});

describe('the end of it', () => {
  test('comes when all is taken over', async () => {
    put(former, LOGIN);
    await endTakeOver([former], stateDir);
    expect(isFormer()).toBe(true);
    await take();
    await endTakeOver([former], stateDir);
    expect(isFormer()).toBe(false);
    expect(JSON.parse(readFileSync(join(stateDir, 'taken-over.json'), 'utf8'))).toEqual({});
  });

  test('waits while the proxy that was started there runs', async () => {
    await noteNativeProxy(stateDir, { store: 's3', authDir: former }, process.pid);
    await endTakeOver([former], stateDir);
    expect(isFormer()).toBe(true);
  });
});
