import { start } from './start-up.ts';

await start('hydrate');
