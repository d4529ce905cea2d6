/** What is taken out of history, and what never is: the real `run` on real files. */
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HistoryKeep } from '../../../ts/src/sync/rules/expendable.ts';
import { type Content, type Host, login, unreachable, type World, world } from '../world.ts';
import { A, DAY, key, restore, token, version } from './choosing.ts';

describe('Retention', () => {
  const KEEP: HistoryKeep = { versions: 2, days: 90 };

  /** Makes history look as old as it would be after so many days. */
  function age(where: World, days: number): void {
    const then = (Date.now() - days * DAY) / 1000;
    const folder = join(where.storePath, 'sync/history', A);
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), then, then);
  }
  /** As if this host had last pruned two days ago. */
  async function prunes(host: Host, historyKeep: HistoryKeep): Promise<void> {
    const path = join(host.stateDir, 'stores.json');
    const memories = JSON.parse(readFileSync(path, 'utf8'));
    for (const location of Object.keys(memories).filter((each) => each.startsWith('history of')))
      delete memories[location];
    memories[`history of ${host.storePath}`] = { prunedAt: Date.now() - 2 * DAY };
    writeFileSync(path, JSON.stringify(memories));
    await host.sync({ historyKeep });
  }
  const kept = (where: World) =>
    where.store
      .history(A)
      .map((content) => content.access_token ?? content.private_key)
      .sort();

  async function edits(where: World, host: Host, contents: readonly Content[]): Promise<void> {
    for (const content of contents) {
      host.put('auth', A, content);
      await host.sync();
      // Each a second after the one before: file systems tell.
      age(where, 0);
    }
  }

  test('takes out what is beyond both measures, once a day, and only after a run that did all it had to', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const hours = [1, 2, 3, 4, 5];
    for (const [index, hour] of hours.entries()) {
      laptop.put('auth', A, login(hour));
      await laptop.sync();
      const then = Date.now() / 1000 - (200 - index) * 86_400;
      for (const name of readdirSync(join(where.storePath, 'sync/history', A))) {
        const path = join(where.storePath, 'sync/history', A, name);
        if (name.startsWith(version(login(hour)).id)) utimesSync(path, then, then);
      }
    }
    laptop.put('auth', 'bad.json', '{');
    await laptop.run({ historyKeep: KEEP });
    expect(kept(where)).toHaveLength(5);
    laptop.remove('auth', 'bad.json');
    await laptop.run({ historyKeep: KEEP, dryRun: true });
    expect(kept(where)).toHaveLength(5);
    // It begins a day after this host first saw the store.
    await laptop.sync({ historyKeep: KEEP });
    expect(kept(where)).toHaveLength(5);
    await prunes(laptop, KEEP);
    expect(kept(where)).toEqual(['access-04', 'access-05']);

    await edits(where, laptop, [login(6), login(7)]);
    age(where, 100);
    await laptop.sync({ historyKeep: KEEP });
    expect(kept(where), 'the same day').toHaveLength(4);
  });

  test('what is younger stays, however much there is', async () => {
    const where = world();
    const laptop = where.host('laptop');
    await edits(
      where,
      laptop,
      [1, 2, 3, 4, 5].map((hour) => login(hour)),
    );
    age(where, 89);
    await prunes(laptop, KEEP);
    expect(kept(where)).toHaveLength(5);
  });

  test('what a place holds and what a tombstone names stays, however old', async () => {
    const where = world();
    const laptop = where.host('laptop');
    await edits(where, laptop, [login(1), login(2), login(3)]);
    laptop.put('auth', 'b.json', login(1));
    await laptop.sync();
    laptop.remove('auth', A);
    await laptop.sync();
    // What came into history last is not what the tombstone names.
    const late = where.host('late');
    late.put('auth', A, login(0));
    await late.sync();
    expect(kept(where)).toEqual(['access-00', 'access-01', 'access-02', 'access-03']);
    await prunes(laptop, { versions: 1, days: 0 });
    expect(kept(where)).toEqual(['access-00', 'access-03']);
    await restore(laptop, login(3));
    expect(token(laptop)).toBe('access-03');
  });

  test('a pruned version that comes back from an old disk does not win, not even one without dates', async () => {
    const where = world();
    const [laptop, server] = [where.host('laptop'), where.host('server')];
    const contents = ['k9', 'k8', 'k7', 'k6', 'k5', 'k1'].map(key);
    await edits(where, laptop, contents);
    await server.sync();
    age(where, 200);
    await prunes(laptop, { versions: 1, days: 90 });
    expect(kept(where)).toEqual(['k1']);
    for (const content of contents.slice(0, -1)) {
      // A host that knows nothing, with a file of long ago.
      const old = where.host(`old ${content.private_key}`);
      old.put('auth', A, content);
      await old.sync();
      expect(old.read('auth', A)?.private_key, `over ${content.private_key}`).toBe('k1');
    }
    server.put('auth', A, contents[0] ?? {});
    await server.sync();
    expect(server.read('auth', A)?.private_key).toBe('k1');
    expect(where.stored(`auths/${A}`)?.private_key).toBe('k1');
    // What lost is kept all the same, as long as anything.
    expect(kept(where)).toContain('k9');
    expect(existsSync(join(where.storePath, 'sync/tombstones', A))).toBe(false);
  });

  test('what this host kept itself goes by the same measure', async () => {
    const where = world();
    const laptop = where.host('laptop');
    laptop.put('auth', A, login(1));
    await laptop.sync();
    for (const hour of [2, 3, 4, 5]) {
      laptop.put('ccs', A, login(hour, { note: String(hour) }));
      laptop.put('auth', A, login(hour));
      await laptop.run({ through: unreachable });
    }
    const folder = join(laptop.stateDir, 'history', A);
    const before = readdirSync(folder).length;
    expect(before).toBeGreaterThan(3);
    const then = Date.now() / 1000 - 100 * 86_400;
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), then, then);
    // While there is something to do, nothing is pruned.
    await prunes(laptop, KEEP);
    expect(readdirSync(folder)).toHaveLength(before);
    await prunes(laptop, KEEP);
    expect(readdirSync(folder)).toHaveLength(2);
  });
});
