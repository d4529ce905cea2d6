import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { watchDirectories } from '../../../ts/src/watch/directories.ts';

describe.each([
  ['by events', { useEvents: true, everyMs: 3_600_000 }],
  ['by looks alone, where a file system has no events', { useEvents: false, everyMs: 30 }],
])('changes noticed %s', (_, options) => {
  let root: string;
  let directory: string;
  let told: number;
  let close: () => void;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'watch-'));
    directory = join(root, 'above/auths');
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'old.json'), '1');
    told = 0;
    ({ close } = watchDirectories([directory], () => told++, options));
  });
  afterEach(async () => {
    close();
    await rm(root, { recursive: true, force: true });
  });

  const noticed = async (what: string, change: () => Promise<unknown>) => {
    await pause(60);
    const before = told;
    await change();
    for (const until = Date.now() + 3_000; told === before; await pause(5))
      if (Date.now() > until) throw new Error(`not noticed: ${what}`);
  };
  const write = (name: string, text: string) => writeFile(join(directory, name), text);

  it('a file that comes, is written in place, replaced, renamed, removed', async () => {
    await noticed('new', () => write('a.json', '1'));
    await noticed('written', () => write('a.json', '22'));
    await write('.temporary', '333');
    await noticed('replaced', () => rename(join(directory, '.temporary'), join(directory, 'a.json')));
    await noticed('renamed', () => rename(join(directory, 'a.json'), join(directory, 'b.json')));
    await noticed('removed', () => unlink(join(directory, 'b.json')));
  });

  it('in a directory that was deleted and made again, moved away and put back, and with what is above it', async () => {
    await noticed('deleted', () => rm(directory, { recursive: true }));
    await noticed('made again', () => mkdir(directory));
    await noticed('a file in it', () => write('a.json', '1'));
    await noticed('moved away', () => rename(directory, `${directory}-away`));
    await noticed('put back', () => rename(`${directory}-away`, directory));
    await noticed('a file in that', () => write('a.json', '22'));
    await noticed('all deleted', () => rm(join(root, 'above'), { recursive: true }));
    await noticed('all made again', () => mkdir(directory, { recursive: true }));
    await noticed('a file in the third', () => write('a.json', '1'));
  });

  it('not those of hidden files, nor that nothing changes', async () => {
    await pause(100);
    told = 0;
    await write('.cliproxyapi-sync', 'marker');
    await write('.cliproxyapi-sync-0123456789abcdef.tmp', 'x');
    await pause(200);
    expect(told).toBe(0);
  });
});

it('what was seen is not told by a look', async () => {
  const root = await mkdtemp(join(tmpdir(), 'watch-'));
  let told = 0;
  const watch = watchDirectories([root], () => told++, { useEvents: false, everyMs: 100 });
  try {
    // At once, so that no look comes between the two.
    writeFileSync(join(root, 'a.json'), '1');
    watch.seen();
    await pause(300);
    expect(told).toBe(0);
  } finally {
    watch.close();
    await rm(root, { recursive: true });
  }
});

it('a change below a folder is found by a look, where events tell nothing of it', async () => {
  const root = await mkdtemp(join(tmpdir(), 'watch-'));
  await mkdir(join(root, 'team'));
  let told = 0;
  const watch = watchDirectories([root], () => told++, { everyMs: 50 });
  try {
    await writeFile(join(root, 'team/a.json'), '1');
    for (const until = Date.now() + 3_000; told === 0 && Date.now() < until; await pause(5));
    expect(told).toBeGreaterThan(0);
  } finally {
    watch.close();
    await rm(root, { recursive: true });
  }
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
