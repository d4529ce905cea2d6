/** Stands in for `node:timers/promises` in the programs under test: virtual time. */
export { sleep as setTimeout } from '../machine/process.ts';
