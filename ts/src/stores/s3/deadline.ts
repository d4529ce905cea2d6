/**
 * Runs one operation with a time limit over all that it does. What it started is told through the signal, and
 * not waited for: a server that ignores everything holds nobody up.
 *
 * @throws An error named `TimeoutError` after `ms` milliseconds.
 */
export async function withDeadline<T>(ms: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error(`no complete answer within ${ms / 1000} s`), { name: 'TimeoutError' }));
      controller.abort();
    }, ms);
  });
  try {
    return await Promise.race([run(controller.signal), expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for half to all of `ms` milliseconds, so that hosts that failed together do not try again together. */
export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random() / 2)));
}
