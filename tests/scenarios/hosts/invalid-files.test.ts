/** Real files, `run` over several hosts' folders and one store: half-written and invalid files. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { files, fingerprint, type Host, login, world, write } from '../world.ts';
import { A, agreed, settle } from './rounds.ts';

const isRoot = process.getuid?.() === 0;

describe('Half-written and invalid files', () => {
  test('no prefix of a file that a proxy is writing is uploaded or copied', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    const whole = JSON.stringify(login(2, { nested: { a: '}' } }));
    for (const part of [0, 1, 10, whole.length >> 1, whole.length - 1]) {
      laptop.put('auth', A, whole.slice(0, part));
      await laptop.run();
      expect(where.stored(`auths/${A}`)).toEqual(login(1));
      expect(laptop.read('ccs', A)).toEqual(login(1));
      expect(readFileSync(join(laptop.directories.auth, A), 'utf8')).toBe(whole.slice(0, part));
    }
    laptop.put('auth', A, whole);
    await settle(where, [laptop]);
    expect(where.stored(`auths/${A}`)).toEqual(JSON.parse(whole));
  });

  test('a file that is being written while the run looks is waited for', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    const whole = JSON.stringify(login(2));
    const file = openSync(join(laptop.directories.auth, A), 'w');
    writeSync(file, whole.slice(0, 20));
    setTimeout(() => {
      writeSync(file, whole.slice(20));
      closeSync(file);
    }, 120);
    await laptop.sync();
    expect(where.stored(`auths/${A}`)).toEqual(login(2));
  });

  test('truncated to 0 bytes: no deletion, no upload; put back once it has stood so for a minute, and kept', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    laptop.put('auth', A, '');
    expect((await laptop.run()).exitCode).toBe(1);
    expect(statSync(join(laptop.directories.auth, A)).size).toBe(0);
    laptop.age('auth', A, 59);
    await laptop.run();
    expect(statSync(join(laptop.directories.auth, A)).size).toBe(0);
    laptop.age('auth', A, 62);
    await laptop.sync();
    await settle(where, [laptop]);
    expect(laptop.read('auth', A)).toEqual(login(1));
  });

  test('a valid object in the store replaced by garbage: healed; the garbage kept aside', async () => {
    const where = world();
    const hosts = await agreed(where, ['laptop', 'server'], { [A]: login(1) });
    where.store.put('auths', A, '<html>error</html>');
    await settle(where, hosts);
    const rejected = files(join(where.storePath, 'sync/rejected')).filter((path) => statSync(path).isFile());
    expect(rejected.map((path) => readFileSync(path, 'utf8'))).toEqual(['<html>error</html>']);
  });

  test('temporary, hidden and foreign files are never synced', async () => {
    const where = world();
    const laptop = where.host('laptop');
    for (const name of [
      '.a.json',
      '.cliproxyapi-sync-0123456789abcdef.tmp',
      'x.cds',
      'logs/main.log',
      '.git/config.json',
    ])
      laptop.put('auth', name, login(1));
    await laptop.sync();
    expect(where.store.names('auths')).toEqual([]);
    expect(laptop.names('ccs')).toEqual([]);
  });

  test.each<[string, (path: string) => void]>([
    ['a symbolic link', (path) => symlinkSync('/etc/passwd', path)],
    ['a symbolic link to another credential', (path) => symlinkSync('good.json', path)],
    ['a dangling symbolic link', (path) => symlinkSync('nowhere', path)],
    ['a folder', (path) => mkdirSync(path)],
    ['a named pipe', (path) => execFileSync('mkfifo', [path])],
    ['5 MB', (path) => writeFileSync(path, JSON.stringify({ type: 'x', pad: 'x'.repeat(5_000_000) }))],
    ['binary', (path) => writeFileSync(path, Buffer.from([0, 255, 254, 1, 2]))],
    [
      'nested 100,000 deep',
      (path) => writeFileSync(path, `{"type":"x","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    ],
    ['a list', (path) => writeFileSync(path, '[]')],
  ])('a file that is %s is named; the others are handled; nothing is written through it', async (_, make) => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { 'good.json': login(1) })) as [Host];
    where.store.put('auths', 'bad.json', login(7));
    where.store.put('backup/auths', 'bad.json', login(7));
    const path = join(laptop.directories.auth, 'bad.json');
    make(path);
    const before = fingerprint(laptop.directories.auth).filter((line) => line.includes('bad.json'));
    laptop.put('auth', 'good.json', login(2));
    const report = await laptop.run();
    expect(report.exitCode).toBe(1);
    expect(report.problems).toContainEqual(expect.objectContaining({ subject: 'bad.json', place: 'auth' }));
    expect(where.stored('auths/good.json')).toEqual(login(2));
    expect(where.stored('auths/bad.json')).toEqual(login(7));
    expect(fingerprint(laptop.directories.auth).filter((line) => line.includes('bad.json'))).toEqual(before);
  });

  test('a folder that is a symbolic link is not followed, and what was in it is not deleted', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], {
      'team/a.json': login(1),
      'b.json': login(1),
      'c.json': login(1),
    })) as [Host];
    renameSync(join(laptop.directories.auth, 'team'), join(where.root, 'elsewhere'));
    symlinkSync(join(where.root, 'elsewhere'), join(laptop.directories.auth, 'team'));
    write(join(where.root, 'elsewhere/new.json'), login(2));
    const report = await laptop.run();
    expect(report.problems).toContainEqual(expect.objectContaining({ subject: 'team' }));
    expect(where.store.names('auths')).toEqual(['b.json', 'c.json', 'team/a.json']);
  });

  test('credentials in a folder that is named like one are seen: they are not taken for deleted', async () => {
    const where = world();
    const laptop = where.host('laptop');
    where.store.put('auths', 'x.json/y.json', login(1));
    where.store.put('auths', 'b.json', login(1));
    where.store.put('backup/auths', 'x.json/y.json', login(1));
    await laptop.run();
    rmSync(laptop.stateDir, { recursive: true });
    const report = await laptop.run();
    expect(report.stopped).toBeUndefined();
    expect(report.results).toEqual([]);
    expect(where.store.names('auths')).toEqual(['b.json', 'x.json/y.json']);
    laptop.put('auth', 'x.json/y.json', login(2));
    await laptop.run();
    expect(where.stored('auths/x.json/y.json')).toEqual(login(2));
  });

  test('a file with a key twice is copied byte for byte', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const text = '{"type":"claude","email":"old","email":"new"}';
    laptop.put('auth', A, text);
    await laptop.sync();
    expect(readFileSync(join(where.storePath, 'auths', A), 'utf8')).toBe(text);
  });

  test('names from the store that could reach elsewhere are refused before any file call', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const hostile = ['../../escape.json', '..\\escape.json', 'line\nbreak.json', '/etc/absolute.json'];
    const report = await laptop.run({
      through: (store) => ({
        ...store,
        async list() {
          const listing = await store.list();
          const object = { tag: 't', size: 2 };
          return {
            ...listing,
            current: new Map([...listing.current, ...hostile.map((name) => [name, object] as const)]),
          };
        },
      }),
    });
    expect(report.problems.map(({ subject }) => subject).sort()).toEqual([...hostile].sort());
    expect(files(where.root).filter((path) => path.includes('escape'))).toEqual([]);
  });

  test.skipIf(isRoot)(
    'a file without rights is neither changed nor gone (SKIPPED for root, who may read everything)',
    async () => {
      const where = world();
      const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1), 'b.json': login(1) })) as [Host];
      chmodSync(join(laptop.directories.auth, A), 0);
      const report = await laptop.run();
      expect(report.exitCode).toBe(1);
      expect(where.store.names('auths')).toEqual([A, 'b.json']);
    },
  );
});
