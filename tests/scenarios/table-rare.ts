/**
 * The rarer cases of the table, each of which tells two rules apart that the others do not. `make mutation` finds
 * where one is missing. Read as those in `table.ts`.
 */
import type { Case } from './table.ts';
import {
  type Expectation,
  everywhere,
  fewHoursAhead,
  invalid,
  native,
  type Setup,
  serviceKey,
  v1,
  v1deviceA,
  v1deviceB,
  v1disabled,
  v1noted,
  v2,
  v3,
  v4,
} from './vocabulary.ts';

const asked: Case[] = [
  {
    section: 'History is asked',
    case: 'before an edit is undone: another host may have replaced what it was before',
    base: { agreed: v1disabled },
    places: { ...everywhere(v1disabled), auth: v1 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'History is asked',
    case: 'before a fresher file is taken from a re-made L, where nothing tells since when it is there',
    base: { agreed: v1 },
    without: { auth: 'first join' },
    places: { ...everywhere(v1), auth: v2 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'History is asked',
    case: 'though C, which was not re-made, has the same',
    base: { agreed: v1 },
    without: { auth: 'first join' },
    places: { ...everywhere(v1), auth: v2, ccs: v2 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'History is asked',
    case: 'before a fresher version is taken that a native proxy wrote to S',
    base: { agreed: v1 },
    places: { ...everywhere(v1), store: native(v2) },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'History is asked',
    case: 'though the proxy of this host is the one that wrote it',
    base: { agreed: v1 },
    places: { ...everywhere(v1), auth: v2, store: native(v2) },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'History is asked',
    case: 'where L cannot be read and no other place has it any more',
    base: { agreed: v1 },
    without: { ccs: 'off' },
    places: { auth: 'unreadable' },
    others: { 'b.json': { base: { agreed: v2 }, places: everywhere(v2) } },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'History is asked',
    case: 'where all that is left was replaced once',
    base: { superseded: [v1] },
    places: { auth: v1 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'History is asked',
    case: 'where every place was rolled back to a version that was replaced',
    base: { agreed: v2, superseded: [v1] },
    places: everywhere(v1),
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'History is not asked',
    case: 'about what was deleted in L, though C has it paused and nobody has it any more',
    base: { agreed: v1 },
    places: { ccs: 'paused' },
    expect: { decision: 'delete', actions: ['bury v1'] },
  },
];

/** v1 was current, then v2, then v1 again. */
const EACH_REPLACED_THE_OTHER = [
  { version: v2, replaces: [v1] },
  { version: v1, replaces: [v2], arrived: 1 },
];

const healed: Case[] = [
  {
    section: 'Healing',
    case: 'L cannot be read and no other place has it any more: put back into S from history',
    base: { agreed: v1 },
    without: { ccs: 'off' },
    places: { auth: 'unreadable' },
    history: [{ version: v1 }],
    expect: { decision: 'spread', winner: v1, actions: ['write store', 'write backup'] },
  },
  {
    section: 'Healing',
    case: 'every place was rolled back to a version that was replaced: what replaced it comes from history',
    base: { agreed: v2, superseded: [v1] },
    places: everywhere(v1),
    history: [{ version: v1 }, { version: v2, replaces: [v1], arrived: 1 }],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['write store', 'write backup', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Healing',
    case: 'garbage in S and B, nothing in L: what was agreed, not what was noted in history later and never written',
    base: { agreed: v1, at: { auth: 'none', ccs: 'none' } },
    places: { store: invalid('<html>'), backup: invalid('<html>') },
    history: [
      { version: v1, arrived: 1 },
      { version: v2, arrived: 2 },
    ],
    expect: {
      decision: 'spread',
      winner: v1,
      actions: [
        'keep aside "<html>" in history',
        'keep aside "<html>" in history',
        'write store',
        'write backup',
        'write auth',
        'write ccs',
      ],
    },
  },
  {
    section: 'Healing',
    case: 'garbage in S, and a new host: of two that history knows nothing more of, what arrived last',
    places: { store: invalid('<html>') },
    history: [
      { version: v1, arrived: 1 },
      { version: v2, arrived: 2 },
    ],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep aside "<html>" in history', 'write store', 'write backup', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Healing',
    case: 'an old file was put back in L, and what was agreed is gone everywhere: it comes from history',
    without: { ccs: 'off' },
    base: { agreed: v3 },
    places: { auth: v2 },
    history: [{ version: v3 }],
    expect: {
      decision: 'spread',
      winner: v3,
      actions: ['keep v2 in history', 'write store', 'write backup', 'write auth'],
    },
  },
  {
    section: 'Healing',
    case: 'the same without history: the old file is better than one that was replaced, whatever the dates say',
    base: { agreed: v3, superseded: [fewHoursAhead] },
    places: { auth: v2, ccs: fewHoursAhead },
    history: [],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Healing',
    case: 'all that is left was replaced once, and history has nothing: it is better than nothing',
    base: { superseded: [v1] },
    places: { auth: v1 },
    history: [],
    expect: { decision: 'spread', winner: v1, actions: ['write store', 'write backup', 'write ccs'] },
  },
  {
    section: 'Healing',
    case: 'each replaced the other once: what a person put back into S after the deletion, not what was deleted',
    base: { agreed: v2 },
    places: { ...everywhere(v2), store: v1, backup: v1 },
    history: EACH_REPLACED_THE_OTHER,
    expect: { decision: 'spread', winner: v1, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Healing',
    case: 'each replaced the other once, and a native proxy wrote the older one to S: the fresher one',
    base: { agreed: v2 },
    places: { ...everywhere(v2), store: native(v1) },
    history: EACH_REPLACED_THE_OTHER,
    expect: { decision: 'spread', winner: v2, actions: ['write store'] },
  },
  {
    section: 'Healing',
    case: 'each replaced the other once, and this host agreed on neither: what one of our programs made current in S',
    base: { superseded: [v1, v2] },
    places: { ...everywhere(v2), store: v1, backup: v1 },
    history: EACH_REPLACED_THE_OTHER,
    expect: { decision: 'spread', winner: v1, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Healing',
    case: 'all that is left was replaced, and what replaced it is nowhere: the fresher one, not the one in S',
    base: { agreed: v3, superseded: [v1, v2] },
    places: { ...everywhere(v2), store: v1 },
    history: [],
    expect: { decision: 'spread', winner: v2, actions: ['write store'] },
  },
  {
    section: 'Healing',
    case: 'hydrate took what S holds, and what was agreed is nowhere: that again, not what lies beside it in B',
    base: { agreed: v2, at: { ccs: 'none', store: v1noted } },
    places: { auth: v1noted, ccs: v1noted, store: v1noted, backup: v1 },
    history: [],
    command: 'hydrate',
    expect: { decision: 'spread', winner: v1noted, actions: [], pending: ['backup'] },
  },
  {
    section: 'Healing',
    case: 'each replaced the other once, and L has an old file that nothing replaced: that one',
    base: { agreed: v3 },
    places: { ...everywhere(v3), auth: v2, store: v1 },
    history: [
      { version: v3, replaces: [v1] },
      { version: v1, replaces: [v3], arrived: 1 },
    ],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'write store', 'write backup', 'write ccs'],
    },
  },
];

const chosen: Case[] = [
  {
    section: 'Replaced, and chosen again',
    case: 'another host put back into S what this one had replaced, each for its own reasons: what arrived last counts',
    base: { agreed: v1deviceB, superseded: [v1deviceA] },
    places: { ...everywhere(v1deviceB), store: v1deviceA, backup: v1deviceA },
    history: [{ version: v1deviceA }, { version: v1deviceB, replaces: [v1deviceA] }],
    expect: { decision: 'spread', winner: v1deviceA, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Replaced, and chosen again',
    case: 'a native proxy did, which does not know what it replaced: put right',
    base: { agreed: v1deviceB, superseded: [v1deviceA] },
    places: { ...everywhere(v1deviceB), store: native(v1deviceA) },
    expect: { decision: 'spread', winner: v1deviceB, actions: ['write store'] },
  },
  {
    section: 'Replaced, and chosen again',
    case: 'somebody copied an old object with its record back into S: less fresh, and put right',
    base: { agreed: v2, superseded: [v1] },
    places: { ...everywhere(v2), store: v1 },
    history: [{ version: v1 }, { version: v2, replaces: [v1], arrived: 1 }],
    expect: { decision: 'spread', winner: v2, actions: ['write store'] },
  },
  {
    section: 'Replaced, and chosen again',
    case: 'whether that was a person, after the deletion of what replaced it, is asked of history',
    base: { agreed: v2, superseded: [v1] },
    places: { ...everywhere(v2), store: v1 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'Replaced, and chosen again',
    case: 'a native proxy wrote an old one back to S: less fresh, and put right without a question',
    base: { agreed: v2, superseded: [v1] },
    places: { ...everywhere(v2), store: native(v1) },
    expect: { decision: 'spread', winner: v2, actions: ['write store'] },
  },
];

const leftBehind: Case[] = [
  {
    section: 'A place that was left behind',
    case: 'C could not be written last time and holds what it held: no change of it; it gets the present one',
    base: { agreed: v2, at: { ccs: v1noted } },
    places: { ...everywhere(v2), ccs: v1noted },
    expect: { decision: 'spread', winner: v2, actions: ['keep v1noted in history', 'write ccs'] },
  },
  {
    section: 'A place that was left behind',
    case: 'its file is copied into L: that is an old file put back',
    base: { agreed: v2, at: { ccs: v1noted } },
    places: { ...everywhere(v2), auth: v1noted, ccs: v1noted },
    history: [{ version: v2 }],
    expect: {
      decision: 'spread',
      winner: v2,
      stale: true,
      actions: ['keep v1noted in history', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'A place that was left behind',
    case: 'L could not be written, and what it holds was dated by a clock ahead: what was agreed counts',
    base: { agreed: v4, at: { auth: fewHoursAhead } },
    places: { ...everywhere(v4), auth: fewHoursAhead },
    expect: { decision: 'spread', winner: v4, actions: ['keep fewHoursAhead in history', 'write auth'] },
  },
  {
    section: 'A place that was left behind',
    case: 'an old file is put back in L while another host refreshes: the refresh, and both are said',
    base: { agreed: v2 },
    places: { auth: v1, ccs: v2, store: v3, backup: v3 },
    history: [{ version: v2 }, { version: v3, replaces: [v2] }],
    expect: {
      decision: 'spread',
      winner: v3,
      stale: true,
      conflict: true,
      actions: ['keep v1 in history', 'write auth', 'write ccs'],
    },
  },
];

const logins: Case[] = [
  {
    section: 'Logged in again',
    case: 'deleted here and there, and logged in again on a third host: lives, and comes here',
    base: { agreed: v1 },
    tombstone: v1,
    places: { store: v2, backup: v2 },
    history: [{ version: v1 }, { version: v2, replaces: [v1] }],
    expect: { decision: 'spread', winner: v2, actions: ['unbury', 'write auth', 'write ccs'] },
  },
  {
    section: 'Logged in again',
    case: 'in L and, older, in C; killed before T was ended, and the file in L deleted: the one in C keeps it alive',
    base: { buried: { deleted: v1 }, intent: { version: v3, held: ['auth'], supersedes: [v1] } },
    tombstone: v1,
    places: { ccs: v2, store: v3, backup: v3 },
    history: [{ version: v1 }, { version: v3, replaces: [v1] }],
    expect: {
      decision: 'spread',
      winner: v3,
      conflict: true,
      actions: ['keep v2 in history', 'unbury', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Logged in again',
    case: 'in L and C at once, after a deletion that is over: both are looked at',
    base: { superseded: [v1] },
    places: { auth: v2, ccs: v3 },
    history: [],
    expect: {
      decision: 'spread',
      winner: v3,
      conflict: true,
      actions: ['keep v2 in history', 'keep v3 in history', 'write store', 'write backup', 'write auth'],
    },
  },
  {
    section: 'Logged in again',
    case: 'the same service-account key, imported on another host, which ended T: it comes back here too',
    base: { superseded: [serviceKey], buried: { deleted: serviceKey } },
    places: { store: serviceKey, backup: serviceKey },
    history: [{ version: serviceKey }],
    expect: { decision: 'spread', winner: serviceKey, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Logged in again',
    case: 'in L while the store cannot be reached, and C has the deleted file back: the login spreads',
    without: { remote: 'failed' },
    base: { superseded: [v1], buried: { deleted: v1, clearedSecondsAgo: 20 } },
    places: { auth: v2, ccs: v1 },
    expect: { decision: 'spread', winner: v2, actions: ['write ccs'], pending: ['store', 'backup'] },
  },
];

const files: Case[] = [
  {
    section: 'Other files',
    case: 'deleted in L while S holds garbage: the garbage is kept aside and goes too',
    base: { agreed: v1 },
    places: { ccs: v1, store: invalid('<html>'), backup: v1 },
    expect: {
      decision: 'delete',
      actions: ['keep aside "<html>" in history', 'bury v1', 'remove store', 'remove backup', 'remove ccs'],
    },
  },
  {
    section: 'Other files',
    case: 'deleted in L while a file in C is half-written: that is left alone',
    base: { agreed: v1 },
    places: { ccs: invalid('{', 120), store: v1, backup: v1 },
    expect: { decision: 'delete', actions: ['bury v1', 'remove store', 'remove backup'] },
  },
  {
    section: 'Other files',
    case: 'garbage in L that has stood for just a minute is left alone',
    base: { agreed: v1 },
    places: { ...everywhere(v1), auth: invalid('', 60) },
    expect: { decision: 'spread', winner: v1, actions: [] },
  },
  {
    section: 'Other files',
    case: 'hydrate keeps nothing of what S holds in its stead, since it replaces nothing there',
    command: 'hydrate',
    places: { auth: v2, store: native(v1), backup: native(v1) },
    history: [],
    expect: {
      decision: 'spread',
      winner: v2,
      conflict: true,
      actions: ['write ccs'],
      pending: ['store', 'backup'],
    },
  },
];

const named = (...all: readonly (readonly [string, Setup])[]) => Object.fromEntries(all);
const intact: Setup = { base: { agreed: v1 }, places: everywhere(v1) };
const deletedHere: Setup = { base: { agreed: v1 }, places: { ccs: v1, store: v1, backup: v1 } };
const deletedElsewhere: Setup = { base: { agreed: v1 }, tombstone: v1 };
const putBack: Expectation = { decision: 'spread', winner: v1, actions: ['write auth'] };
const deleted: Expectation = {
  decision: 'delete',
  actions: ['bury v1', 'remove store', 'remove backup', 'remove ccs'],
};

const guard: Case[] = [
  {
    section: 'Guard, what counts',
    case: 'what others deleted and is gone here already is no deletion of this run',
    others: named(['a.json', deletedElsewhere], ['b.json', deletedElsewhere], ['c.json', intact]),
    expect: { 'a.json': { decision: 'delete', actions: [] }, 'c.json': { ...putBack, actions: [] } },
  },
  {
    section: 'Guard, what counts',
    case: 'names that were deleted long ago are no credentials that are left',
    others: named(
      ['a.json', deletedHere],
      ['b.json', deletedHere],
      ['c.json', intact],
      ['old1.json', { tombstone: v1 }],
      ['old2.json', { tombstone: v1 }],
    ),
    guarded: ['a.json', 'b.json'],
    expect: { 'a.json': putBack, 'b.json': putBack, 'old1.json': { decision: 'delete', actions: [] } },
  },
  {
    section: 'Guard, what counts',
    case: 'one that no place can read is a credential all the same',
    others: named(
      ['a.json', deletedHere],
      ['b.json', deletedHere],
      ['c.json', { base: { agreed: v1 }, places: everywhere('unreadable'), history: [{ version: v1 }] }],
      ['d.json', { base: { agreed: v1 }, places: everywhere('unreadable'), history: [{ version: v1 }] }],
    ),
    expect: { 'a.json': deleted, 'b.json': deleted, 'c.json': { ...putBack, actions: [] } },
  },
  {
    section: 'Guard, what counts',
    case: 'a new login is one too',
    others: named(
      ['a.json', deletedHere],
      ['b.json', deletedHere],
      ['c.json', { places: everywhere(v1) }],
      ['d.json', { places: everywhere(v1) }],
    ),
    expect: { 'a.json': deleted, 'b.json': deleted },
  },
  {
    section: 'Guard, what counts',
    case: 'L emptied while an old file was put back in C: what was agreed is put back, not that',
    others: named(
      ...['a.json', 'b.json'].map(
        (name) =>
          [
            name,
            { base: { agreed: v3 }, places: { ccs: v2, store: v3, backup: v3 }, history: [{ version: v3 }] },
          ] as const,
      ),
    ),
    guarded: ['a.json', 'b.json'],
    expect: {
      'a.json': {
        decision: 'spread',
        winner: v3,
        actions: ['keep v2 in history', 'write auth', 'write ccs'],
      },
    },
  },
];

export const rare: readonly Case[] = [
  ...asked,
  ...healed,
  ...chosen,
  ...leftBehind,
  ...logins,
  ...files,
  ...guard,
];
