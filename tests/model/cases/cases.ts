/** The shortest stories that broke a promise once, as the search gave them, and the line that mended each. */
import type { Edit, Variant } from '../bundle.ts';
import type { Happening, Run, Step, Story } from '../story.ts';

export interface Case {
  readonly name: string;
  readonly stories: readonly Story[];
  /** The program as it was: with it one of the stories must break a promise again. */
  readonly before: Omit<Variant, 'name'>;
}

const run = (host: number, more: Partial<Run> = {}): Run => ({
  host,
  command: 'sync',
  faults: [],
  interrupts: [],
  ...more,
});
const alone = (one: Run): Step => ({ kind: 'runs', runs: [one], seed: 0 });
const together = (seed: number, ...runs: Run[]): Step => ({ kind: 'runs', runs, seed });
const at = (call: number, happening: Happening) => ({ at: call, happening });
const world = (hosts: readonly boolean[], credentials: number, agreed: boolean, steps: Step[]): Story => ({
  hosts: hosts.map((ccs) => ({ ccs })),
  credentials,
  agreed,
  conditions: true,
  tags: 'content',
  steps,
});

/** History was not asked of what both the store and its backup copy had lost. */
const HISTORY_UNASKED: Edit = {
  file: 'sync/rules/history.ts',
  find: "entry?.agreed !== undefined && STORE_PLACES.every((place) => seen[place].kind === 'absent');",
  replace: 'false;',
};

/** Nor of what was replaced once and is current again. */
const BACK_UNASKED: Edit = {
  file: 'sync/rules/history.ts',
  find: '(!held || outOfStore || isBack)',
  replace: '(!held || outOfStore)',
};

/** A deletion over an earlier one named what this host happened to have, be it older than what was deleted before. */
const OLDER_NAMED: Edit = {
  file: 'sync/rules/choice.ts',
  find: 'return living?.version ?? { id: earlier.version, freshness: earlier.freshness };',
  replace: 'return (living ?? present[0])?.version;',
};

