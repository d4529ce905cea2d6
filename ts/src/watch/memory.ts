import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Milliseconds after the last work. V8 shrinks its heap only once it has seen that little is allocated, and a part of
 * it at a time.
 */
const REST_MS = [5_000, 10_000, 15_000] as const;

/**
 * Gives memory back that a run took, once there has been rest for a while: V8 collects when it needs room, which a
 * process that waits never does, and so keeps for weeks what one run left behind.
 *
 * @returns To be called after each work.
 */
export function memoryKeeper(): () => void {
  // V8's compilers for code that runs often take up to 10 MB, and what waits for a disk and a network gains nothing
  // by them.
  for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug']) setFlagsFromString(flag);
  let isPlanned = false;
  let collect: (() => void) | undefined;
  return () => {
    // Work that comes again and again does not put it off.
    if (isPlanned) return;
    isPlanned = true;
    for (const [index, ms] of REST_MS.entries()) {
      setTimeout(() => {
        collect ??= collector();
        collect();
        if (index === REST_MS.length - 1) isPlanned = false;
      }, ms).unref();
    }
  };
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return typeof gc === 'function' ? () => void Reflect.apply(gc, undefined, []) : () => undefined;
}
