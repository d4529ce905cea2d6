import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { identify, isAlive } from '../../../ts/src/files/process.ts';
import {
  directoryIdentity,
  findNativeProxy,
  nativePhase,
  noteNativeProxy,
  STARTING_MS,
} from '../../../ts/src/sync/native-proxy.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'native-proxy-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe('what a native proxy is doing', () => {
  const noted = { store: 'postgres', directory: 'first', at: 1000 } as const;
  const now = 2000;

  test.for([
    ['nothing is noted', undefined, true, 'first', now, 'none'],
    ['its process is gone, before it cleared anything', noted, false, 'first', now, 'none'],
    ['its process is gone, in the middle of the clearing', noted, false, undefined, now, 'none'],
    ['it has not cleared yet', noted, true, 'first', now, 'starting'],
    ['it is between the removal of the directory and its making', noted, true, undefined, now, 'starting'],
    ['it cannot be told whether it lives', noted, undefined, 'first', now, 'starting'],
    ['the directory is another one', noted, true, 'second', now, 'running'],
    ['it did not clear in all that time', noted, true, 'first', 1000 + STARTING_MS, 'running'],
    ['its store clears nothing', { ...noted, store: 's3' } as const, true, 'first', now, 'running'],
  ] as const)('%s', ([, note, alive, directory, time, phase]) => {
    expect(nativePhase(note, alive, directory, time)).toBe(phase);
  });

  test('a directory that was removed and made again is another one, one that was written to is not', () => {
    const path = join(folder(), 'auths');
    expect(directoryIdentity(path)).toBeUndefined();
    mkdirSync(path);
    const before = directoryIdentity(path);
    writeFileSync(join(path, 'a.json'), '{}');
    expect(directoryIdentity(path)).toBe(before);
    rmSync(path, { recursive: true });
    mkdirSync(path);
    expect(directoryIdentity(path)).not.toBe(before);
  });

  test('what was noted is found as long as the process lives', async () => {
    const state = folder();
    const authDir = folder();
    expect(await findNativeProxy(state)).toBeUndefined();
    await noteNativeProxy(state, { store: 'postgres', authDir }, process.pid);
    expect(await findNativeProxy(state)).toMatchObject({ phase: 'starting', authDir, store: 'postgres' });
    // A child in the place of its parent: the directory is the one that it was at first.
    const noted = await noteNativeProxy(state, { store: 'postgres', authDir }, process.pid);
    rmSync(authDir, { recursive: true });
    mkdirSync(authDir);
    await noteNativeProxy(state, noted, process.ppid);
    expect(await findNativeProxy(state)).toMatchObject({ phase: 'running', process: { pid: process.ppid } });
  });

  test.each([
    '{"process":',
    'null',
    '[]',
    '{"process":null}',
    '{"process":{"pid":1}}',
    '{"process":{"pid":1,"started":"","realm":""},"store":"ftp","authDir":"/tmp"}',
    '{"process":{"pid":1,"started":"","realm":""},"store":"s3","authDir":1}',
  ])('a damaged note says nothing: %s', async (text) => {
    const state = folder();
    writeFileSync(join(state, 'native-proxy.json'), text);
    expect(await findNativeProxy(state)).toBeUndefined();
  });
});

describe('whether a process is alive', () => {
  const mine = identify(process.pid);

  test('this one is', () => expect(isAlive(mine)).toBe(true));

  test('one with another start is not: the number was given anew', () =>
    expect(isAlive({ ...mine, started: '1' })).toBe(false));

  test('one of an earlier boot is not', () =>
    expect(isAlive({ ...mine, realm: mine.realm.replace(/^\S+/, 'another-boot') })).toBe(false));

  test('of another container it cannot be told', () =>
    expect(isAlive({ ...mine, realm: mine.realm.replace(/\S+$/, 'pid:[1]') })).toBeUndefined());
});
