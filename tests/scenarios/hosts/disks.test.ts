/** Real files, `run` over several hosts' folders and one store: full and read-only disks. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { files, type Host, login, world } from '../world.ts';
import { A, agreed, settle } from './rounds.ts';

describe('Disks', () => {
  test('a full disk: said, the old file whole, nothing half-written; with room, the next run completes', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], {
      [A]: login(1),
      'b.json': login(1),
    })) as [Host, Host];
    const small = join(where.root, 'small');
    if (!mountSmall(small)) return console.warn('SKIPPED: a full disk, since no tmpfs can be mounted here');
    execFileSync('cp', ['-a', `${laptop.directories.ccs}/.`, small]);
    rmSync(laptop.directories.ccs, { recursive: true });
    symlinkSync(small, laptop.directories.ccs);
    server.put('auth', A, login(2));
    await server.sync();
    const fill = join(small, 'fill');
    try {
      writeFileSync(fill, Buffer.alloc(1024 * 1024));
    } catch {
      // Full now: what was meant.
    }
    const report = await laptop.run();
    expect(report.exitCode).toBe(1);
    expect(report.results.flatMap(({ failures }) => failures).join()).toMatch(/disk is full/);
    expect(laptop.read('ccs', A)).toEqual(login(1));
    expect(laptop.read('auth', A)).toEqual(login(2));
    expect(files(`${small}/`).filter((path) => path.includes('.tmp'))).toEqual([]);
    rmSync(fill);
    await settle(where, [laptop, server]);
  });

  test('a read-only directory: said; the other places go on, and what is deleted there stays deleted', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], {
      [A]: login(1),
      'b.json': login(1),
      'c.json': login(1),
    })) as [Host, Host];
    const disk = join(where.root, 'disk');
    if (!mountSmall(disk))
      return console.warn('SKIPPED: a read-only directory, since no tmpfs can be mounted here');
    execFileSync('cp', ['-a', `${laptop.directories.ccs}/.`, disk]);
    rmSync(laptop.directories.ccs, { recursive: true });
    symlinkSync(disk, laptop.directories.ccs);
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    server.put('auth', A, login(2));
    await server.sync();
    const report = await laptop.run();
    expect(report.exitCode).toBe(1);
    expect(report.results.flatMap(({ failures }) => failures).join()).toMatch(/read-only/);
    expect(laptop.read('auth', A)).toEqual(login(2));
    laptop.remove('auth', A);
    await laptop.run();
    expect(laptop.names('auth')).toEqual(['b.json', 'c.json']);
    await server.sync();
    expect(server.names('auth')).toEqual(['b.json', 'c.json']);
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    await settle(where, [laptop, server]);
  });
});

/** A file system of half a megabyte; false where none can be mounted. */
function mountSmall(path: string): boolean {
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return false;
  }
  onTestFinished(() => {
    if (existsSync(path)) execFileSync('umount', ['-l', path]);
  });
  return true;
}
