import { describe, expect, test } from 'vitest';
import { type Case, table } from './table.ts';
import { type Expectation, nameOf, outcomeOf, planFor } from './vocabulary.ts';

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
      for (const action of actions) expect(action.reason, row.case).toMatch(/\S.*[^.]$/);
    }
  }
});

function isOne(value: Case['expect']): value is Expectation {
  return 'decision' in value && typeof value.decision === 'string';
}

function inWords({ winner, ...rest }: Expectation) {
  return { ...rest, ...(winner && { winner: nameOf(winner) }) };
}
