/** Stands in for `node:crypto` in the programs under test: hashes are real, what is random repeats with the seed. */
import { simulation } from '../machine/process.ts';

export { createHash } from 'node:crypto';

export function randomUUID(): string {
  return `00000000-0000-4000-8000-${hex(12)}`;
}

export function randomBytes(length: number): Buffer {
  return Buffer.from(hex(length * 2), 'hex');
}

function hex(digits: number): string {
  return (++simulation.counter).toString(16).padStart(digits, '0');
}
