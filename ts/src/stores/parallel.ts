/**
 * Runs `run` over all items, at most `limit` at a time. After the first failure no further item is begun; those
 * under way are waited for, and the failure is thrown.
 */
export async function forEachParallel<T>(
  items: readonly T[],
  limit: number,
  run: (item: T, index: number) => Promise<void>,
): Promise<void> {
  // One iterator for all: each takes the next.
  const queue = items.entries();
  const failures: unknown[] = [];
  async function work(): Promise<void> {
    for (const [index, item] of queue) {
      if (failures.length > 0) return;
      try {
        await run(item, index);
      } catch (error) {
        failures.push(error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  if (failures.length > 0) throw failures[0];
}
