/** Real files, `run` over several hosts' folders and one store: the lock. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Store } from '../../../ts/src/stores/store.ts';
import { type Host, login, world } from '../world.ts';
import { A, agreed, settle } from './rounds.ts';

describe('One run at a time', () => {
  test('a timer, a watcher and a person start at once: one after another, no change forgotten', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    laptop.put('auth', A, login(2));
    laptop.put('ccs', 'b.json', login(1));
    const reports = await Promise.all([laptop.sync(), laptop.sync(), laptop.sync()]);
    expect(reports.filter(({ results }) => results.length > 0)).toHaveLength(1);
    await settle(where, [laptop]);
  });

  test('a run that finds the lock held for too long says try again, and changes nothing', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    await holder(laptop);
    laptop.put('auth', A, login(2));
    expect((await laptop.run({ lockWaitMs: 200 })).exitCode).toBe(75);
    expect(where.stored(`auths/${A}`)).toEqual(login(1));
  });

  test('the lock of a process that was killed is taken over at once', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    const child = await holder(laptop);
    await killed(child);
    const start = Date.now();
    await laptop.sync({ lockWaitMs: 5000 });
    expect(Date.now() - start).toBeLessThan(3000);
  });

  test('three runs find a killed holder at once: one after another all the same', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    await killed(await holder(laptop));
    let inside = 0;
    let most = 0;
    const counted = (store: Store): Store => ({
      ...store,
      async list() {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 30));
        inside--;
        return store.list();
      },
    });
    await Promise.all([1, 2, 3].map(() => laptop.sync({ through: counted })));
    expect(most).toBe(1);
  });

  test('the lock of a process whose id another process has by now is taken over', async () => {
    const where = world();
    const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
    await killed(await holder(laptop));
    const note = join(laptop.stateDir, 'lock-owner.json');
    const owner = JSON.parse(readFileSync(note, 'utf8'));
    if (owner.started === '')
      return console.warn('SKIPPED: this system does not tell when a process started');
    writeFileSync(note, JSON.stringify({ ...owner, pid: process.pid }));
    await laptop.sync({ lockWaitMs: 5000 });
  });

  test.each(['', '\0\0', '[]', '{"pid":"x"}'])(
    'a garbled note of the holder (%j) keeps an old lock for no one',
    async (text) => {
      const where = world();
      const [laptop] = (await agreed(where, ['laptop'], { [A]: login(1) })) as [Host];
      mkdirSync(join(laptop.stateDir, 'lock'));
      execFileSync('touch', ['-d', '1 minute ago', join(laptop.stateDir, 'lock')]);
      writeFileSync(join(laptop.stateDir, 'lock-owner.json'), text);
      await laptop.sync({ lockWaitMs: 1000 });
    },
  );
});

/** A process of its own that holds the host's lock. */
async function holder(host: Host): Promise<ChildProcess> {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = spawn(
    process.execPath,
    ['--import', tsx, join(import.meta.dirname, '..', 'holder.mts'), host.stateDir],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', (data: Buffer) =>
      String(data).startsWith('held') ? resolve() : reject(new Error(String(data))),
    );
    child.once('exit', () => reject(new Error('the holder ended')));
  });
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  await new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
}
