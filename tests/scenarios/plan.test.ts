import { describe, expect, test } from 'vitest';
import type { Version } from '../../ts/src/credential/version.ts';
import { winnerId } from '../../ts/src/sync/model.ts';
import { type Case, table } from './table.ts';
import {
  type Expectation,
  everywhere,
  invalid,
  nameOf,
  outcomeOf,
  planFor,
  unread,
  v1,
  v1disabled,
  v2,
  v3,
  type World,
} from './vocabulary.ts';

const sections = new Map<string, Case[]>();
for (const row of table) sections.set(row.section, [...(sections.get(row.section) ?? []), row]);

describe.each([...sections])('%s', (_, rows) => {
  test.each(rows.map((row) => [row.case, row] as const))('%s', (_, row) => {
    const planned = planFor(row);
    const expected = isOne(row.expect) ? { 'a.json': row.expect } : row.expect;
    for (const [name, expectation] of Object.entries(expected)) {
      expect(inWords(outcomeOf(planned, name)), name).toEqual(inWords(expectation));
    }
    expect(planned.plan.guard?.names ?? []).toEqual(row.guarded ?? []);
  });
});

test('no case is told twice', () => {
  const cases = table.map((row) => `${row.section}: ${row.case}`);
  expect(new Set(cases).size).toBe(cases.length);
});

test('every action and every decision says why', () => {
  for (const row of table) {
    for (const { decision, actions } of planFor(row).plan.credentials) {
      if ('reason' in decision) expect(decision.reason, row.case).toMatch(/\S/);
      for (const action of actions) {
        expect(action.reason, row.case).toMatch(/\S.*[^.]$/);
        expect(action.reason, row.case).not.toMatch(/undefined|nowhere/);
      }
    }
  }
});

test('history that the planner would not ask for changes nothing that it decides', () => {
  for (const row of table) {
    const planned = planFor(row);
    const unasked = planFor(withoutHistory(row));
    for (const { name } of planned.plan.credentials) {
      if (unasked.plan.consult.includes(name)) continue;
      expect(inWords(outcomeOf(unasked, name)), row.case).toEqual(inWords(outcomeOf(planned, name)));
    }
  }
});

test('a plan is told by name, however the places were listed', () => {
  const setup = { places: { auth: v1 } };
  const { plan } = planFor({ others: { 'b.json': setup, 'a.json': setup, 'c.json': setup } });
  expect(plan.credentials.map(({ name }) => name)).toEqual(['a.json', 'b.json', 'c.json']);
});

test('what is written or removed is so on the condition of what was seen, a tombstone too', () => {
  for (const row of table) {
    const { plan, snapshot } = planFor(row);
    for (const { name, decision, actions } of plan.credentials) {
      const seen = snapshot.credentials.get(name);
      for (const action of actions) {
        if ('seen' in action) expect(action.seen, row.case).toBe(seen?.[action.place]);
        if (action.kind === 'unbury') expect(action.tag, row.case).toBe('tag T');
        if (action.kind === 'bury' && decision.kind === 'delete') {
          expect(action, row.case).toStrictEqual({
            kind: 'bury',
            tombstone: decision.tombstone,
            reason: decision.reason,
            ...('over' in decision && { over: decision.over }),
          });
        }
      }
    }
  }
});

test('where no credential is written over, that is said', () => {
  const garbage = { ...everywhere(v1), store: invalid('<html>'), ccs: v2 };
  const { plan } = planFor({ base: { agreed: v1 }, places: garbage, history: [{ version: v1 }] });
  const reasons = (plan.credentials[0]?.actions ?? []).flatMap((action) =>
    action.kind === 'write' ? [[action.place, action.reason.includes('the file in the store')]] : [],
  );
  expect(reasons).toEqual([
    ['store', true],
    ['backup', false],
    ['auth', false],
  ]);
});

test('no version is counted among those that lost to it', () => {
  for (const row of table) {
    for (const { decision } of planFor(row).plan.credentials) {
      if (decision.kind !== 'spread') continue;
      expect(
        decision.losers.map(({ id }) => id),
        row.case,
      ).not.toContain(winnerId(decision.winner));
    }
  }
});

test('of several changes it is said which was taken whole, and which only gave its tokens', () => {
  const history = [{ version: v1 }, { version: v3, replaces: [v1] }];
  const reason = (auth: Version) => {
    const { plan } = planFor({
      base: { agreed: v1 },
      places: { auth, ccs: v1, store: v3, backup: v3 },
      history,
    });
    const decision = plan.credentials[0]?.decision;
    return decision?.kind === 'spread' ? decision.reason : '';
  };
  expect(reason(v2)).toContain('taken is the one from the store and the backup copy');
  expect(reason(v1disabled)).toContain('merged, with the tokens from the store and the backup copy');
  expect(reason(v1disabled)).toContain(
    'changed independently in the store, the backup copy and the auth dir',
  );
});

test('a plan is not made of a change whose content was not read', () => {
  const world = {
    base: { agreed: v1 },
    places: { ...everywhere(v1), auth: v2, store: unread(v3) },
    history: [],
  };
  expect(() => planFor(world)).toThrow('without its bytes');
});

function isOne(value: Case['expect']): value is Expectation {
  return 'decision' in value && typeof value.decision === 'string';
}

function inWords({ winner, ...rest }: Expectation) {
  return { ...rest, ...(winner && { winner: nameOf(winner) }) };
}

/** As the planner meets it first: history is read only where it asks for it. */
function withoutHistory({ history: _, others = {}, ...rest }: Case): World {
  const unasked = Object.entries(others).map(([name, { history: _, ...setup }]) => [name, setup]);
  return { ...rest, others: Object.fromEntries(unasked) };
}
