/** Single files replaced and removed while another program writes to them. */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { readLocal } from '../../../ts/src/sync/local.ts';
import { removeLocal, writeLocal } from '../../../ts/src/sync/local-write.ts';

const hooks = vi.hoisted(() => ({ beforeRename: () => {}, afterRename: () => {} }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const rename: typeof real.rename = async (from, to) => {
    hooks.beforeRename();
    await real.rename(from, to);
    hooks.afterRename();
  };
  return { ...real, rename, default: { ...real, rename } };
});

const A = 'a.json' as CredentialName;
const OLD = '{"type":"x","token":"old"}';
const NEW = '{"type":"x","token":"new"}';
const LATE = '{"type":"x","token":"late"}';
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cliproxyapi-sync-local-'));
  path = join(directory, A);
  writeFileSync(path, OLD);
});

afterEach(() => {
  hooks.beforeRename = () => {};
  hooks.afterRename = () => {};
  rmSync(directory, { recursive: true });
});

const replace = () => writeLocal(directory, A, Buffer.from(NEW), readLocal(path));
const text = () => readFileSync(path, 'utf8');

test('a file that is as it was seen is replaced', async () => {
  expect(await replace()).toEqual({ kind: 'done' });
  expect(text()).toBe(NEW);
});

test('a file that changed since it was seen is not', async () => {
  const seen = readLocal(path);
  writeFileSync(path, LATE);
  expect(await writeLocal(directory, A, Buffer.from(NEW), seen)).toEqual({ kind: 'lost' });
  expect(await removeLocal(directory, A, seen)).toEqual({ kind: 'lost' });
  expect(text()).toBe(LATE);
});

test('a file that was made since none was seen is not replaced', async () => {
  expect(await writeLocal(directory, A, Buffer.from(NEW), { kind: 'absent' })).toEqual({ kind: 'lost' });
  expect(text()).toBe(OLD);
});

test('a file that was removed since it was seen does not come back', async () => {
  const seen = readLocal(path);
  rmSync(path);
  expect(await writeLocal(directory, A, Buffer.from(NEW), seen)).toEqual({ kind: 'lost' });
  expect(await removeLocal(directory, A, seen)).toEqual({ kind: 'done' });
});

test('a proxy that had begun to write the old file in place when it was replaced: what it wrote is given back', async () => {
  const old = openSync(path, 'r+');
  hooks.beforeRename = () => ftruncateSync(old);
  hooks.afterRename = () => {
    writeSync(old, LATE.slice(0, 10), 0);
    setTimeout(() => writeSync(old, LATE.slice(10), 10), 60);
  };
  const outcome = await replace();
  closeSync(old);
  expect(outcome.kind).toBe('late-write');
  const bytes =
    outcome.kind === 'late-write' && outcome.sighting.kind === 'version'
      ? outcome.sighting.version.bytes
      : undefined;
  expect(Buffer.from(bytes ?? []).toString()).toBe(LATE);
});

test('a proxy that never finishes keeps no one waiting, and its half is given back to be kept aside', async () => {
  const old = openSync(path, 'r+');
  hooks.beforeRename = () => {
    ftruncateSync(old);
    writeSync(old, '{"type', 0);
  };
  const outcome = await replace();
  closeSync(old);
  expect(outcome).toMatchObject({
    kind: 'late-write',
    sighting: { kind: 'invalid', bytes: Buffer.from('{"type') },
  });
});

test('a proxy that emptied the old file and never wrote to it has written nothing', async () => {
  const old = openSync(path, 'r+');
  hooks.afterRename = () => ftruncateSync(old);
  expect(await replace()).toEqual({ kind: 'done' });
  closeSync(old);
  expect(text()).toBe(NEW);
});

test('a symbolic link that took the name is neither followed nor replaced', async () => {
  const seen = readLocal(path);
  const elsewhere = join(directory, 'elsewhere');
  writeFileSync(elsewhere, OLD);
  rmSync(path);
  symlinkSync(elsewhere, path);
  expect(await writeLocal(directory, A, Buffer.from(NEW), seen)).toEqual({ kind: 'lost' });
  expect(readFileSync(elsewhere, 'utf8')).toBe(OLD);
});
