/** A process that takes the host's lock in the state directory that it is given, says so, and holds it until killed. */
import { takeLock } from '../../ts/src/files/lock.ts';

const lock = await takeLock(process.argv[2] ?? '', 30_000);
console.log(lock ? 'held' : 'refused');
setInterval(() => undefined, 1000);
