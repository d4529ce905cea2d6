/** Stands in for `files/process.ts`: no proxy that talks to the store itself runs on these machines. */
import type { ProcessIdentity } from '../../../ts/src/files/process.ts';

export function identify(pid: number): ProcessIdentity {
  return { pid, started: '', realm: '' };
}

export function isAlive(): boolean {
  return false;
}
