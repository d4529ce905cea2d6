/** Real files, `run` over several hosts' folders and one store: all places and hosts come to hold the same. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Content, fingerprint, type Host, login, world } from '../world.ts';
import { A, agreed, settle } from './rounds.ts';

describe('Convergence', () => {
  test('L full, S empty, twice: byte for byte everywhere; the second run writes nothing, anywhere', async () => {
    const where = world();
    const laptop = where.host('laptop');
    laptop.put(
      'auth',
      A,
      `\ufeff{\r\n  "type": "claude",\r\n  "zeta": 1, "alpha": {"b": 1, "a": 2}\r\n}\r\n`,
    );
    laptop.put('auth', 'team/b.json', login(1));
    await laptop.sync();
    const bytes = readFileSync(join(laptop.directories.auth, A));
    for (const path of [
      join(laptop.directories.ccs, A),
      join(where.storePath, 'auths', A),
      join(where.storePath, 'backup/auths', A),
    ]) {
      expect(readFileSync(path)).toEqual(bytes);
    }
    // The CCS dir is flat.
    expect(laptop.names('ccs')).toEqual([A]);
    const before = fingerprint(where.root).filter((line) => !/lock(-owner.json)? |state \d/.test(line));
    const report = await laptop.sync();
    expect(report.results).toEqual([]);
    const after = fingerprint(where.root).filter((line) => !/lock(-owner.json)? |state \d/.test(line));
    expect(after).toEqual(before);
  });

  test('files that we write are for their owner alone', async () => {
    const where = world();
    const [, server] = await agreed(where, ['laptop', 'server'], { [A]: login(1) });
    expect(statSync(join(server?.directories.auth ?? '', A)).mode & 0o777).toBe(0o600);
    expect(statSync(join(where.storePath, 'auths', A)).mode & 0o777).toBe(0o600);
  });

  test('first join: the union, nothing deleted', async () => {
    const where = world();
    const laptop = where.host('laptop');
    const server = where.host('server');
    laptop.put('auth', A, login(1));
    server.put('ccs', 'b.json', login(2));
    await settle(where, [laptop, server]);
    expect(where.store.names('auths')).toEqual([A, 'b.json']);
  });

  test('the same version on both sides, unknown to the base: no write, no conflict; a later deletion propagates', async () => {
    const where = world();
    const laptop = where.host('laptop');
    for (const name of [A, 'b.json']) {
      for (const place of ['auth', 'ccs'] as const) laptop.put(place, name, login(1));
      for (const area of ['auths', 'backup/auths'] as const) where.store.put(area, name, login(1));
    }
    expect((await laptop.sync()).results).toEqual([]);
    laptop.remove('auth', A);
    await laptop.sync();
    expect(laptop.names('ccs')).toEqual(['b.json']);
    expect(where.store.names('auths')).toEqual(['b.json']);
  });

  test('a token rotated with the same size in the same second is detected', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], { [A]: login(1) })) as [Host, Host];
    const { mtime, size } = statSync(join(laptop.directories.auth, A));
    laptop.put('auth', A, login(2));
    const path = join(laptop.directories.auth, A);
    execFileSync('touch', ['-d', mtime.toISOString(), path]);
    expect(statSync(path).size).toBe(size);
    expect(Math.trunc(statSync(path).mtimeMs / 1000)).toBe(Math.trunc(mtime.getTime() / 1000));
    await settle(where, [laptop, server]);
    expect(server.read('ccs', A)).toEqual(login(2));
  });

  test.each([1, 2, 3])(
    'three hosts, random edits, rounds in any order: all equal, nothing lost (%i)',
    async (seed) => {
      const where = world();
      const hosts = await agreed(where, ['laptop', 'server', 'desktop'], {
        [A]: login(1),
        'b.json': login(1),
        'c.json': login(1),
      });
      const random = generator(seed);
      const written = new Map<string, Content>();
      for (let step = 0; step < 15; step++) {
        const host = hosts[random(3)] as Host;
        const name = [A, 'b.json', 'c.json', `new${random(3)}.json`][random(4)] as string;
        const content = login(2 + random(20), random(2) === 0 ? { [`by_${host.name}`]: step } : {});
        host.put(random(2) === 0 ? 'auth' : 'ccs', name, content);
        written.set(`${name} ${content.access_token}`, content);
        if (random(3) > 0) await (hosts[random(3)] as Host).sync();
      }
      await settle(where, hosts);
      for (const name of where.store.names('auths')) {
        const current = where.stored(`auths/${name}`);
        const kept = where.store.history(name).map(({ access_token }) => access_token);
        // A file that was edited again before any run saw it is in no place to be kept.
        expect(kept).toContain(current?.access_token);
      }
      expect(written.size).toBeGreaterThan(0);
    },
  );

  test('1,001 credentials: complete on both hosts', async () => {
    const where = world();
    const laptop = where.host('laptop', { ccs: false });
    const server = where.host('server', { ccs: false });
    for (let index = 0; index < 1001; index++) laptop.put('auth', `n${index}.json`, login(1, { index }));
    await laptop.sync();
    await server.sync();
    expect(where.store.names('auths')).toHaveLength(1001);
    expect(server.names('auth')).toHaveLength(1001);
  });

  test('--dry-run changes nothing, state included, and its plan is the one that then runs', async () => {
    const where = world();
    const [laptop, server] = (await agreed(where, ['laptop', 'server'], {
      [A]: login(1),
      'b.json': login(1),
      'c.json': login(1),
    })) as [Host, Host];
    server.put('auth', A, login(2));
    await server.sync();
    laptop.put('auth', A, login(3, { note: 'mine' }));
    laptop.remove('auth', 'b.json');
    laptop.put('ccs', 'd.json', login(1));
    const before = fingerprint(where.root);
    const dry = await laptop.run({ dryRun: true });
    expect(fingerprint(where.root)).toEqual(before);
    const real = await laptop.sync();
    const words = ({ results }: typeof dry) =>
      results
        .map(
          ({ plan }) =>
            `${plan.name}: ${plan.decision.kind} ${plan.actions.map((action) => `${action.kind} ${'place' in action ? action.place : ''}`).join(', ')}`,
        )
        .sort();
    expect(words(dry)).toEqual(words(real));
    expect(words(dry)).toHaveLength(3);
  });

  test('a dry run on a host that never ran makes neither state nor store', async () => {
    const where = world();
    const laptop = where.host('laptop');
    laptop.put('auth', A, login(1));
    const before = fingerprint(where.root);
    await laptop.run({ dryRun: true });
    expect(fingerprint(where.root)).toEqual(before);
  });
});

/** Whole numbers below a limit, the same for the same seed. */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
}
