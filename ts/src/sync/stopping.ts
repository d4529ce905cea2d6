/** Ending a run before it is done. */

/** Thrown inside a run to end it; what was done is in the base. */
export class Stopped extends Error {}

/**
 * Waits for a store no longer than the caller of the run can. It ends the wait, not the work: a request that is under
 * way may still arrive, and the next run finds what it did. Local work is never left in the middle so: nothing would
 * say what it still wrote, and the lock on this host would be gone.
 *
 * @throws Stopped once the signal is aborted.
 */
export async function untilAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Stopped('the time for this run is up'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
