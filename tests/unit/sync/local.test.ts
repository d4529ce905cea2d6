/** What a local place holds, whatever lies in it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { busyListing, changedSince, listLocal, readLocal, readMarker } from '../../../ts/src/sync/local.ts';

const A = 'a.json' as CredentialName;
const LOGIN = '{"type":"x"}';
let directory: string;
const at = (name: string) => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'local-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function socketAt(path: string): Promise<() => void> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(path, done));
  return () => server.close();
}

describe('what is no regular file is named, and neither read nor followed', () => {
  test('in a listing', async () => {
    mkdirSync(at('folder.json'));
    symlinkSync('/nowhere', at('link.json'));
    spawnSync('mkfifo', [at('pipe.json')]);
    const close = await socketAt(at('socket.json'));
    const { sightings } = await listLocal('auth', directory);
    close();
    const reasons = [...sightings].map(([name, sighting]) => [name, 'reason' in sighting && sighting.reason]);
    expect(Object.fromEntries(reasons)).toEqual({
      'folder.json': 'is a folder',
      'link.json': 'is a symbolic link, which is not followed',
      'pipe.json': 'is a named pipe',
      'socket.json': 'is a socket',
    });
  });

  test('in the last look at one file', async () => {
    mkdirSync(at('folder'));
    symlinkSync('/nowhere', at('link'));
    spawnSync('mkfifo', [at('pipe')]);
    const close = await socketAt(at('socket'));
    const reason = (name: string) => readLocal(at(name));
    expect(reason('folder')).toEqual({ kind: 'unreadable', reason: 'is a folder' });
    expect(reason('link')).toEqual({ kind: 'unreadable', reason: 'is a symbolic link' });
    expect(reason('pipe')).toEqual({ kind: 'unreadable', reason: 'is not a regular file' });
    expect(reason('socket')).toEqual({ kind: 'unreadable', reason: 'is a socket' });
    expect(reason('folder/none')).toEqual({ kind: 'absent' });
    expect(reason('pipe/below')).toMatchObject({ kind: 'unreadable', reason: 'cannot be read (ENOTDIR)' });
    close();
  });
});

describe('names', () => {
  test('that cannot be file names everywhere are reported, others are passed by', async () => {
    writeFileSync(at('a\\b.json'), LOGIN);
    writeFileSync(at('a\\b.txt'), LOGIN);
    writeFileSync(at('readme.txt'), '');
    writeFileSync(at('.hidden.json'), LOGIN);
    const { sightings, problems } = await listLocal('auth', directory);
    expect([...sightings.keys()]).toEqual([]);
    expect(problems).toMatchObject([{ subject: 'a\\b.json', reason: 'has a backslash' }]);
  });

  test('below a linked folder are unknown, and the link is reported where folders count', async () => {
    mkdirSync(at('elsewhere'));
    symlinkSync(at('elsewhere'), at('linked'));
    symlinkSync('/nowhere', at('dangling'));
    const auth = await listLocal('auth', directory);
    expect([...auth.hidden].sort()).toEqual(['dangling', 'linked']);
    expect(auth.problems.map(({ subject }) => subject)).toEqual(['linked']);
    const ccs = await listLocal('ccs', directory);
    expect([...ccs.hidden].sort()).toEqual(['dangling', 'elsewhere', 'linked']);
    expect(ccs.problems).toEqual([]);
  });
});

describe('a place that cannot be listed', () => {
  test('has failed, and says why', async () => {
    writeFileSync(at('file'), '');
    const { state, sightings } = await listLocal('auth', at('file'));
    expect(state).toEqual({ kind: 'failed', reason: `${at('file')} is not a directory` });
    expect(sightings.size).toBe(0);
  });

  test('or is not to be looked at holds nothing that could be missed', () => {
    const { state, sightings } = busyListing('a proxy fills it');
    expect(state).toEqual({ kind: 'busy', reason: 'a proxy fills it' });
    expect(sightings.size).toBe(0);
  });
});

describe('a second look', () => {
  const look = async () => listLocal('auth', directory);
  const bytes = Buffer.from(LOGIN);

  test('sees what another program made, changed or removed', async () => {
    const before = await look();
    expect(changedSince('auth', directory, before, new Map())).toBe(false);
    writeFileSync(at('a.json'), LOGIN);
    expect(changedSince('auth', directory, before, new Map())).toBe(true);
    const with1 = await look();
    rmSync(at('a.json'));
    expect(changedSince('auth', directory, with1, new Map())).toBe(true);
  });

  test('knows what the run itself wrote and removed', async () => {
    const before = await look();
    writeFileSync(at('a.json'), LOGIN);
    expect(changedSince('auth', directory, before, new Map([[A, bytes]]))).toBe(false);
    expect(changedSince('auth', directory, before, new Map([[A, Buffer.from('{"type":"y"}')]]))).toBe(true);
    expect(changedSince('auth', directory, before, new Map([[A, undefined]]))).toBe(true);
    rmSync(at('a.json'));
    expect(changedSince('auth', directory, before, new Map([[A, undefined]]))).toBe(false);
    expect(changedSince('auth', directory, before, new Map([[A, bytes]]))).toBe(true);
  });

  test('leaves a directory that is gone, or no directory any more, to the next run', async () => {
    const before = await look();
    rmSync(directory, { recursive: true });
    expect(changedSince('auth', directory, before, new Map())).toBe(false);
    writeFileSync(directory, '');
    expect(changedSince('auth', directory, before, new Map())).toBe(false);
  });
});

test('a marker that is damaged is none: then it is a first join', () => {
  expect(readMarker(directory)).toBeUndefined();
  writeFileSync(at('.cliproxyapi-sync'), 'half');
  expect(readMarker(directory)).toBeUndefined();
});
