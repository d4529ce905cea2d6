/** What the stores have in common. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { settingsFrom } from '../../../ts/src/settings/settings.ts';
import { commitAll, commitInSteps } from '../../../ts/src/stores/commit-all.ts';
import { directoryStore } from '../../../ts/src/stores/directory.ts';
import { glanceAt } from '../../../ts/src/stores/glance.ts';
import { parseMarker, recallMarker } from '../../../ts/src/stores/marker.ts';
import { openStore } from '../../../ts/src/stores/open.ts';
import { forEachParallel } from '../../../ts/src/stores/parallel.ts';
import { serverClock } from '../../../ts/src/stores/server-clock.ts';
import { StoreError } from '../../../ts/src/stores/store.ts';
import { create, credential } from '../../contract/vocabulary.ts';
import { memoryInMemory } from '../../support/memory.ts';

async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'shared-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe('several changes', () => {
  const change = (name: string) => create(name, credential(name));
  const outage = new StoreError('unreachable', 'It is out of reach.', 'Try again.');

  test('are each tried no more once the store is out of reach, if nobody says that it is one change’s failure', async () => {
    const tried: string[] = [];
    const outcomes = await commitAll(['a', 'b', 'c'].map(change), 1, async ({ name }) => {
      tried.push(name);
      return name === 'a' ? { kind: 'done' } : { kind: 'failed', step: 'current', error: outage };
    });
    expect(tried).toEqual(['a', 'b']);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['done', 'failed', 'failed']);
  });

  test('are each tried where the failure is that of one change', async () => {
    const failing = async () => ({ kind: 'failed', step: 'current', error: outage }) as const;
    const changes = ['a', 'b'].map(change);
    await expect(commitAll(changes, 1, failing)).rejects.toBe(outage);
    expect(await commitAll(changes, 1, failing, async () => true)).toHaveLength(2);
  });

  test('end with a mistake in the program, and do not put it down to the store', async () => {
    const mistake = new TypeError('undefined is not a function');
    const steps = {
      keep() {
        throw mistake;
      },
      apply: () => ({ kind: 'lost' }) as const,
    };
    await expect(commitInSteps(change('a'), steps)).rejects.toBe(mistake);
  });
});

test('after a failure nothing further is begun, and what is under way is waited for', async () => {
  const begun: number[] = [];
  const done: number[] = [];
  const running = forEachParallel([0, 1, 2, 3], 2, async (item) => {
    begun.push(item);
    await new Promise((resolve) => setTimeout(resolve, item * 20));
    if (item === 0) throw new Error('the first one failed');
    done.push(item);
  });
  await expect(running).rejects.toThrow('the first one failed');
  expect([begun, done]).toEqual([[0, 1], [1]]);
});

test('a glance at a store that has none of its own is another one after each change', async () => {
  const root = join(await temporaryDirectory(), 'store');
  const { glance: _, ...bare } = directoryStore({ path: root }, memoryInMemory());
  const looks = [await glanceAt(bare)];
  await bare.prepare({ id: 'the-marker', format: 1 });
  looks.push(await glanceAt(bare));
  await bare.commit([create('a.json', credential('a'))]);
  looks.push(await glanceAt(bare));
  const tombstone = { kind: 'put', bytes: Buffer.from('{}'), seen: undefined } as const;
  await bare.commit([{ ...create('b.json', credential('b')), tombstone }]);
  looks.push(await glanceAt(bare));
  await writeFile(join(root, 'auths/a.json'), credential('other'));
  looks.push(await glanceAt(bare));
  expect(new Set(looks).size).toBe(5);
  expect(await glanceAt(bare)).toBe(looks[4]);
});

describe('a marker', () => {
  test.each([
    'null',
    '17',
    '{"id":"","format":1}',
    '{"id":7,"format":1}',
    '{"id":"x","format":"1"}',
    '{"id":"x","format":1.5}',
  ])('%s is none, and is not made anew', (text) => {
    expect(() => parseMarker(Buffer.from(text), 'sync/store.json in s3://logins')).toThrow(
      /not one that this program can read/,
    );
  });

  test('that a host remembers is none if it is damaged', () => {
    const entry = { id: 'x', format: 1, tag: 't' };
    expect(recallMarker(entry)).toEqual({ marker: { id: 'x', format: 1 }, tag: 't' });
    for (const damaged of [null, 'x', { ...entry, tag: 7 }, { id: 'x', format: 1 }, { ...entry, id: 7 }])
      expect(recallMarker(damaged)).toBeUndefined();
  });
});

describe('the clock of a server', () => {
  async function serving(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => {
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('is what it says, whatever it answers', async () => {
    const url = await serving((_, answer) =>
      answer.writeHead(403, { date: 'Thu, 01 Jan 2026 00:00:00 GMT' }).end(),
    );
    expect(await serverClock(url)).toBe(Date.UTC(2026, 0, 1));
  });

  test('is not known where it says nothing of it, or nothing that is a time', async () => {
    const silent = await serving((_, answer) => {
      answer.sendDate = false;
      answer.end();
    });
    const odd = await serving((_, answer) => answer.writeHead(200, { date: 'lunchtime' }).end());
    expect([await serverClock(silent), await serverClock(odd)]).toEqual([undefined, undefined]);
  });
});

describe('the store that the settings chose', () => {
  test.each([
    ['directory', { LOCALSTORE_PATH: '/var/logins' }, 'directory /var/logins'],
    [
      's3',
      {
        OBJECTSTORE_ENDPOINT: 's3.example.org',
        OBJECTSTORE_BUCKET: 'logins',
        OBJECTSTORE_ACCESS_KEY: 'key',
        OBJECTSTORE_SECRET_KEY: 'very-secret',
      },
      's3 https://s3.example.org/logins',
    ],
    ['postgres', { PGSTORE_DSN: 'postgres://ada:very-secret@db/logins' }, 'postgres db:5432/logins'],
    [
      'postgres',
      { PGSTORE_DSN: 'postgres://ada:very-secret@db/logins', PGSTORE_SCHEMA: 'cliproxy' },
      'postgres db:5432/logins cliproxy',
    ],
    [
      'git',
      { GITSTORE_GIT_URL: 'https://git.example.org/logins', GITSTORE_GIT_TOKEN: 'very-secret' },
      'git https://git.example.org/logins ',
    ],
    [
      'git',
      { GITSTORE_GIT_URL: 'https://git.example.org/logins', GITSTORE_GIT_BRANCH: 'main' },
      'git https://git.example.org/logins main',
    ],
  ])(
    '%s is opened without being asked anything, and remembered under a name without a secret',
    async (kind, env, name) => {
      const { store: settings } = settingsFrom({ env: { HOME: '/nowhere', ...env } });
      const names: string[] = [];
      const memoryOf = (location: string) => {
        names.push(location);
        return memoryInMemory();
      };
      const store = await openStore(settings, memoryOf, '/nowhere/state');
      expect(store.kind).toBe(kind);
      expect(names).toEqual([name]);
      expect(`${store.location} ${names}`).not.toMatch(/very-secret/);
      await store.close();
    },
  );
});
