/** What a host remembers after a run. */
import { expect, test } from 'vitest';
import { nextEntry } from '../../../ts/src/sync/base.ts';
import type { CredentialPlan, CredentialSnapshot } from '../../../ts/src/sync/model.ts';
import { effectiveBase } from '../../../ts/src/sync/plan.ts';
import { planFor, unread, v1, v2, v3, v4, type World } from '../../scenarios/vocabulary.ts';

const rotated: World = {
  base: { agreed: v1 },
  places: { auth: v2, ccs: v1, store: unread(v1), backup: unread(v1) },
};

function remembered(world: World, outcome: Partial<Parameters<typeof nextEntry>[4]>) {
  const { base, snapshot, plan } = planFor(world);
  const [planned] = plan.credentials;
  const seen = planned && snapshot.credentials.get(planned.name);
  if (!planned || !seen) throw new Error('nothing was planned');
  const all = { complete: true, winner: v2, tags: {}, removed: [], ...outcome };
  return nextEntry(planned, seen, base.credentials.get(planned.name), snapshot, all);
}

test('all places took the new version: it is agreed, and the old one was replaced', () => {
  const entry = remembered(rotated, {});
  expect(entry?.agreed?.id).toBe(v2.id);
  expect(entry?.at).toEqual({ auth: v2.id, ccs: v2.id, store: v2.id, backup: v2.id });
  expect(entry?.superseded).toEqual([v1.id]);
});

test('a local place could not be written: the others agree, and it keeps the base that it had', () => {
  const entry = remembered(rotated, { unwritten: ['ccs'] });
  expect(entry?.agreed?.id).toBe(v2.id);
  expect(entry?.at).toEqual({ auth: v2.id, ccs: v1.id, store: v2.id, backup: v2.id });
});

test('a local place that never had it could not be written: it is not missed there later', () => {
  const first = { places: { auth: v2 } };
  expect(remembered(first, { unwritten: ['ccs'] })?.at).toEqual({ auth: v2.id, store: v2.id, backup: v2.id });
});

test('the store was not written: the base does not run ahead of it', () => {
  expect(remembered(rotated, { complete: false })?.agreed?.id).toBe(v1.id);
  expect(remembered({ ...rotated, command: 'hydrate' }, {})?.agreed?.id).toBe(v1.id);
  expect(remembered({ ...rotated, without: { remote: 'failed' } }, {})?.agreed?.id).toBe(v1.id);
});

test('what a note says was to be kept counts as not kept, until a run has kept it', () => {
  const noted = { version: v4, held: [], supersedes: [v1, v2, v3] } as const;
  const world: World = {
    base: { agreed: v1, intent: noted },
    places: { auth: v2, ccs: v3, store: v4, backup: v4 },
  };
  const { base, snapshot, plan } = planFor(world);
  const [planned] = plan.credentials as [CredentialPlan];
  const seen = snapshot.credentials.get(planned.name) as CredentialSnapshot;
  const entry = effectiveBase(base, snapshot, planned.name);
  expect(entry?.unkept).toEqual([v2.id, v3.id]);
  const outcome = { complete: true, winner: v4, tags: {}, removed: [] };
  expect(nextEntry(planned, seen, entry, snapshot, outcome)?.unkept).toBeUndefined();
  const half = planned.actions.filter((action) => action.kind !== 'keep' || action.version.id !== v3.id);
  expect(nextEntry({ ...planned, actions: half }, seen, entry, snapshot, outcome)?.unkept).toEqual([v3.id]);
});

test('a deletion that is not complete does not miss the file again where it was removed', () => {
  const buried: World = { base: { agreed: v1 }, tombstone: v1, places: { auth: v1, ccs: v1 } };
  const entry = remembered(buried, { complete: false, removed: ['auth'] });
  expect(entry?.at).toEqual({ ccs: v1.id, store: v1.id, backup: v1.id });
  expect(entry?.buried?.tombstone.version).toBe(v1.id);
});
