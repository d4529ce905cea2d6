import { start } from './start-up.ts';

await start('cliproxyapi-sync');
