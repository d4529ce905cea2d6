/** One credential on its way through a batch of the executor: what its steps tell each other. */
import type { CredentialName } from '../../credential/name.ts';
import type { Version, VersionId } from '../../credential/version.ts';
import {
  type Base,
  type BaseEntry,
  type CredentialPlan,
  type CredentialSnapshot,
  type LocalPlace,
  PLACES,
  type SeenVersion,
  type Snapshot,
  type StorePlace,
} from '../model.ts';
import { effectiveBase } from '../plan.ts';

export interface Work {
  readonly plan: CredentialPlan;
  readonly seen: CredentialSnapshot;
  readonly entry: BaseEntry | undefined;
  readonly bytes: Map<VersionId, Uint8Array>;
  winner: Version | undefined;
  readonly tags: Partial<Record<StorePlace, string>>;
  tombstoneTag: string | undefined;
  readonly removed: LocalPlace[];
  readonly failures: string[];
  /** Local places that one of the failures was to write. */
  readonly unwritten: LocalPlace[];
  lost: boolean;
  /** A program wrote while its file was replaced: what it wrote is back in place, to be planned. */
  changedAgain: boolean;
}

/** A credential's plan at the start of its way. */
export function newWork(plan: CredentialPlan, snapshot: Snapshot, base: Base): Work {
  const seen = snapshot.credentials.get(plan.name);
  /* v8 ignore if -- a plan is of its snapshot's credentials */
  if (!seen) throw new Error(`${plan.name} is in the plan and not in the snapshot`);
  const entry = effectiveBase(base, snapshot, plan.name);
  const bytes = new Map<VersionId, Uint8Array>();
  const add = (version: SeenVersion) => version.bytes && bytes.set(version.id, version.bytes);
  for (const place of PLACES) {
    const sighting = seen[place];
    if (sighting.kind === 'version') add(sighting.version);
  }
  if (plan.decision.kind === 'spread' && plan.decision.winner.from !== 'history')
    add(plan.decision.winner.version);
  return {
    plan,
    seen,
    entry,
    bytes,
    winner: undefined,
    tags: {},
    tombstoneTag: undefined,
    removed: [],
    failures: [],
    unwritten: [],
    lost: false,
    changedAgain: false,
  };
}

/** Whether nothing more is to be done for it in this round. */
export function stopped(item: Work): boolean {
  return item.lost || item.failures.length > 0;
}

/** What a run left in each local place: bytes, or undefined for what it removed. */
export type Written = Record<LocalPlace, Map<CredentialName, Uint8Array | undefined>>;
