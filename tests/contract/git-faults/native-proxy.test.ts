/** The Git store: a proxy with its native store on. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { git, nativeWriter } from '../../support/git.ts';
import { config } from '../../support/git-world.ts';
import { create, credential, current, entry, named, readAll, versionIn } from '../vocabulary.ts';
import { prepared, world } from './git-store.ts';

describe('a proxy with its native store on', () => {
  test('takes turns with us: each sees what the other wrote, and nothing of either is lost', async () => {
    const { server } = await world.serve();
    const url = `${server.origin.replace('//', `//git:${server.token}@`)}/logins.git`;
    const store = await prepared();
    const proxy = await nativeWriter(join(world.home, 'proxy'), url, 'master');
    for (let turn = 0; turn < 3; turn++) {
      expect(await proxy.save('auths/native.json', credential(`native ${turn}`))).toBe(true);
      const listing = await store.list();
      expect(await readAll(store, [current('native.json')])).toMatchObject([
        { kind: 'object', bytes: new Uint8Array(credential(`native ${turn}`)) },
      ]);
      const seen = listing.current.get('ours.json')?.tag;
      const backup = listing.backup.get('ours.json')?.tag;
      const bytes = credential(`ours ${turn}`);
      const change = create('ours.json', bytes, seen);
      const put = { kind: 'put', bytes, seen: backup } as const;
      expect(await store.commit([{ ...change, backup: put }])).toMatchObject([{ kind: 'done' }]);
    }
    expect(world.outside.files('master')).toEqual([
      'auths/.gitkeep',
      'auths/native.json',
      'auths/ours.json',
      'config/.gitkeep',
    ]);
  });

  test('writes at the same time: nothing is overwritten that was not seen, and every version that we replaced is kept', async () => {
    const store = await prepared();
    // Before the first of the writes that are counted, so that none of those is the oldest line.
    config(world, 'core.logAllRefUpdates', 'always');
    await store.commit([create('shared.json', credential('start'))]);
    const proxy = await nativeWriter(join(world.home, 'proxy'), world.path, 'master');
    let theirs = 0;
    let ours = 0;
    const until = Date.now() + 40_000;
    const isDone = () => (theirs > 2 && ours > 2) || Date.now() > until;
    await Promise.all([
      (async () => {
        for (let round = 0; !isDone(); round++) {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 500));
          if (await proxy.save('auths/shared.json', credential(`native ${round}`))) theirs++;
        }
      })(),
      (async () => {
        for (let round = 0; !isDone(); round++) {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_000));
          const seen = (await store.list()).current.get('shared.json')?.tag;
          const [answer] = await readAll(store, [current('shared.json')]);
          if (answer?.kind !== 'object') throw new Error(`it is ${answer?.kind}`);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
          const bytes = credential(`ours ${round}`);
          const keep = [entry(answer.bytes), entry(bytes)];
          const [outcome] = await store.commit([
            { name: named('shared.json'), keep, current: { kind: 'put', bytes, seen } },
          ]);
          if (outcome?.kind === 'done') ours++;
          else expect(outcome).toEqual({ kind: 'lost', step: 'current' });
        }
      })(),
    ]);
    expect([theirs > 0, ours > 0]).toEqual([true, true]);
    // All that the branch ever was, the newest first.
    const log = git(world.path, ['log', '--walk-reflogs', '--format=%H %s', 'master'])
      .toString()
      .trim()
      .split('\n');
    const contents = log.map((line) => git(world.path, ['show', `${line.slice(0, 40)}:auths/shared.json`]));
    const kept = new Set((await store.history()).map(({ id }) => id));
    let replaced = 0;
    for (const [index, line] of log.slice(0, -1).entries()) {
      if (!line.endsWith(' Sync auth shared.json')) continue;
      replaced++;
      expect(kept).toContain(versionIn(contents[index + 1] ?? Buffer.alloc(0)));
    }
    expect(replaced).toBe(ours);
  });
});
