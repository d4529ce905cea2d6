import { loadSearch } from './bundle.ts';
const s = await loadSearch();
const story = {hosts:[{ccs:true},{ccs:false}],credentials:0,agreed:false,conditions:true,tags:'content',steps:[
 {kind:'login',host:0,name:0,dates:'none'},
 {kind:'runs',runs:[{host:0,command:'sync',faults:[],interrupts:[]}],seed:0},
 {kind:'runs',seed:0,runs:[{host:1,command:'sync',faults:[],interrupts:[]},{host:0,command:'sync',faults:[],interrupts:[
   {at:1,happening:{kind:'native write',host:0,name:0,how:'new'}},{at:2,happening:{kind:'rotate',host:0,name:0,place:'auth'}},{at:12,happening:{kind:'pause',host:0,name:0}}]}]},
]};
// seed 0 in 'runs' of two is in turns
try { await s.play(story as never, s.newFigures(), process.env.T ? console.log : undefined); console.log('fine'); } catch (e) { console.log(String(e).slice(0,400)); }
