/** A run that is asked to end (SIGTERM, as systemd does; SIGINT, as Ctrl-C does) at any moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { randomFrom } from '../support/random.ts';
import { expectConverged, expectWhole, makeChanges } from './changes.ts';
import { decent, inWorld, KINDS, postgresServer, sync, test, type World } from './world.ts';

/** So many a kind and signal; `SIGNALS=N` for more. */
const ROUNDS = Number(process.env.SIGNALS ?? 1);
/** `SIGNALS_SEED=N` for the same moments again. */
const SEED = Number(process.env.SIGNALS_SEED ?? Date.now() % 1_000_000);

describe.each([...KINDS, ...(postgresServer ? ['postgres' as const] : [])])(
  'told to end, with a store (%s)',
  (kind) => {
    test.for(['SIGTERM', 'SIGINT'] as const)(
      '%s at any moment loses nothing, and the next run converges',
      { timeout: 60_000 + ROUNDS * 30_000 },
      async (signal) => {
        const random = randomFrom(SEED);
        for (let round = 1; round <= ROUNDS; round++) {
          // From before the program is loaded to after its last write.
          const after = 20 + Math.floor(random() * 1_500);
          await inWorld(kind, (world) => ended(world, signal, after)).catch((error: unknown) => {
            throw new Error(`SIGNALS_SEED=${SEED}: ${signal} after ${after} ms, round ${round}`, {
              cause: error,
            });
          });
        }
      },
    );
  },
);

async function ended(world: World, signal: 'SIGTERM' | 'SIGINT', after: number): Promise<void> {
  const home = await world.home();
  const changes = await makeChanges(world, home);
  const running = world.start(home, 'cliproxyapi-sync', ['sync']);
  await Promise.race([sleep(after), running.ended]);
  running.kill(signal);
  const was = decent(await running.ended);
  // Whoever looks at a shell's or systemd's word for it is told the truth: done, or ended by that signal.
  if (was.signal !== null) expect(was.signal).toBe(signal);
  else expect([0, 75, 130, 143], was.stderr).toContain(was.code);
  await expectWhole(world, home, changes);
  const next = await sync(home);
  expect(next.code, next.stderr).toBe(0);
  await expectConverged(world, home, changes);
}
