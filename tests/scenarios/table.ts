/**
 * What must hold, case by case, as far as the planner decides it. Read a case as: the host last agreed on `base`;
 * now the places hold this; then that is done. `L` auth dir, `C` CCS dir, `S` store, `B` backup copy, `T` tombstone.
 *
 * To add one, write down what the places hold and what you expect; the words are in `vocabulary.ts`.
 */
import { rare } from './table-rare.ts';
import {
  cameBack,
  type Expectation,
  edited,
  everywhere,
  fewHoursAhead,
  garbledDate,
  HOUR,
  invalid,
  NOW,
  nameOf,
  native,
  nextYear,
  otherServiceKey,
  refreshed,
  type Setup,
  serviceKey,
  undated,
  unread,
  v1,
  v1deviceA,
  v1deviceB,
  v1disabled,
  v1noted,
  v2,
  v2disabled,
  v3,
  v4,
  type World,
} from './vocabulary.ts';

export interface Case extends World {
  readonly section: string;
  readonly case: string;
  /** What becomes of `a.json`, and of others that are named. */
  readonly expect: Expectation | Readonly<Record<string, Expectation>>;
  /** The credentials that the guard keeps. */
  readonly guarded?: readonly string[];
}

const nothingToDo = (winner: typeof v1): Expectation => ({ decision: 'spread', winner, actions: [] });
/** The higher id of two: what every host picks of equally fresh ones. */
const higher = (a: typeof v1, b: typeof v1) => (a.id > b.id ? a : b);
const lower = (a: typeof v1, b: typeof v1) => (a.id > b.id ? b : a);
const kept = (version: typeof v1) => `keep ${nameOf(version)} in history`;

