import { type Lock, takeLock } from '../files/lock.ts';
import { openState, type State, unusable } from './state.ts';

export interface Scope {
  readonly stateDir: string;
  /** How long another run is waited for. Milliseconds. */
  readonly lockWaitMs: number;
  readonly dryRun: boolean;
}

/**
 * Does something with this host's state while no run does; in a dry run without the lock, and writing nothing.
 *
 * @returns Undefined if a run held the lock all the time.
 * @throws StateError if the state cannot be used.
 */
export async function exclusively<T>(
  { stateDir, lockWaitMs, dryRun }: Scope,
  work: (state: State, lock: Lock | undefined) => Promise<T>,
): Promise<T | undefined> {
  const state = await openState(stateDir, { readOnly: dryRun });
  const lock = dryRun
    ? undefined
    : await takeLock(stateDir, lockWaitMs).catch((error: unknown) => {
        throw unusable(`${stateDir}/lock`, error);
      });
  if (!dryRun && !lock) return undefined;
  try {
    return await work(state, lock);
  } finally {
    state.close();
    await lock?.release();
  }
}
