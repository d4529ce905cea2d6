import { loadSearch } from './bundle.ts';
const s = await loadSearch();
const f = s.newFigures();
const t = Date.now();
const seed = Number(process.argv[2] ?? 1), n = Number(process.argv[3] ?? 100);
const found = await s.search(seed, n, f);
const sec = (Date.now()-t)/1000;
console.log(f, sec, 's', Math.round(f.steps/sec), 'steps/s');
if (found) { console.log(found.words); console.log(found.message); if (process.argv[4]) { try { await s.play(found.story, f, console.log) } catch(e) { console.log(String(e)) } } }
