/**
 * Stands in for `files/lock.ts`: one process at a time in a directory, and the lock of a killed one is taken over at
 * once. The real one has tests of its own, on real processes.
 */
import { simulation, sleep, turn } from '../machine/process.ts';

const RETRY_MS = 100;

export async function takeLock(directory: string, waitMs: number) {
  const process = simulation.current;
  if (!process) throw new Error('a lock was asked for outside of any process');
  const { locks } = process.machine;
  const deadline = Date.now() + waitMs;
  for (;;) {
    const taken = await turn(`take the lock of ${directory}`, true, () => {
      const holder = locks.get(directory);
      if (holder && !holder.dead) return false;
      locks.set(directory, process);
      return true;
    });
    if (taken) break;
    if (Date.now() >= deadline) return undefined;
    await sleep(RETRY_MS);
  }
  const isHeld = () => locks.get(directory) === process;
  return {
    isHeld,
    release: () =>
      turn(`give back the lock of ${directory}`, true, () => {
        if (isHeld()) locks.delete(directory);
      }),
  };
}
