import { describe, expect, test } from 'vitest';
import { STORE_PLACES } from '../../ts/src/sync/model.ts';
import { type Case, table } from './table.ts';
import { type Expectation, nameOf, outcomeOf, type Planned, planFor, type World } from './vocabulary.ts';

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
    if (isStoreEmpty(planned)) continue;
    const unasked = planFor(withoutHistory(row));
    for (const { name } of planned.plan.credentials) {
      if (unasked.plan.consult.includes(name)) continue;
      expect(inWords(outcomeOf(unasked, name)), row.case).toEqual(inWords(outcomeOf(planned, name)));
    }
  }
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

/** Where the store has no credential at all, the snapshot brings its history unasked. */
function isStoreEmpty({ snapshot }: Planned): boolean {
  return [...snapshot.credentials.values()].every((seen) =>
    STORE_PLACES.every((place) => seen[place].kind === 'absent'),
  );
}
