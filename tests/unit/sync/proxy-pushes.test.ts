/** What is planned beside a native proxy that pushes to Git by itself. */
import { describe, expect, test } from 'vitest';
import { nextEntry } from '../../../ts/src/sync/base.ts';
import type { BaseEntry, CredentialPlan, Snapshot } from '../../../ts/src/sync/model.ts';
import { effectiveBase, plan } from '../../../ts/src/sync/plan.ts';
import {
  edited,
  inputs,
  invalid,
  native,
  optionsOf,
  v1,
  v2,
  v3,
  type World,
} from '../../scenarios/vocabulary.ts';

function beside(world: World): { plan: CredentialPlan; snapshot: Snapshot; entry: BaseEntry | undefined } {
  const { base, snapshot } = inputs(world);
  const made = plan(base, snapshot, { store: true, proxyPushes: true }, optionsOf(world));
  const [credential] = made.credentials;
  if (!credential || made.consult.length > 0) throw new Error('history was not given');
  return { plan: credential, snapshot, entry: effectiveBase(base, snapshot, credential.name) };
}

function steps({ plan: { actions } }: ReturnType<typeof beside>): string[] {
  return actions.map((action) => ('place' in action ? `${action.kind} ${action.place}` : action.kind));
}

const base = { agreed: v1 };
const history = [{ version: v1 }];
const all = { auth: v1, ccs: v1, store: v1, backup: v1 };

describe('beside a proxy that pushes', () => {
  test('what it refreshed and did not push yet is safe in history, and goes to CCS alone', () => {
    const made = beside({ base, places: { ...all, auth: v2 }, history });
    expect(steps(made)).toEqual(['keep', 'write ccs']);
    expect(made.plan.pending).toEqual(['store', 'backup']);
  });

  test('what it pushed is taken over', () => {
    const made = beside({ base, places: { ...all, auth: v2, store: native(v2) }, history });
    expect(steps(made)).toEqual(['keep', 'write backup', 'write ccs']);
    expect(made.plan.pending).toEqual([]);
  });

  test('a login in CCS is written into the auth dir for it to push', () => {
    const made = beside({ base, places: { ...all, ccs: v2 }, history });
    expect(steps(made)).toContain('write auth');
    expect(made.plan.pending).toEqual(['store', 'backup']);
    expect(steps(beside({ places: { ccs: v1 } }))).toContain('write auth');
  });

  test('what another host changed in the store waits for it', () => {
    const made = beside({ base, places: { ...all, store: v2, backup: v2 }, history });
    expect(steps(made)).toEqual(['write ccs']);
    expect(made.plan.pending).toEqual(['auth']);
  });

  test('nor is a login in CCS written over a file that the store has another version of', () => {
    const made = beside({ base, places: { ...all, ccs: v3, store: v2, backup: v2 }, history });
    expect(steps(made)).not.toContain('write auth');
    expect(made.plan.pending).toContain('auth');
    // The login is safe in history, though nobody may push it now.
    expect(made.plan.actions).toContainEqual(
      expect.objectContaining({ kind: 'keep', where: 'history', version: v3 }),
    );
  });

  test('nor over a file that the proxy changed and did not push yet', () => {
    const made = beside({ base, places: { ...all, auth: v2, ccs: v3 }, history });
    expect(steps(made)).not.toContain('write auth');
    expect(made.plan.pending).toContain('auth');
  });

  test('nor over one that is cut short', () => {
    const made = beside({ base, places: { ...all, auth: invalid('{', 120), ccs: v2 }, history });
    expect(steps(made)).not.toContain('write auth');
    expect(made.plan.pending).toContain('auth');
  });

  test('where the file is missed from the auth dir, and the store has what was there, a login in CCS goes there', () => {
    const { auth: _, ...others } = all;
    expect(steps(beside({ base, places: { ...others, ccs: v2 }, history }))).toContain('write auth');
    // Here another host changed it since, or nobody knows what was there.
    for (const world of [
      { base, places: { ccs: v3, store: v2, backup: v2 }, history },
      { places: { ccs: v2, store: v1, backup: v1 }, history },
    ] satisfies World[]) {
      const made = beside(world);
      expect(steps(made)).not.toContain('write auth');
      expect(made.plan.pending).toContain('auth');
    }
  });

  test('a deletion is recorded; files go with its next start', () => {
    const { ccs, ...others } = all;
    expect(ccs).toBe(v1);
    const made = beside({ base, places: others, history });
    expect(made.plan.decision.kind).toBe('delete');
    expect(steps(made)).toContain('bury');
    expect(steps(made).filter((step) => step.startsWith('remove'))).toEqual([]);
    expect(made.plan.pending).toEqual(['auth', 'store', 'backup']);
  });

  test('once the proxy has pushed the removal, the backup copy goes too', () => {
    const made = beside({ base, places: { ccs: v1, backup: v1 }, tombstone: v1, history });
    expect(steps(made)).toEqual(['remove backup', 'remove ccs']);
    expect(made.plan.pending).toEqual([]);
  });

  test('a file that the proxy puts back after a deletion was put back by no person', () => {
    // Gone from the auth dir by hand; the store still has it, and so the proxy will put it back.
    const { auth, ...others } = all;
    expect(auth).toBe(v1);
    const made = beside({ base, places: others, tombstone: v1, history });
    const seen = made.snapshot.credentials.get(made.plan.name);
    if (!seen) throw new Error('nothing was seen');
    const outcome = { complete: true, tags: {}, removed: [] };
    expect(nextEntry(made.plan, seen, made.entry, made.snapshot, outcome)?.buried?.cleared).toEqual({});
  });

  test('a field that was set by hand in CCS is no different', () => {
    const made = beside({ base, places: { ...all, ccs: edited(v1, { disabled: true }) }, history });
    expect(steps(made)).toContain('write auth');
  });
});