export const CASES: readonly Case[] = [
  {
    name: 'a refresh that is written while its deleted file is unlinked is kept, and lives',
    // One of these calls is the unlink.
    stories: Array.from({ length: 40 }, (_, index) =>
      world([false, false], 1, true, [
        { kind: 'remove', host: 1, name: 0, place: 'auth' },
        alone(run(1)),
        alone(run(0, { interrupts: [at(10 + index, { kind: 'rotate', host: 0, name: 0, place: 'auth' })] })),
      ]),
    ),
    before: {
      file: 'sync/local-write.ts',
      find: "    return old === undefined ? { kind: 'done' } : await lookForLateWrite(old, seen);\n  } catch (error) {\n    return outcomeOf(error, path);\n  } finally {\n    if (old !== undefined) closeSync(old);\n  }\n}\n\n/** Makes the directory",
      replace:
        "    return { kind: 'done' };\n  } catch (error) {\n    return outcomeOf(error, path);\n  }\n}\n\n/** Makes the directory",
    },
  },
  {
    name: 'what two hosts decided differently at once is no endless exchange',
    stories: [
      world([false, false], 0, false, [
        { kind: 'login', host: 0, name: 0, dates: 'none' },
        alone(run(0)),
        together(
          0,
          run(1),
          run(0, {
            interrupts: [
              at(1, { kind: 'native write', host: 0, name: 0, how: 'new' }),
              at(2, { kind: 'rotate', host: 0, name: 0, place: 'auth' }),
            ],
          }),
        ),
        alone(run(0)),
      ]),
    ],
    before: {
      file: 'sync/plan.ts',
      find: 'const chosen = chosenAgain(seen.store, entry?.agreed, now);',
      replace: 'const chosen = chosenAgain(seen.store, undefined, now);',
      also: [BACK_UNASKED],
    },
  },
  {
    name: 'what was deleted before a new login is not healed from a host that never heard of it',
    stories: [
      world([false, false], 1, true, [
        { kind: 'remove', host: 0, name: 0, place: 'auth' },
        alone(run(0)),
        { kind: 'login', host: 0, name: 0, dates: 'refreshed' },
        alone(run(0)),
        { kind: 'store lost', what: 'objects' },
        alone(run(1)),
      ]),
    ],
    before: {
      file: 'sync/apply/store.ts',
      find: '...agreed, ...deleted, ...madeOf])]',
      replace: '...agreed, ...madeOf])]',
    },
  },
  {
    name: 'a directory that is made anew after a crash is no deletion',
    // Killed at some write after the store has it and before the base does.
    stories: Array.from({ length: 14 }, (_, index) =>
      world([false, false], 1, false, [
        alone(run(1)),
        alone(run(0, { command: 'hydrate' })),
        alone(run(0, { crashAt: 4 + index })),
        alone(run(1)),
        { kind: 'directory', host: 0, place: 'auth', how: 'remade' },
        alone(run(0)),
      ]),
    ),
    before: {
      file: 'sync/rules/change.ts',
      find: 'intent.held.filter((place) => belongs(base, snapshot, place))',
      replace: 'intent.held',
    },
  },
  {
    name: 'a host that knows nothing of a refresh does not undo it by being the first after the store was wiped',
    stories: [
      world([false, false], 1, true, [
        { kind: 'half', host: 0, name: 0, place: 'auth' },
        { kind: 'rotate', host: 1, name: 0, place: 'auth' },
        { kind: 'rotate', host: 1, name: 0, place: 'auth' },
        alone(run(1)),
        { kind: 'store lost', what: 'objects' },
        { kind: 'truncate', host: 0, name: 0, place: 'auth' },
      ]),
      world([false, false, false], 3, true, [
        { kind: 'rotate', host: 0, name: 0, place: 'auth' },
        { kind: 'rotate', host: 2, name: 0, place: 'auth' },
        alone(run(0)),
        { kind: 'store lost', what: 'objects' },
        alone(run(2)),
      ]),
    ],
    before: {
      file: 'sync/rules/stale.ts',
      find: 'agreed !== undefined && superseded.has(agreed.id) && isRecorded(seen, version.id)',
      replace: 'isRecorded(seen, version.id)',
    },
  },
  {
    name: 'what a new tombstone replaces an older one for stays deleted too, where the dates cannot be compared',
    stories: [
      world([false, false], 1, true, [
        alone(run(0, { choice: { kind: 'forget', name: 0 } })),
        { kind: 'login', host: 0, name: 0, dates: 'expiring' },
        alone(run(0, { choice: { kind: 'forget', name: 0 } })),
      ]),
    ],
    before: {
      file: 'sync/rules/tombstone.ts',
      find: '...(others.size > 0 && { also: [...others].slice(0, MAX_ALSO) }),',
      replace: '',
      also: [OLDER_NAMED],
    },
  },
  {
    name: 'a run that is asked to end while it replaces a file keeps what a program writes into it just then',
    // One of these calls is the rename.
    stories: Array.from({ length: 60 }, (_, index) =>
      world([true], 1, true, [
        { kind: 'rotate', host: 0, name: 0, place: 'ccs' },
        alone(
          run(0, {
            interrupts: [at(10 + index, { kind: 'rotate', host: 0, name: 0, place: 'auth' })],
            abortAt: 13 + index,
          }),
        ),
      ]),
    ),
    before: {
      file: 'sync/apply.ts',
      find: '    if (!storeError) await writeLocalPlaces(batch, written, context);',
      replace:
        "    if (!storeError) await Promise.race([writeLocalPlaces(batch, written, context), new Promise((_, stop) => context.signal?.addEventListener('abort', () => { try { context.checkpoint(); } catch (error) { stop(error); } }))]);",
    },
  },
  {
    name: 'a directory that a killed run had just made is durable before anything is kept in it',
    // One of these writes is the sync of the directory that it is in, and one of those comes after the file is replaced.
    stories: Array.from({ length: 4 * 24 }, (_, index) =>
      world([true], 1, true, [
        { kind: 'outage', on: true },
        { kind: 'rotate', host: 0, name: 0, place: 'auth' },
        { kind: 'rotate', host: 0, name: 0, place: 'ccs' },
        alone(run(0, { crashAt: 4 + (index % 4) })),
        alone(run(0, { crashAt: 4 + Math.floor(index / 4), powerLoss: 1 })),
      ]),
    ),
    before: {
      file: 'files/atomic-write.ts',
      find: 'Date.now() - birthtimeMs >= WRITTEN_BACK_MS',
      replace: 'true',
    },
  },
  {
    name: 'a version that a run has just put back is not taken out of history by it',
    stories: [
      {
        ...world([false], 1, true, [
          { kind: 'login', host: 0, name: 0, dates: 'none' },
          { kind: 'store lost', what: 'objects' },
          { kind: 'time', seconds: 90_000 },
          alone(run(0)),
        ]),
        keep: { versions: 1, days: 0 },
      },
    ],
    before: {
      file: 'sync/run.ts',
      find: '{ foundAllInStep, signal }',
      replace: '{ foundAllInStep: true, signal }',
    },
  },
  {
    name: 'a new login that is killed while it ends a tombstone lets no host put back what was deleted',
    stories: Array.from({ length: 30 }, (_, index) =>
      world([false, false], 2, true, [
        { kind: 'remove', host: 0, name: 0, place: 'auth' },
        alone(run(0)),
        { kind: 'time', seconds: 100 },
        { kind: 'login', host: 0, name: 0, dates: 'refreshed' },
        alone(run(0, { crashAt: 1 + index })),
        alone(run(1)),
      ]),
    ),
    before: {
      file: 'stores/commit-all.ts',
      find: "const TOMBSTONE_LAST: readonly ObjectStep[] = ['current', 'backup', 'tombstone'];",
      replace: 'const TOMBSTONE_LAST = TOMBSTONE_FIRST;',
      also: [HISTORY_UNASKED],
    },
  },
  {
    name: 'a tombstone in the place of another names what that one named, where two hosts forget at once',
    stories: [
      world([false, false, false], 1, true, [
        alone(run(1, { choice: { kind: 'restore', name: 0, age: 0 } })),
        together(
          0,
          run(1, { choice: { kind: 'forget', name: 0 } }),
          run(0, { choice: { kind: 'forget', name: 0 } }),
          run(2),
        ),
        { kind: 'time', seconds: 300 },
        { kind: 'login', host: 0, name: 0, dates: 'expiring' },
        alone(run(0)),
      ]),
    ],
    before: {
      file: 'sync/rules/tombstone.ts',
      find: 'new Set([...(earlier ? buriedVersions(earlier) : []), ...present])',
      replace: 'new Set(present)',
      also: [OLDER_NAMED],
    },
  },
  {
    name: 'what is deleted between the listing and the reading of a look is not healed by it',
    stories: Array.from({ length: 40 }, (_, index) =>
      world([false, false], 0, false, [
        { kind: 'native write', host: 0, name: 0, how: 'new' },
        alone(run(1)),
        alone(run(0, { choice: { kind: 'forget', name: 0 } })),
        alone(run(0, { choice: { kind: 'restore', name: 0, age: 0 }, crashAt: 19 })),
        together(index, run(0, { choice: { kind: 'forget', name: 0 } }), run(1)),
      ]),
    ),
    before: {
      file: 'sync/snapshot.ts',
      find: "if (answer.kind === 'absent') torn.push(name);\n      const sighting = held(sightingOf(answer));",
      replace: "const sighting: Sighting = answer.kind === 'absent' ? answer : held(sightingOf(answer));",
      also: [HISTORY_UNASKED],
    },
  },
  {
    name: 'a version that two hosts came to keeps for each what only that one replaced by it',
    stories: Array.from({ length: 60 }, (_, index) => ({
      ...world([false, false], 1, true, [
        { kind: 'time', seconds: 90_000 },
        { kind: 'edit', host: 0, name: 0, place: 'auth', field: 'note' },
        together(
          index,
          run(1, { choice: { kind: 'restore', name: 0, age: 0 } }),
          run(0, { choice: { kind: 'restore', name: 0, age: 0 }, abortAt: 20 + index }),
        ),
      ]),
      conditions: false,
    })),
    before: {
      file: 'sync/actions.ts',
      find: '((entry?.superseded.includes(id) ?? false) && !entry?.unkept?.includes(id))',
      replace: '(entry?.superseded.includes(id) ?? false)',
    },
  },
  {
    name: 'a directory that is made anew after a run was cut short is no deletion, though a restore comes in between',
    stories: Array.from({ length: 20 }, (_, index) =>
      world([false], 2, false, [
        alone(run(0, { choice: { kind: 'forget', name: 0 } })),
        alone(run(0, { abortAt: 20 + index })),
        { kind: 'directory', host: 0, place: 'auth', how: 'remade' },
        alone(run(0, { choice: { kind: 'restore', name: 0, age: 0 } })),
      ]),
    ),
    before: {
      file: 'sync/apply.ts',
      find: '[name, intentFor(base, snapshot, intent)]',
      replace: '[name, intent]',
    },
  },
  {
    name: 'a version that a person puts back after all were deleted is not undone by a host that holds a fresher one of those',
    stories: [
      world([false, false], 1, false, [
        { kind: 'native write', host: 0, name: 0, how: 'new' },
        alone(run(1)),
        together(0, run(0, { choice: { kind: 'forget', name: 0 } }), run(0)),
        { kind: 'time', seconds: 90_000 },
        { kind: 'write back', host: 0, name: 0, age: 3 },
        alone(run(0)),
      ]),
    ],
    before: {
      file: 'sync/apply/unnamed.ts',
      find: 'if (!winner || !isInHistoryAlready(item) || !plan',
      replace: "if (plan.decision.kind === 'spread' || !plan",
    },
  },
  {
    name: 'a login that was not on the disk yet when it was synced is no deletion after the power was lost',
    // At some of these writes the state is on the disk already.
    stories: Array.from({ length: 40 }, (_, index) =>
      world([false], 1, true, [
        { kind: 'login', host: 0, name: 1, dates: 'refreshed', isUnsynced: true },
        alone(run(0, { crashAt: 1 + index, powerLoss: 0 })),
        alone(run(0)),
      ]),
    ),
    before: {
      file: 'sync/apply.ts',
      find: '  await syncNames(base, snapshot, context.directories);\n',
      replace: '',
    },
  },
  {
    name: 'a file that changes while a run takes a native proxy’s write, which then writes the old one back, is no end of the run',
    stories: [
      world([false, false], 2, true, [
        together(
          1,
          run(0, {
            interrupts: [
              at(1, { kind: 'native write', host: 0, name: 0, how: 'new' }),
              at(2, { kind: 'remove', host: 1, name: 0, place: 'auth' }),
              at(16, { kind: 'rotate', host: 0, name: 0, place: 'auth' }),
              at(30, { kind: 'native write', host: 0, name: 0, how: 'old' }),
            ],
          }),
        ),
        { kind: 'write back', host: 0, name: 0, age: 0 },
      ]),
    ],
    before: {
      file: 'sync/snapshot.ts',
      find: '  if (base.intents.has(name)) return undefined;\n',
      replace: '',
    },
  },
  {
    name: 'a deletion by a host that has but an older copy leaves in history what was deleted before it',
    stories: [
      {
        ...world([false, false], 1, true, [
          { kind: 'time', seconds: 90_000 },
          alone(run(1, { choice: { kind: 'restore', name: 0, age: 0 } })),
          { kind: 'remove', host: 1, name: 0, place: 'auth' },
          alone(run(1)),
          together(0, run(0, { choice: { kind: 'forget', name: 0 } }), run(1)),
        ]),
        keep: { versions: 1, days: 0 },
      },
    ],
    before: OLDER_NAMED,
  },
  {
    name: 'an old file that a person puts back is not undone by a host that still has what was deleted after it',
    stories: [
      world([false, false, false], 1, false, [
        { kind: 'login', host: 1, name: 0, dates: 'refreshed' },
        alone(run(0)),
        together(
          0,
          run(1, { choice: { kind: 'forget', name: 0 } }),
          run(2, { choice: { kind: 'restore', name: 0, age: 0 } }),
        ),
        together(0, run(1, { choice: { kind: 'forget', name: 0 } }), run(0)),
        { kind: 'clock', host: 1, hours: 1 },
        { kind: 'write back', host: 1, name: 0, age: 1 },
        alone(run(0)),
      ]),
    ],
    before: {
      file: 'sync/plan.ts',
      find: 'const again = acceptable.length === 0 ? putBackInStore(seen, entry, present, superseded) : undefined;',
      replace: 'const again = undefined as Candidate | undefined;',
    },
  },
  {
    name: 'the guard says of an emptied directory in the next run what it said in the first',
    stories: [
      world([false, false], 4, true, [
        alone(run(0, { choice: { kind: 'forget', name: 1 } })),
        { kind: 'directory', host: 1, place: 'auth', how: 'emptied' },
        alone(run(0, { choice: { kind: 'forget', name: 0 } })),
        alone(run(1, { command: 'hydrate' })),
      ]),
    ],
    before: {
      file: 'sync/rules/guard.ts',
      find: "if (decision.kind === 'delete') return deletes(decision, seen);",
      replace: '',
    },
  },
  {
    name: 'a login that reaches the store in the moment of a deletion stays deleted after the next login',
    stories: [
      world([false, false], 1, true, [
        { kind: 'login', host: 1, name: 0, dates: 'refreshed' },
        together(489, run(1), run(0, { choice: { kind: 'forget', name: 0 } })),
        { kind: 'time', seconds: 3600 },
        { kind: 'login', host: 0, name: 0, dates: 'expiring' },
        alone(run(0)),
      ]),
    ],
    before: {
      file: 'sync/apply/unnamed.ts',
      find: 'if (plan.decision.tag === undefined) return [];',
      replace: "if (plan.decision.kind === 'delete') return [];",
    },
  },
  {
    name: 'what a restore replaced in its second try is known to have been replaced',
    stories: [
      world([false, false, false], 1, false, [
        together(0, run(2), run(0)),
        { kind: 'login', host: 2, name: 0, dates: 'refreshed' },
        together(
          594645,
          run(2, { interrupts: [at(1, { kind: 'finish', host: 0 })] }),
          run(0, { choice: { kind: 'forget', name: 0 } }),
          run(0, { choice: { kind: 'restore', name: 0, age: 0 } }),
        ),
        { kind: 'time', seconds: 3600 },
        { kind: 'login', host: 0, name: 0, dates: 'expiring' },
        alone(run(0)),
      ]),
    ],
    before: {
      file: 'sync/apply/store.ts',
      find: '  await supersede(done.flatMap(replacedUnnamed), context);\n',
      replace: '',
    },
  },
  {
    name: 'a restored version is not replaced by the one that it was made of',
    stories: [
      world([true, false], 6, false, [
        alone(
          run(0, {
            crashAt: 62,
            interrupts: [at(1, { kind: 'edit', host: 0, name: 0, place: 'auth', field: 'note' })],
          }),
        ),
        alone(
          run(0, {
            choice: { kind: 'restore', name: 0, age: 0 },
            abortAt: 13,
            interrupts: [at(1, { kind: 'native write', host: 0, name: 5, how: 'new' })],
          }),
        ),
        alone(run(1, { choice: { kind: 'restore', name: 5, age: 0 } })),
        { kind: 'login', host: 0, name: 0, dates: 'refreshed' },
      ]),
    ],
    before: { file: 'sync/rules/choice.ts', find: '    madeOf: of,\n', replace: '' },
  },
];