const convergence: Case[] = [
  {
    section: 'Convergence',
    case: 'L full, S empty: it goes everywhere, into history first, the store before the CCS dir',
    places: { auth: v1 },
    expect: {
      decision: 'spread',
      winner: v1,
      actions: ['keep v1 in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Convergence',
    case: 'the second run writes nothing',
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: nothingToDo(v1),
  },
  {
    section: 'Convergence',
    case: 'first join, L and S differ in names: union, nothing deleted',
    without: { auth: 'first join', ccs: 'first join' },
    others: { 'mine.json': { places: { auth: v1 } }, 'theirs.json': { places: { store: v2, backup: v2 } } },
    expect: {
      'mine.json': {
        decision: 'spread',
        winner: v1,
        actions: ['keep v1 in history', 'write store', 'write backup', 'write ccs'],
      },
      'theirs.json': { decision: 'spread', winner: v2, actions: ['write auth', 'write ccs'] },
    },
  },
  {
    section: 'Convergence',
    case: 'the same version on both sides, unknown to the base: recorded, no write, no conflict',
    places: everywhere(v1),
    expect: nothingToDo(v1),
  },
  {
    section: 'Convergence',
    case: 'token rotated: the new one everywhere; the old one is in history already',
    base: { agreed: v1 },
    places: { auth: v2, ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Convergence',
    case: 'token made in C only: reaches L, S, B',
    places: { ccs: v1 },
    expect: {
      decision: 'spread',
      winner: v1,
      actions: ['keep v1 in history', 'write store', 'write backup', 'write auth'],
    },
  },
  {
    section: 'Convergence',
    case: 'token rotated on another host: reaches L and C, and history is not asked',
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1, store: v2, backup: v2 },
    expect: { decision: 'spread', winner: v2, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Convergence',
    case: 'CCS is off: it goes to the other places',
    without: { ccs: 'off' },
    places: { auth: v1 },
    expect: {
      decision: 'spread',
      winner: v1,
      actions: ['keep v1 in history', 'write store', 'write backup'],
    },
  },
];

const conflicts: Case[] = [
  {
    section: 'Conflicts',
    case: 'L and S both changed: history is asked before one is taken',
    base: { agreed: v1 },
    places: { auth: v2, ccs: v1, store: v3, backup: v3 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'Conflicts',
    case: 'L and S both changed: the fresher everywhere, the other in H, said so',
    base: { agreed: v1 },
    places: { auth: v2, ccs: v1, store: v3, backup: v3 },
    history: [{ version: v1 }, { version: v3, replaces: [v1] }],
    expect: {
      decision: 'spread',
      winner: v3,
      conflict: true,
      actions: ['keep v2 in history', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Conflicts',
    case: 'L and S both changed and L is fresher: S is replaced, and what was there is in H',
    base: { agreed: v1 },
    places: { auth: v3, ccs: v1, store: native(v2), backup: unread(v1) },
    history: [{ version: v1 }],
    expect: {
      decision: 'spread',
      winner: v3,
      conflict: true,
      actions: ['keep v2 in history', 'keep v3 in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Conflicts',
    case: 'equal freshness, different content: every host picks the same, as seen from the one',
    base: { agreed: v1 },
    places: { auth: v1deviceA, ccs: v1, store: v1deviceB, backup: v1deviceB },
    history: [{ version: v1 }, { version: v1deviceB, replaces: [v1] }],
    expect: {
      decision: 'spread',
      winner: higher(v1deviceA, v1deviceB),
      conflict: true,
      actions:
        higher(v1deviceA, v1deviceB) === v1deviceB
          ? ['keep v1deviceA in history', 'write auth', 'write ccs']
          : ['keep v1deviceA in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Conflicts',
    case: 'equal freshness, different content: and as seen from the other',
    base: { agreed: v1 },
    places: { auth: v1deviceB, ccs: v1, store: v1deviceA, backup: v1deviceA },
    history: [{ version: v1 }, { version: v1deviceA, replaces: [v1] }],
    expect: {
      decision: 'spread',
      winner: higher(v1deviceA, v1deviceB),
      conflict: true,
      actions:
        higher(v1deviceA, v1deviceB) === v1deviceA
          ? ['keep v1deviceB in history', 'write auth', 'write ccs']
          : ['keep v1deviceB in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Conflicts',
    case: 'two proxies add their own claude_device_ids to the same token: the host that lost is content with it',
    base: { agreed: lower(v1deviceA, v1deviceB), superseded: [v1] },
    places: {
      ...everywhere(lower(v1deviceA, v1deviceB)),
      store: higher(v1deviceA, v1deviceB),
      backup: higher(v1deviceA, v1deviceB),
    },
    history: [
      { version: v1 },
      { version: lower(v1deviceA, v1deviceB), replaces: [v1] },
      { version: higher(v1deviceA, v1deviceB), replaces: [v1, lower(v1deviceA, v1deviceB)] },
    ],
    expect: {
      decision: 'spread',
      winner: higher(v1deviceA, v1deviceB),
      actions: ['write auth', 'write ccs'],
    },
  },
  {
    section: 'Conflicts',
    case: 'equally fresh in S and B, where neither has a base: the backup copy beats the store',
    without: { remote: 'first join' },
    places: { store: native(higher(v1deviceA, v1deviceB)), backup: native(lower(v1deviceA, v1deviceB)) },
    history: [],
    expect: {
      decision: 'spread',
      winner: lower(v1deviceA, v1deviceB),
      conflict: true,
      actions: [
        kept(higher(v1deviceA, v1deviceB)),
        kept(lower(v1deviceA, v1deviceB)),
        'write store',
        'write auth',
        'write ccs',
      ],
    },
  },
  ...(
    [
      ['missing', undated, 'undated'],
      ['invalid', garbledDate, 'garbledDate'],
      ['far in the future', nextYear, 'nextYear'],
    ] as const
  ).map(
    ([what, version, name]): Case => ({
      section: 'Conflicts',
      case: `last_refresh ${what}: never beats a valid one`,
      places: { auth: version, store: v1, backup: v1 },
      history: [{ version: v1 }],
      expect: {
        decision: 'spread',
        winner: v1,
        conflict: true,
        actions: [`keep ${name} in history`, 'write auth', 'write ccs'],
      },
    }),
  ),
  {
    section: 'Conflicts',
    case: 'last_refresh far in the future: no change over a valid base either',
    base: { agreed: v1 },
    places: { ...everywhere(v1), auth: nextYear },
    history: [{ version: v1 }],
    expect: {
      decision: 'spread',
      winner: v1,
      stale: true,
      actions: ['keep nextYear in history', 'write auth'],
    },
  },
  {
    section: 'Conflicts',
    case: 'L edited by hand (a disabled flag), same last_refresh: the edit propagates',
    base: { agreed: v1 },
    places: { ...everywhere(v1), auth: v1disabled },
    history: [{ version: v1 }],
    expect: {
      decision: 'spread',
      winner: v1disabled,
      actions: ['keep v1disabled in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Conflicts',
    case: 'disabled set here, token refreshed there: both survive',
    base: { agreed: v1 },
    places: { auth: v1disabled, ccs: v1, store: v2, backup: v2 },
    history: [{ version: v1 }, { version: v2, replaces: [v1] }],
    expect: {
      decision: 'spread',
      winner: v2disabled,
      conflict: true,
      actions: [
        'keep v1disabled in history',
        'keep v2disabled in history',
        'write store',
        'write backup',
        'write auth',
        'write ccs',
      ],
    },
  },
  {
    section: 'Conflicts',
    case: 'edited in L, edited otherwise in C, refreshed in S: all three survive',
    base: { agreed: v1 },
    places: { auth: v1disabled, ccs: v1noted, store: v2, backup: v2 },
    history: [{ version: v1 }, { version: v2, replaces: [v1] }],
    expect: {
      decision: 'spread',
      winner: edited(v2, { disabled: true, note: 'mine' }),
      conflict: true,
      actions: [
        'keep v1disabled in history',
        'keep v1noted in history',
        kept(edited(v2, { disabled: true, note: 'mine' })),
        'write store',
        'write backup',
        'write auth',
        'write ccs',
      ],
    },
  },
  {
    section: 'Conflicts',
    case: 'a proxy writes back what it held in memory, over a newer file: put right at once; never uploaded',
    base: { agreed: v2, superseded: [v1] },
    places: { auth: v1, ccs: v2, store: unread(v2), backup: unread(v2) },
    expect: { decision: 'spread', winner: v2, actions: ['write auth'] },
  },
  {
    section: 'Conflicts',
    case: 'a proxy writes back a version that is fresher by its date, and was replaced: put right all the same',
    base: { agreed: v2, superseded: [fewHoursAhead] },
    places: { auth: fewHoursAhead, ccs: v2, store: unread(v2), backup: unread(v2) },
    expect: { decision: 'spread', winner: v2, actions: ['write auth'] },
  },
  {
    section: 'Conflicts',
    case: 'a native proxy puts back into S what others replaced: only history knows, and is asked',
    base: { agreed: v2 },
    places: { auth: v2, ccs: v2, store: native(v1disabled), backup: v2 },
    history: [{ version: v1disabled }, { version: v2, replaces: [v1disabled] }],
    expect: { decision: 'spread', winner: v2, actions: ['write store'] },
  },
  {
    section: 'Conflicts',
    case: 'a host that joined late undoes an edit to what it was before: the others replaced that, so it is put right',
    base: { agreed: v1disabled },
    places: { ...everywhere(v1disabled), auth: v1 },
    history: [{ version: v1 }, { version: v1disabled, replaces: [v1] }],
    expect: { decision: 'spread', winner: v1disabled, actions: ['write auth'] },
  },
  {
    section: 'Conflicts',
    case: 'a merge was noted in history and never written: what it was made of is merged again',
    base: { agreed: v1 },
    places: { auth: v3, ccs: v1, store: v1disabled, backup: v1disabled },
    history: [
      { version: v1 },
      { version: v1disabled, replaces: [v1], arrived: 1 },
      { version: edited(v3, { disabled: true }), replaces: [v1, v3, v1disabled], arrived: 2 },
      { version: v3, arrived: 2 },
    ],
    expect: {
      decision: 'spread',
      winner: edited(v3, { disabled: true }),
      conflict: true,
      actions: ['write store', 'write backup', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Conflicts',
    case: 'a merge lost its race to another host: what it was made of is not barred, and is merged with the other',
    base: { agreed: v1 },
    places: { auth: v3, ccs: v1, store: v2disabled, backup: v2disabled },
    history: [
      { version: v1 },
      { version: v1disabled, replaces: [v1], arrived: 1 },
      { version: v2disabled, replaces: [v1disabled], arrived: 2 },
      { version: edited(v3, { disabled: true }), replaces: [v1, v3, v1disabled], arrived: 2 },
      { version: v3, arrived: 2 },
    ],
    expect: {
      decision: 'spread',
      winner: edited(v3, { disabled: true }),
      conflict: true,
      actions: ['write store', 'write backup', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Conflicts',
    case: 'a merge would come out as what was replaced before: the freshest is taken as it is',
    places: { auth: v2, ccs: v1disabled, store: v1, backup: v1 },
    history: [{ version: v2disabled }, { version: v1, replaces: [v2disabled], arrived: 1 }],
    expect: {
      decision: 'spread',
      winner: v2,
      conflict: true,
      actions: [
        'keep v1disabled in history',
        'keep v2 in history',
        'write store',
        'write backup',
        'write ccs',
      ],
    },
  },
  {
    section: 'Conflicts',
    case: 'an old file was put back, and the store was emptied: history is asked for what was agreed',
    base: { agreed: v2 },
    places: { auth: v1, ccs: v1 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'Conflicts',
    case: 'an old file was put back, the store was emptied, and history has what was agreed: that goes everywhere',
    base: { agreed: v2 },
    places: { auth: v1, ccs: v1 },
    history: [{ version: v1 }, { version: v2 }],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['write store', 'write backup', 'write auth', 'write ccs'],
    },
  },
];

const stale: Case[] = [
  {
    section: 'Old files',
    case: 'an old file that was put back is kept in history, and not taken',
    base: { agreed: v3 },
    places: { ...everywhere(v3), auth: v2 },
    history: [{ version: v3 }],
    expect: { decision: 'spread', winner: v3, stale: true, actions: ['keep v2 in history', 'write auth'] },
  },
  {
    section: 'Old files',
    case: 'a refresh later than the agreement beats a base that a clock ahead had dated',
    base: { agreed: fewHoursAhead, agreedAt: NOW - 10 * HOUR },
    places: { ...everywhere(fewHoursAhead), auth: refreshed(22) },
    history: [{ version: fewHoursAhead }],
    expect: {
      decision: 'spread',
      winner: fewHoursAhead,
      stale: true,
      actions: [kept(refreshed(22)), 'write auth'],
    },
  },
  {
    section: 'Old files',
    case: 'a refresh dated after the agreement, though before the date of the base: it is taken',
    base: { agreed: fewHoursAhead, agreedAt: NOW - 15 * HOUR },
    places: { ...everywhere(fewHoursAhead), auth: refreshed(22) },
    history: [{ version: fewHoursAhead }],
    expect: {
      decision: 'spread',
      winner: refreshed(22),
      actions: [kept(refreshed(22)), 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Old files',
    case: 'what one of our programs made current is taken, though its date is older',
    base: { agreed: fewHoursAhead, agreedAt: NOW },
    places: { auth: fewHoursAhead, ccs: fewHoursAhead, store: v4, backup: v4 },
    history: [{ version: fewHoursAhead }, { version: v4, replaces: [fewHoursAhead] }],
    expect: { decision: 'spread', winner: v4, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Old files',
    case: 'what one of our programs made current by way of another is taken too',
    base: { agreed: fewHoursAhead, agreedAt: NOW },
    places: { auth: fewHoursAhead, ccs: fewHoursAhead, store: v4, backup: v4 },
    history: [
      { version: fewHoursAhead },
      { version: v3, replaces: [fewHoursAhead] },
      { version: v4, replaces: [v3] },
    ],
    expect: { decision: 'spread', winner: v4, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Old files',
    case: 'one that our programs made current without knowing of the agreed one is not: the store had been wiped',
    base: { agreed: v3 },
    places: { auth: v3, ccs: v3, store: v2, backup: v2 },
    history: [{ version: v1 }, { version: v3, replaces: [v1] }, { version: v2, replaces: [v1] }],
    expect: { decision: 'spread', winner: v3, stale: true, actions: ['write store', 'write backup'] },
  },
  {
    section: 'Old files',
    case: 'which of the two it is, history says',
    base: { agreed: v3 },
    places: { store: v2, backup: v2 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'Old files',
    case: 'an old file is put back in L while C deletes: it is deleted, and the old file kept',
    base: { agreed: v3 },
    places: { auth: v2, store: v3, backup: v3 },
    history: [{ version: v3 }],
    expect: {
      decision: 'delete',
      actions: ['keep v2 in history', 'bury v3', 'remove store', 'remove backup', 'remove auth'],
    },
  },
];

const deletions: Case[] = [
  {
    section: 'Deletions',
    case: 'deleted in L: T in S; gone from C, S, B; still in H',
    base: { agreed: v1 },
    places: { ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: { decision: 'delete', actions: ['bury v1', 'remove store', 'remove backup', 'remove ccs'] },
  },
  {
    section: 'Deletions',
    case: 'deleted in C: the same',
    base: { agreed: v1 },
    places: { auth: v1, store: unread(v1), backup: unread(v1) },
    expect: { decision: 'delete', actions: ['bury v1', 'remove store', 'remove backup', 'remove auth'] },
  },
  {
    section: 'Deletions',
    case: 'deleted in C, but moved to auth-paused/: stays everywhere else',
    base: { agreed: v1 },
    places: { ...everywhere(v1), ccs: 'paused' },
    expect: nothingToDo(v1),
  },
  {
    section: 'Deletions',
    case: 'paused in C and refreshed in L: C is left out',
    base: { agreed: v1 },
    places: { auth: v2, ccs: 'paused', store: unread(v1), backup: unread(v1) },
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'write store', 'write backup'],
    },
  },
  {
    section: 'Deletions',
    case: 'back from auth-paused/ with the token of then: it gets the present one',
    base: { agreed: v2, at: { ccs: v1 }, superseded: [v1] },
    places: { ...everywhere(v2), ccs: v1 },
    expect: { decision: 'spread', winner: v2, actions: ['write ccs'] },
  },
  {
    section: 'Deletions',
    case: 'paused in C and deleted in L: deleted; back from auth-paused/, it is deleted there too',
    tombstone: v1,
    base: { buried: { deleted: v1, places: ['auth'], clearedSecondsAgo: 3600 } },
    places: { ccs: v1 },
    expect: { decision: 'delete', actions: ['keep v1 in history', 'remove ccs'] },
  },
  {
    section: 'Deletions',
    case: 'deleted here, rotated there: lives',
    base: { agreed: v1 },
    places: { ccs: v1, store: v2, backup: v2 },
    expect: { decision: 'spread', winner: v2, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Deletions',
    case: 'deleted here, rotated there, and the tombstone was first: lives, and T ends before S is written',
    base: { agreed: v1 },
    tombstone: v1,
    places: { auth: v2, ccs: v1 },
    history: [{ version: v1 }],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'unbury', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Deletions',
    case: 'deleted here and there: no error, nothing to do',
    base: { agreed: v1 },
    tombstone: v1,
    expect: { decision: 'delete', actions: [] },
  },
  {
    section: 'Deletions',
    case: 'deleted in L and C at once',
    base: { agreed: v1 },
    places: { store: unread(v1), backup: unread(v1) },
    expect: { decision: 'delete', actions: ['bury v1', 'remove store', 'remove backup'] },
  },
  {
    section: 'Deletions',
    case: 'a host offline meanwhile returns with the old file: deleted there too',
    base: { agreed: v1 },
    tombstone: v1,
    places: { auth: v1, ccs: v1 },
    expect: { decision: 'delete', actions: ['remove auth', 'remove ccs'] },
  },
  {
    section: 'Deletions',
    case: 'a host that never was there comes with an older file: deleted, and the file is kept',
    tombstone: v2,
    places: { auth: v1 },
    expect: { decision: 'delete', actions: ['keep v1 in history', 'remove auth'] },
  },
  {
    section: 'Deletions',
    case: 'deleted, then logged in again: history is asked before T ends',
    base: { buried: { deleted: v1 } },
    tombstone: v1,
    places: { auth: v2 },
    expect: { decision: 'consult', actions: [] },
  },
  {
    section: 'Deletions',
    case: 'deleted, then logged in again: lives',
    base: { buried: { deleted: v1 } },
    tombstone: v1,
    places: { auth: v2 },
    history: [{ version: v1 }],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'unbury', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Deletions',
    case: 'under a tombstone, a copy that is fresher by its date and was replaced long ago stays dead',
    tombstone: v2,
    places: { auth: fewHoursAhead },
    history: [{ version: fewHoursAhead }, { version: v2, replaces: [fewHoursAhead] }],
    expect: { decision: 'delete', actions: ['remove auth'] },
  },
  {
    section: 'Deletions',
    case: 'two new logins under a tombstone, and a merge of them that was noted and never written: both live',
    tombstone: v1,
    places: { auth: v2, ccs: v3 },
    history: [{ version: v1 }, { version: v3, arrived: 1 }, { version: v4, replaces: [v2, v3], arrived: 2 }],
    expect: {
      decision: 'spread',
      winner: v3,
      conflict: true,
      actions: ['keep v2 in history', 'unbury', 'write store', 'write backup', 'write auth'],
    },
  },
  {
    section: 'Deletions',
    case: 'the old T harms nothing once the name lives again and T is gone',
    base: { agreed: v2, superseded: [v1] },
    places: everywhere(v2),
    expect: nothingToDo(v2),
  },
  {
    section: 'Deletions',
    case: 'deleted; a proxy under load writes the file back at once: gone again',
    base: { superseded: [v1], buried: { deleted: v1, clearedSecondsAgo: 20 } },
    tombstone: v1,
    places: { auth: cameBack(v1, 18) },
    expect: { decision: 'delete', actions: ['remove auth'] },
  },
  {
    section: 'Deletions',
    case: 'a proxy wrote it back at once, and the next run comes five minutes later: gone again',
    base: { superseded: [v1], buried: { deleted: v1, clearedSecondsAgo: 300 } },
    tombstone: v1,
    places: { auth: cameBack(v1, 298) },
    expect: { decision: 'delete', actions: ['remove auth'] },
  },
  {
    section: 'Deletions',
    case: 'a service-account file without times deleted, an hour later imported again, the same bytes: lives',
    base: { superseded: [serviceKey], buried: { deleted: serviceKey, clearedSecondsAgo: 3600 } },
    tombstone: serviceKey,
    places: { auth: cameBack(serviceKey, 5) },
    history: [{ version: serviceKey }],
    expect: {
      decision: 'spread',
      winner: serviceKey,
      actions: ['unbury', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Deletions',
    case: 'a re-made directory has the deleted file: it came with the directory, and no person put it back',
    without: { auth: 'first join' },
    base: { superseded: [v1], buried: { deleted: v1, clearedSecondsAgo: 3600 } },
    tombstone: v1,
    places: { auth: v1 },
    expect: { decision: 'delete', actions: ['remove auth'] },
  },
  {
    section: 'Deletions',
    case: 'state lost, T present: T holds for what it deleted',
    tombstone: v1,
    places: { auth: v1, ccs: v1 },
    expect: { decision: 'delete', actions: ['keep v1 in history', 'remove auth', 'remove ccs'] },
  },
  {
    section: 'Deletions',
    case: 'unlink failed after T was written: the next run completes it',
    base: { agreed: v1, buried: { deleted: v1, places: [] } },
    tombstone: v1,
    places: { auth: v1 },
    expect: { decision: 'delete', actions: ['remove auth'] },
  },
  {
    section: 'Deletions',
    case: 'killed between T and the removal in S: the next run completes it',
    base: { agreed: v1 },
    tombstone: v1,
    places: { ccs: v1, store: v1, backup: v1 },
    expect: { decision: 'delete', actions: ['remove store', 'remove backup', 'remove ccs'] },
  },
  {
    section: 'Deletions',
    case: 'an object removed from S by hand or by a proxy, B intact: put back',
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1, backup: unread(v1) },
    expect: { decision: 'spread', winner: v1, actions: ['write store'] },
  },
  {
    section: 'Deletions',
    case: 'S and B emptied, L intact: put back',
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1 },
    history: [{ version: v1 }],
    expect: { decision: 'spread', winner: v1, actions: ['write store', 'write backup'] },
  },
  {
    section: 'Deletions',
    case: 'S and B emptied while L was replaced elsewhere: the later one comes from history',
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1 },
    history: [
      { version: v1, arrived: 1 },
      { version: v2, replaces: [v1], arrived: 2 },
    ],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['write store', 'write backup', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Deletions',
    case: 'S and B emptied, and this host has nothing: what was current last comes from history',
    history: [
      { version: v1, arrived: 1 },
      { version: v2, replaces: [v1], arrived: 2 },
    ],
    base: {},
    places: { store: invalid('') },
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep aside "" in history', 'write store', 'write backup', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Deletions',
    case: 'a tombstone that is damaged, or written by a newer program: nothing is done, and a person is asked',
    base: { agreed: v1 },
    tombstone: 'damaged',
    places: everywhere(v1),
    expect: { decision: 'held', actions: [] },
  },
  {
    section: 'Deletions',
    case: 'an edit here, a deletion there at the same freshness: T ranks above it, and the edit is kept',
    base: { agreed: v1 },
    tombstone: v1,
    places: { auth: v1disabled, ccs: v1 },
    expect: { decision: 'delete', actions: ['keep v1disabled in history', 'remove auth', 'remove ccs'] },
  },
];

const unreached: Case[] = [
  {
    section: 'Unreachable store',
    case: 'a token rotated in L reaches C; S and B are pending',
    without: { remote: 'failed' },
    base: { agreed: v1 },
    places: { auth: v2, ccs: v1 },
    expect: { decision: 'spread', winner: v2, actions: ['write ccs'], pending: ['store', 'backup'] },
  },
  {
    section: 'Unreachable store',
    case: 'what loses is kept on the host',
    without: { remote: 'failed' },
    places: { auth: v2, ccs: v1 },
    expect: {
      decision: 'spread',
      winner: v2,
      conflict: true,
      actions: ['keep v1 in host', 'write ccs'],
      pending: ['store', 'backup'],
    },
  },
  {
    section: 'Unreachable store',
    case: 'deleted in L: held until the store is back, and not put back either',
    without: { remote: 'failed' },
    base: { agreed: v1 },
    places: { ccs: v1 },
    expect: { decision: 'held', actions: [] },
  },
  {
    section: 'Unreachable store',
    case: 'a proxy writes a deleted file back meanwhile: it does not spread',
    without: { remote: 'failed' },
    base: { superseded: [v1], buried: { deleted: v1, clearedSecondsAgo: 20 } },
    places: { auth: cameBack(v1, 10) },
    expect: { decision: 'held', actions: [] },
  },
  {
    section: 'Unreachable store',
    case: 'deleted, and logged in again meanwhile: it spreads on this host',
    without: { remote: 'failed' },
    base: { superseded: [v1], buried: { deleted: v1, clearedSecondsAgo: 20 } },
    places: { auth: v2 },
    expect: { decision: 'spread', winner: v2, actions: ['write ccs'], pending: ['store', 'backup'] },
  },
  {
    section: 'Unreachable store',
    case: 'nothing changed: nothing to do, nothing pending',
    without: { remote: 'failed' },
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1 },
    expect: nothingToDo(v1),
  },
];

const failedPlaces: Case[] = [
  {
    section: 'Listing failed',
    case: 'L not listed: nothing planned for it, and nothing is a deletion',
    without: { auth: 'failed' },
    base: { agreed: v1 },
    places: { ccs: v2, store: unread(v1), backup: unread(v1) },
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'write store', 'write backup'],
    },
  },
  {
    section: 'Listing failed',
    case: 'C not listed: a deletion in L goes ahead, C left alone',
    without: { ccs: 'failed' },
    base: { agreed: v1 },
    places: { store: unread(v1), backup: unread(v1) },
    expect: { decision: 'delete', actions: ['bury v1', 'remove store', 'remove backup'] },
  },
  {
    section: 'Listing failed',
    case: 'both not listed: nothing',
    without: { auth: 'failed', ccs: 'failed' },
    base: { agreed: v1 },
    places: { store: unread(v1), backup: unread(v1) },
    expect: nothingToDo(v1),
  },
  {
    section: 'Listing failed',
    case: 'an unreadable file is neither changed nor gone, and is not written over',
    base: { agreed: v1 },
    places: { auth: 'unreadable', ccs: v2, store: unread(v1), backup: unread(v1) },
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'write store', 'write backup'],
    },
  },
];

const firstJoin: Case[] = [
  {
    section: 'First join',
    case: 'another disk is mounted as L: nothing is missed from it',
    without: { auth: 'another' },
    base: { agreed: v1 },
    places: { ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: { decision: 'spread', winner: v1, actions: ['write auth'] },
  },
  {
    section: 'First join',
    case: 'L re-made and empty: the files are put back',
    without: { auth: 'first join' },
    base: { agreed: v1 },
    places: { ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: { decision: 'spread', winner: v1, actions: ['write auth'] },
  },
  {
    section: 'First join',
    case: 'L re-made from an old backup: the old file does not win',
    without: { auth: 'first join' },
    base: { agreed: v3 },
    places: { auth: v2, ccs: v3, store: v3, backup: v3 },
    history: [{ version: v3 }],
    expect: { decision: 'spread', winner: v3, stale: true, actions: ['keep v2 in history', 'write auth'] },
  },
  {
    section: 'First join',
    case: 'another bucket, empty: everything goes there, nothing is deleted',
    without: { remote: 'first join' },
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1 },
    history: [],
    expect: { decision: 'spread', winner: v1, actions: ['write store', 'write backup'] },
  },
  {
    section: 'First join',
    case: 'state lost, an older file here than in S: the fresher, and the older is kept',
    places: { auth: v1, store: v2, backup: v2 },
    history: [{ version: v2 }],
    expect: {
      decision: 'spread',
      winner: v2,
      conflict: true,
      actions: ['keep v1 in history', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'First join',
    case: 'state lost, a file here that history knows as replaced: no conflict',
    places: { auth: v1, store: v2, backup: v2 },
    history: [{ version: v1 }, { version: v2, replaces: [v1] }],
    expect: { decision: 'spread', winner: v2, actions: ['write auth', 'write ccs'] },
  },
];

const many = (count: number, setup: (index: number) => Setup) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}.json`, setup(index)]));
const intact = { base: { agreed: v1 }, places: everywhere(v1) };
const deletedHere = { base: { agreed: v1 }, places: { ccs: v1, store: v1, backup: v1 } };
const buriedElsewhere = { base: { agreed: v1 }, tombstone: v1, places: { auth: v1, ccs: v1 } };
const putBack: Expectation = { decision: 'spread', winner: v1, actions: ['write auth'] };
const deleted: Expectation = {
  decision: 'delete',
  actions: ['bury v1', 'remove store', 'remove backup', 'remove ccs'],
};

const guard: Case[] = [
  {
    section: 'Guard',
    case: 'L emptied: no deletion; files put back',
    others: many(3, () => deletedHere),
    guarded: ['n0.json', 'n1.json', 'n2.json'],
    expect: { 'n0.json': putBack, 'n1.json': putBack, 'n2.json': putBack },
  },
  {
    section: 'Guard',
    case: 'more than half deleted: no deletion',
    others: many(5, (index) => (index < 3 ? deletedHere : intact)),
    guarded: ['n0.json', 'n1.json', 'n2.json'],
    expect: { 'n0.json': putBack, 'n4.json': nothingToDo(v1) },
  },
  {
    section: 'Guard',
    case: 'just half deleted: not blocked',
    others: many(4, (index) => (index < 2 ? deletedHere : intact)),
    expect: { 'n0.json': deleted, 'n1.json': deleted },
  },
  {
    section: 'Guard',
    case: 'one of two deleted: not blocked',
    others: many(2, (index) => (index < 1 ? deletedHere : intact)),
    expect: { 'n0.json': deleted },
  },
  {
    section: 'Guard',
    case: 'the only one deleted: not blocked',
    others: { 'only.json': deletedHere },
    expect: { 'only.json': deleted },
  },
  {
    section: 'Guard',
    case: 'more than half deleted on another host: they wait here for a person',
    others: many(3, (index) => (index < 2 ? buriedElsewhere : intact)),
    guarded: ['n0.json', 'n1.json'],
    expect: { 'n0.json': { decision: 'held', actions: [] } },
  },
  {
    section: 'Guard',
    case: 'the runs of a day add up',
    others: many(3, (index) => (index < 1 ? deletedHere : intact)),
    deletions: { 'gone1.json': HOUR, 'gone2.json': 2 * HOUR, 'gone3.json': 3 * HOUR },
    guarded: ['n0.json'],
    expect: { 'n0.json': putBack },
  },
  {
    section: 'Guard',
    case: 'what was deleted the day before does not count',
    others: many(3, (index) => (index < 1 ? deletedHere : intact)),
    deletions: { 'gone1.json': 25 * HOUR, 'gone2.json': 26 * HOUR, 'gone3.json': 27 * HOUR },
    expect: { 'n0.json': deleted },
  },
  {
    section: 'Guard',
    case: 'all forgotten elsewhere, or so the store says: nothing is left here without a word of a person here',
    others: many(3, () => ({ ...buriedElsewhere, forgotten: true })),
    guarded: ['n0.json', 'n1.json', 'n2.json'],
    expect: { 'n0.json': { decision: 'held', actions: [] } },
  },
  {
    section: 'Guard',
    case: 'most forgotten elsewhere: they go, since one is left',
    others: many(3, (index) => (index < 2 ? { ...buriedElsewhere, forgotten: true } : intact)),
    expect: { 'n0.json': { decision: 'delete', actions: ['remove auth', 'remove ccs'] } },
  },
  {
    section: 'Guard',
    case: 'the only one forgotten elsewhere: it goes',
    others: { 'only.json': { ...buriedElsewhere, forgotten: true } },
    expect: { 'only.json': { decision: 'delete', actions: ['remove auth', 'remove ccs'] } },
  },
  {
    section: 'Guard',
    case: 'all forgotten elsewhere, and allowed here by name: they go',
    others: many(2, () => ({ ...buriedElsewhere, forgotten: true })),
    allowDelete: ['n0.json', 'n1.json'],
    expect: { 'n0.json': { decision: 'delete', actions: ['remove auth', 'remove ccs'] } },
  },
  {
    section: 'Guard',
    case: 'what was deleted elsewhere, and is gone here too, does not count as there: L emptied is put back all the same',
    others: {
      ...many(2, () => deletedHere),
      'gone0.json': { base: { agreed: v1 }, tombstone: v1 },
      'gone1.json': { base: { agreed: v1 }, tombstone: v1 },
    },
    guarded: ['n0.json', 'n1.json'],
    expect: { 'n0.json': putBack, 'n1.json': putBack },
  },
  {
    section: 'Guard',
    case: '--allow-delete a b: just those',
    others: many(4, () => deletedHere),
    allowDelete: ['n0.json', 'n1.json'],
    guarded: [],
    expect: { 'n0.json': deleted, 'n1.json': deleted, 'n2.json': deleted },
  },
  {
    section: 'Guard',
    case: '--allow-delete of one while all are gone: the others are put back',
    others: many(4, () => deletedHere),
    allowDelete: ['n0.json'],
    guarded: ['n1.json', 'n2.json', 'n3.json'],
    expect: { 'n0.json': deleted, 'n1.json': putBack },
  },
  {
    section: 'Guard',
    case: 'all deleted and in no place any more: put back from history',
    others: many(3, () => ({ base: { agreed: v1 }, history: [{ version: v1 }] })),
    guarded: ['n0.json', 'n1.json', 'n2.json'],
    expect: {
      'n0.json': {
        decision: 'spread',
        winner: v1,
        actions: ['write store', 'write backup', 'write auth', 'write ccs'],
      },
    },
  },
];

const invalidFiles: Case[] = [
  {
    section: 'Half-written and invalid files',
    case: 'half-written in L: never uploaded, never copied, and not written over within a minute',
    base: { agreed: v1 },
    places: { ...everywhere(v1), auth: invalid('{"type":"cl', 1) },
    expect: nothingToDo(v1),
  },
  {
    section: 'Half-written and invalid files',
    case: 'half-written in L, and it is the only place: nothing at all',
    places: { auth: invalid('{"type":"cl', 1) },
    expect: { decision: 'nothing', actions: [] },
  },
  {
    section: 'Half-written and invalid files',
    case: 'truncated to 0 bytes: neither a deletion nor an upload; put back once it has stood so for a minute',
    base: { agreed: v1 },
    places: { auth: invalid('', 61), ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: { decision: 'spread', winner: v1, actions: ['keep aside "" in host', 'write auth'] },
  },
  {
    section: 'Half-written and invalid files',
    case: 'a file dated ahead of now has not stood for a minute',
    base: { agreed: v1 },
    places: { ...everywhere(v1), auth: invalid('', -3600) },
    expect: nothingToDo(v1),
  },
  {
    section: 'Half-written and invalid files',
    case: 'a valid object in S replaced by garbage: healed from the others; the garbage kept aside',
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1, store: invalid('<html>'), backup: unread(v1) },
    expect: { decision: 'spread', winner: v1, actions: ['keep aside "<html>" in history', 'write store'] },
  },
  {
    section: 'Half-written and invalid files',
    case: 'garbage in S and B, nothing in L: healed from H',
    base: { agreed: v1, at: { auth: 'none', ccs: 'none' } },
    places: { store: invalid('<html>'), backup: invalid('') },
    history: [{ version: v1 }],
    expect: {
      decision: 'spread',
      winner: v1,
      actions: [
        'keep aside "<html>" in history',
        'keep aside "" in history',
        'write store',
        'write backup',
        'write auth',
        'write ccs',
      ],
    },
  },
  {
    section: 'Half-written and invalid files',
    case: 'garbage in S, and nobody knows a good version: reported, left alone',
    places: { store: invalid('<html>') },
    history: [],
    expect: { decision: 'nothing', actions: [] },
  },
];

const crashes: Case[] = [
  {
    section: 'Crashes',
    case: 'killed between store write and base: the next run agrees; no conflict',
    base: { agreed: v1, intent: { version: v2, held: ['auth'], supersedes: [v1] } },
    places: { auth: v2, ccs: v1, store: v2, backup: v2 },
    expect: { decision: 'spread', winner: v2, actions: ['write ccs'] },
  },
  {
    section: 'Crashes',
    case: 'killed before the store write, to which another host came as well: what it was to keep is not known to be kept',
    base: { agreed: v1, intent: { version: v4, held: [], supersedes: [v1, v2] } },
    places: { auth: v2, ccs: v4, store: v4, backup: v4 },
    expect: { decision: 'spread', winner: v4, actions: ['keep v2 in history', 'write auth'] },
  },
  {
    section: 'Crashes',
    case: 'killed before the store write, and a native proxy wrote the same: it is not known to be kept either',
    base: { agreed: v1, intent: { version: v2, held: ['auth'], supersedes: [v1] } },
    places: { auth: v3, ccs: v1, store: native(v2), backup: native(v2) },
    expect: {
      decision: 'spread',
      winner: v3,
      actions: ['keep v2 in history', 'keep v3 in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Crashes',
    case: 'killed between S and B: the next run writes B',
    base: { agreed: v1, intent: { version: v2, held: ['auth'], supersedes: [v1] } },
    places: { auth: v2, ccs: v1, store: v2, backup: unread(v1) },
    expect: { decision: 'spread', winner: v2, actions: ['write backup', 'write ccs'] },
  },
  {
    section: 'Crashes',
    case: 'killed after B, and S holds another version by now: another host put that there since, and it counts',
    base: { agreed: v1, intent: { version: v1noted, held: ['auth'], supersedes: [] } },
    places: { auth: v1noted, ccs: v1noted, store: v1, backup: v1noted },
    history: [{ version: v1 }, { version: v1noted }],
    expect: {
      decision: 'spread',
      winner: v1,
      actions: ['write backup', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Crashes',
    case: 'killed before the store write: the next run writes it',
    base: { agreed: v1, intent: { version: v2, held: ['auth'], supersedes: [v1] } },
    places: { auth: v2, ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'write store', 'write backup', 'write ccs'],
    },
  },
  {
    section: 'Crashes',
    case: 'killed after the store write, before the base; then the file is deleted: a deletion',
    base: { agreed: v1, intent: { version: v2, held: ['auth'], supersedes: [v1] } },
    places: { ccs: v1, store: v2, backup: v2 },
    expect: { decision: 'delete', actions: ['bury v2', 'remove store', 'remove backup', 'remove ccs'] },
  },
  {
    section: 'Crashes',
    case: 'killed before the tombstone was ended that a new login ends: the next run ends it',
    base: { buried: { deleted: v1 }, intent: { version: v2, held: ['auth'], supersedes: [v1] } },
    places: { auth: v2, store: v2, backup: v2 },
    tombstone: v1,
    history: [{ version: v1 }, { version: v2, replaces: [v1] }],
    expect: { decision: 'spread', winner: v2, actions: ['unbury', 'write ccs'] },
  },
  {
    section: 'Crashes',
    case: 'the same, and then the new login is deleted: a deletion of that one',
    base: { buried: { deleted: v1 }, intent: { version: v2, held: ['auth'], supersedes: [v1] } },
    places: { store: v2, backup: v2 },
    tombstone: v1,
    history: [{ version: v1 }, { version: v2, replaces: [v1] }],
    expect: { decision: 'delete', actions: ['bury v2', 'remove store', 'remove backup'] },
  },
  {
    section: 'Crashes',
    case: 'the same with a file that a person put back as it was: it lives',
    base: {
      buried: { deleted: v1, clearedSecondsAgo: 300 },
      intent: { version: v1, held: ['auth'], supersedes: [] },
    },
    places: { auth: v1, store: v1, backup: v1 },
    tombstone: v1,
    history: [{ version: v1 }],
    expect: { decision: 'spread', winner: v1, actions: ['unbury', 'write ccs'] },
  },
  {
    section: 'Crashes',
    case: 'killed before the store write; then the file is deleted: a deletion of what was agreed',
    base: { agreed: v1, intent: { version: v2, held: ['auth'], supersedes: [v1] } },
    places: { ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: { decision: 'delete', actions: ['bury v1', 'remove store', 'remove backup', 'remove ccs'] },
  },
  {
    section: 'Crashes',
    case: "without the note it would be another host's change: the file comes back",
    base: { agreed: v1 },
    places: { ccs: v1, store: v2, backup: v2 },
    expect: { decision: 'spread', winner: v2, actions: ['write auth', 'write ccs'] },
  },
];

const hydrate: Case[] = [
  {
    section: 'Permissions: hydrate',
    case: 'a new login is everywhere, and the tombstone still stands: its end is pending',
    command: 'hydrate',
    tombstone: v1,
    places: everywhere(v2),
    history: [{ version: v1 }],
    expect: { decision: 'spread', winner: v2, actions: [], pending: ['store'] },
  },
  {
    section: 'Permissions: hydrate',
    case: 'an empty host gets what S has',
    command: 'hydrate',
    places: { store: v1, backup: v1 },
    expect: { decision: 'spread', winner: v1, actions: ['write auth', 'write ccs'] },
  },
  {
    section: 'Permissions: hydrate',
    case: 'a token rotated in L: S and B are pending, C gets it',
    command: 'hydrate',
    base: { agreed: v1 },
    places: { auth: v2, ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: { decision: 'spread', winner: v2, actions: ['write ccs'], pending: ['store', 'backup'] },
  },
  {
    section: 'Permissions: hydrate',
    case: 'a file fresher in S replaces that in L, which is kept on the host',
    command: 'hydrate',
    places: { auth: v1, store: v2, backup: v2 },
    history: [],
    expect: {
      decision: 'spread',
      winner: v2,
      conflict: true,
      actions: ['keep v1 in host', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Permissions: hydrate',
    case: 'deleted in L: nothing is removed before T may be written',
    command: 'hydrate',
    base: { agreed: v1 },
    places: { ccs: v1, store: unread(v1), backup: unread(v1) },
    expect: { decision: 'delete', actions: [], pending: ['store', 'ccs', 'backup'] },
  },
  {
    section: 'Permissions: hydrate',
    case: 'deleted on another host: gone here',
    command: 'hydrate',
    base: { agreed: v1 },
    tombstone: v1,
    places: { auth: v1, ccs: v1 },
    expect: { decision: 'delete', actions: ['remove auth', 'remove ccs'] },
  },
  {
    section: 'Permissions: hydrate',
    case: 'two copies live under a tombstone that it may not end: they are merged all the same',
    command: 'hydrate',
    base: { agreed: v2 },
    tombstone: v1,
    places: { auth: v3, ccs: v2, store: v2, backup: v2 },
    history: [{ version: v2 }],
    expect: {
      decision: 'spread',
      winner: v3,
      conflict: true,
      actions: ['write ccs'],
      pending: ['store', 'backup'],
    },
  },
];

const severalHosts: Case[] = [
  {
    section: 'Several hosts',
    case: 'a native proxy writes the same store without conditions: its version is taken like any other',
    base: { agreed: v1 },
    places: { auth: v1, ccs: v1, store: native(v2), backup: unread(v1) },
    history: [{ version: v1 }],
    expect: {
      decision: 'spread',
      winner: v2,
      actions: ['keep v2 in history', 'write backup', 'write auth', 'write ccs'],
    },
  },
  {
    section: 'Several hosts',
    case: 'a native proxy writes what is older: put right, and kept',
    base: { agreed: v3 },
    places: { auth: v3, ccs: v3, store: native(v2), backup: unread(v3) },
    history: [{ version: v3 }],
    expect: { decision: 'spread', winner: v3, stale: true, actions: ['keep v2 in history', 'write store'] },
  },
];

const twins: Case[] = [
  {
    section: 'Hostile input',
    case: 'case twins on a file system that folds them: reported, neither overwritten',
    without: { auth: 'folds' },
    others: { 'user.json': { places: { auth: v1 } }, 'User.json': { places: { store: v2, backup: v2 } } },
    expect: {
      'user.json': { decision: 'held', actions: [] },
      'User.json': { decision: 'held', actions: [] },
    },
  },
  {
    section: 'Hostile input',
    case: 'NFC/NFD twins on a file system that folds them: the same',
    without: { ccs: 'folds' },
    others: {
      'caf\u00e9.json': { places: { ccs: v1 } },
      'cafe\u0301.json': { places: { store: v2, backup: v2 } },
    },
    expect: {
      'caf\u00e9.json': { decision: 'held', actions: [] },
      'cafe\u0301.json': { decision: 'held', actions: [] },
    },
  },
  {
    section: 'Hostile input',
    case: 'case twins where both are files of their own: two credentials',
    others: {
      'user.json': intact,
      'User.json': { base: { agreed: otherServiceKey }, places: everywhere(otherServiceKey) },
    },
    expect: { 'user.json': nothingToDo(v1), 'User.json': nothingToDo(otherServiceKey) },
  },
];

export const table: readonly Case[] = [
  ...convergence,
  ...conflicts,
  ...stale,
  ...deletions,
  ...unreached,
  ...failedPlaces,
  ...firstJoin,
  ...guard,
  ...invalidFiles,
  ...crashes,
  ...hydrate,
  ...severalHosts,
  ...twins,
  ...rare,
];
