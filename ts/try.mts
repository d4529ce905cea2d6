import { startSeaweedFs, findWeed } from '../tests/support/seaweedfs.ts';
import { s3Store } from './src/stores/s3/store.ts';
import { readFileSync } from 'node:fs';
const s = await startSeaweedFs(findWeed()!);
try {
for (let i=0;i<6;i++){
const mem: Record<string, unknown> = {};
const memory = { read: () => mem, write: async (e: object) => { Object.assign(mem, e); } };
const store = s3Store({ endpoint: s.endpoint, bucket: 'test-'+i, ...s.admin }, memory);
let t=Date.now();
await store.prepare({ id: 'abc', format: 1 }); console.log('prepare', Date.now()-t);
t=Date.now();
await store.commit([{name:'a.json' as any, keep:[], current:{kind:'put',bytes:Buffer.from('1'),seen:undefined}}]);
console.log('commit', Date.now()-t);
}
await new Promise(r=>setTimeout(r,500));
const log = readFileSync(process.env.LOGF ?? '/dev/null','utf8');
} finally { if (process.env.KEEP) await import('node:child_process').then(c=>console.log(c.execSync('tail -60 /tmp/seaweedfs-*/log').toString())); await s.stop(); }
