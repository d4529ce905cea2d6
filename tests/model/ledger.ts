/**
 * The invariants. The ledger sees every change that any of our programs makes, before it happens, and knows the whole
 * world: so each rule is said once, about every single write, and not about the end of a run.
 */
import { compareFreshness, type Freshness } from '../../ts/src/credential/freshness.ts';
import type { Version, VersionId } from '../../ts/src/credential/version.ts';
import { type Host, LOCAL_PLACES, PATHS } from './host.ts';
import { type Machine, type Process, simulation } from './machine/process.ts';
import type { StoreArea, Witness } from './machine/witness.ts';
import type { Cloud } from './memory-store.ts';
import { allVersions, countCopies, isMarkOfKept, markedOf, versionIn } from './whereabouts.ts';

/** A promise was broken. */
export class Violation extends Error {
  readonly invariant: string;

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

export interface Ledger extends Witness {
  readonly violations: Violation[];
  /** A version by another program; `what` is how a person would call it. */
  made(bytes: Buffer, what: string): void;
  /** Another program writes a file of this name: what was there is not ours to answer for any more. */
  written(name: string): void;
  /** Another program wrote the store's current object. */
  native(name: string, bytes: Buffer | undefined): void;
  /** All of the store's objects are about to be wiped. */
  emptied(): void;
  /** A person or a program deleted this credential from a host: a tombstone may be written for it. */
  deleted(name: string): void;
  /** A person had this version made out of an older one, and it is fresher than all that was. */
  chosen(name: string, bytes: Uint8Array, what: string): void;
  /** A person put this version back after it was deleted: it may live again. */
  putBack(name: string, bytes: Buffer): void;
  /** The store is about to be wiped, history and all: what is known of order and deletions goes with it. */
  wiped(): void;
  /** A run is over; `disturbed` are the names that other programs wrote while it was killed. */
  runEnded(disturbed: ReadonlySet<string>): void;
  /** A process of a machine has carried out, for all credentials, what it saw. */
  learned(process: Process): void;
  /** A machine lost its memory: until it looks at the store again it knows nothing. */
  forgot(machine: Machine): void;
  /** A clock was set: from now on dates say nothing about order. */
  clockChanged(): void;
  /** Whether a version of a credential is anywhere at all. */
  isHeld(name: string, id: VersionId): boolean;
  /** Whether nobody has to have it any more: somebody wiped it, or it was taken out of history for its age. */
  mayBeGone(name: string, id: VersionId): boolean;
  /** All versions that are anywhere, as `name id`. */
  everything(): Set<string>;
  label(id: VersionId): string;
  violate(invariant: string, message: string): void;
}

export function newLedger(hosts: readonly Host[], cloud: Cloud): Ledger {
  const places = { hosts, cloud };
  const violations: Violation[] = [];
  const labels = new Map<VersionId, string>();
  const madeAt = new Map<VersionId, number>();
  /** Per credential, what was the store's current version, in order of arrival. */
  const arrivals = new Map<
    string,
    {
      readonly id: VersionId;
      readonly ours: boolean;
      readonly count: number;
      /** What it replaced, where that is not all before it. */
      readonly only?: ReadonlySet<VersionId>;
    }[]
  >();
  let arrived = 0;
  /** How many had arrived when a process looked at the store: what it can know of. */
  const seen = new WeakMap<Process, number>();
  /** How many had when the last process looked that carried out, on that machine, all that it had to: it remembers. */
  const known = new Map<Machine, number>();
  /** Versions that a tombstone of ours named, with what went with them, since the name last lived by a person's hand. */
  const dead = new Map<string, Map<VersionId, number>>();
  /** What was dead when a person restored the name: replaced, and dead again with what replaced it. */
  const outlived = new Map<string, ReadonlyMap<VersionId, number>>();
  /** What was current when others took it out of the store, until it is back or a newer one is. */
  const takenAway = new Map<string, { readonly id: VersionId; readonly count: number; isTaken: boolean }>();
  /** What a wipe of all took away, until it or a fresher one is there: each host knows another order. */
  const unsettled = new Map<string, { readonly id: VersionId; readonly count: number }>();
  const freshnessOf = new Map<VersionId, Freshness>();
  /** All tombstones that ever stood. */
  const tombstones = new Map<
    string,
    { readonly buried: readonly VersionId[]; readonly freshness: Freshness }[]
  >();
  /** How many versions had been made when a person last forgot a name: all of those may go. */
  const forgotten = new Map<string, number>();
  const restored = new Set<string>();
  /** How many versions had been made when a person had this one made out of an older one. */
  const chosenAt = new Map<VersionId, number>();
  /** How many had when a program last wrote a name's file. */
  const writtenAt = new Map<string, number>();
  /** How many versions had arrived when a person or a program last deleted a name. */
  const deletedAt = new Map<string, number>();
  /** Versions that only a history had that somebody wiped: a host that cannot see that believes them safe. */
  const wipedVersions = new Set<string>();
  /** Versions that retention took out of history: nobody has to keep them any more. */
  const expired = new Set<string>();
  /** What they are as a deletion marks them. */
  const expiredMarks = new Set<string>();
  /** Versions that another program wrote to the store. */
  const natives = new Set<VersionId>();
  let datesHold = true;
  /** What is settled when the run is over: it may still have open the file that it replaced or removed. */
  const suspects: { readonly name: string; readonly isWrong: () => boolean; readonly say: () => void }[] = [];

  const violate = (invariant: string, message: string) => {
    const process = simulation.current;
    const who = process ? ` [${process.name}; last: ${process.log.slice(-6).join('; ')}]` : '';
    violations.push(new Violation(invariant, message + who));
  };
  const label = (id: VersionId) => labels.get(id) ?? `${id.slice(0, 6)}`;

  function arrivalsOf(name: string) {
    const list = arrivals.get(name) ?? [];
    arrivals.set(name, list);
    return list;
  }

  /** The first was current before the second ever was, and again after it: each replaced the other once. */
  function wasBack(name: string, first: VersionId, second: VersionId): boolean {
    const ids = arrivalsOf(name).map(({ id }) => id);
    return ids.includes(first) && ids.indexOf(first) < ids.indexOf(second);
  }

  function knownNow(): number {
    const process = simulation.current;
    if (!process) return arrived;
    // A store that fails in the middle of a look is out of reach: what was listed until then counts for nothing.
    const failed = process.log.some((line) => /^(unreachable|refused|lost answer) from/.test(line));
    return (failed ? undefined : seen.get(process)) ?? known.get(process.machine) ?? 0;
  }

  /** Whether one of our programs made another version current after this one was. */
  function isSuperseded(name: string, id: VersionId): boolean {
    if (restored.has(`${name} ${id}`)) return false;
    const upTo = knownNow();
    const list = arrivalsOf(name).filter(({ count }) => count <= upTo);
    const last = list.findLastIndex((arrival) => arrival.id === id);
    return (
      last >= 0 &&
      list
        .slice(last + 1)
        .some(({ id: later, ours, only }) => ours && later !== id && only?.has(id) !== false)
    );
  }

  /** Where the store's objects were wiped, history still tells what had been replaced. */
  function isReplacedInHistory(name: string, id: VersionId): boolean {
    return [...(cloud.history.get(name)?.values() ?? [])].some(({ replaces }) => replaces.includes(id));
  }

  /** What history says this version replaced: it may be a native proxy's, which one of our programs then took. */
  function replacedBy(name: string, id: VersionId): readonly VersionId[] {
    return cloud.history.get(name)?.get(id)?.replaces ?? [];
  }

  /** Whether the machine at work has a base for a name. */
  function isRemembered(name: string): boolean {
    const host = hosts.find((one) => one === simulation.current?.machine);
    return [...(host?.files.files(`${PATHS.state}/stores`) ?? [])].some(
      ([path, { bytes }]) => path.endsWith('/base.json') && bytes.includes(JSON.stringify(name)),
    );
  }

  /** What a deletion writes before it unlinks: a version that is kept, marked disabled. */
  function isMarkedForRemoval(name: string, id: VersionId): boolean {
    return expiredMarks.has(`${name} ${id}`) || isMarkOfKept(places, name, id);
  }

  const copies = (name: string, id: VersionId) => countCopies(places, name, id);

  /** One of our programs replaces or removes what lies in a place. */
  function change(
    where: string,
    name: string,
    before: Version | undefined,
    after: Version | undefined,
    inPlace: () => Uint8Array | undefined,
  ): void {
    const now = simulation.current?.machine.now() ?? simulation.now;
    const knownThen = knownNow();
    // What a program wrote into a file while that was replaced takes its place again, to be planned next.
    const isLate = after !== undefined && (madeAt.get(after.id) ?? 0) > knownThen;
    if (before && before.id !== after?.id) {
      const marked = isMarkedForRemoval(name, before.id);
      // Another program's write just after our look, where the store has no conditions: nobody can know of it.
      const isUnseen =
        !cloud.conditions && natives.has(before.id) && (madeAt.get(before.id) ?? 0) > knownThen;
      if (copies(name, before.id) < 2 && !marked && !isUnseen)
        suspects.push({
          name,
          isWrong: () => copies(name, before.id) === 0 && !mayBeGone(name, before.id),
          say: () =>
            violate(
              'no version is lost',
              `${name}: ${label(before.id)} left ${where}, and nothing has it any more`,
            ),
        });
      if (!after && !marked && !isUnseen && !mayBeRemoved(name, before, now)) {
        const count = arrived;
        suspects.push({
          name,
          // What was written in that moment is put back, and may then be deleted or replaced by others.
          isWrong: () =>
            versionIn(inPlace())?.id !== before.id &&
            Math.max(deletedAt.get(name) ?? 0, writtenAt.get(name) ?? 0) <= count,
          say: () =>
            violate('nothing is removed without a tombstone', `${name}: ${label(before.id)} left ${where}`),
        });
      }
      const isDead = (dead.get(name)?.has(before.id) ?? false) || isForgotten(name, before.id);
      const isOld = isDead || isSuperseded(name, before.id) || isReplacedInHistory(name, before.id);
      const isOrdered = cloud.conditions && (unsettled.get(name)?.id ?? before.id) === before.id;
      if (after && isOrdered && !isOld && !isLate && !isMarkedForRemoval(name, after.id)) {
        if (isSuperseded(name, after.id) && !wasBack(name, before.id, after.id))
          violate(
            'no version is replaced by an older one',
            `${name}: ${label(before.id)} in ${where} is replaced by ${label(after.id)}, which was replaced before`,
          );
        else if (
          datesHold &&
          compareFreshness(before.freshness, after.freshness, now) > 0 &&
          !wasReplaced(name, before, after) &&
          // No fresher than what was deleted, it would have lost to that, which lost to what lives now.
          !mayBeRemoved(name, before, now)
        )
          suspects.push({
            name,
            // What is written in the moment of the replacement takes its place again before the run is over.
            isWrong: () => (madeAt.get(before.id) ?? 0) <= knownThen || versionIn(inPlace())?.id === after.id,
            say: () =>
              violate(
                'no version is replaced by an older one',
                `${name}: ${label(before.id)} in ${where} is replaced by ${label(after.id)}, which is less fresh`,
              ),
          });
      }
    }
    const mayLive = () =>
      restored.has(`${name} ${after?.id}`) || (after && isMarkedForRemoval(name, after.id));
    const buried = after && dead.get(name)?.get(after.id);
    // A host that looked before the deletion may still write; whoever looks next puts that right.
    // Where the objects were taken away, the file of a host that does not remember it is a new login; and what that
    // made current in ignorance, those who remember set right, each as it knows.
    const lost = takenAway.get(name);
    const isNew = lost !== undefined && (lost.isTaken || !isRemembered(name));
    if (after && buried !== undefined && buried <= knownThen && !isLate && !isNew && !mayLive())
      violate('what was deleted stays deleted', `${name}: ${label(after.id)} comes back into ${where}`);
  }

  function mayBeGone(name: string, id: VersionId): boolean {
    const key = `${name} ${id}`;
    return wipedVersions.has(key) || expired.has(key) || isMarkedForRemoval(name, id);
  }

  /** Whether it was there when a person last forgot the name. */
  function isForgotten(name: string, id: VersionId): boolean {
    const since = madeAt.get(id) ?? chosenAt.get(id) ?? Number.POSITIVE_INFINITY;
    return since <= (forgotten.get(name) ?? 0);
  }

  /** Whether a tombstone that ever stood covers a version. */
  function mayBeRemoved(name: string, version: Version, now: number): boolean {
    if (isForgotten(name, version.id)) return true;
    return (tombstones.get(name) ?? []).some(
      ({ buried, freshness }) =>
        buried.some((id) => id === version.id || replacedBy(name, id).includes(version.id)) ||
        isSuperseded(name, version.id) ||
        isReplacedInHistory(name, version.id) ||
        compareFreshness(version.freshness, freshness, now) <= 0,
    );
  }

  /** Whether a run that saw what arrived as this one was carried out in full. */
  function isLearned(count: number): boolean {
    return [...known.values()].some((upTo) => upTo >= count);
  }

  function endDeletion(name: string): void {
    outlived.set(name, new Map([...(outlived.get(name) ?? []), ...(dead.get(name) ?? [])]));
    dead.delete(name);
  }

  /** This version arrived where the one that was current had been taken away. */
  function settle(name: string, next: Version): void {
    const lost = unsettled.get(name);
    if (!lost) return;
    const known = freshnessOf.get(lost.id);
    const isNewer =
      (madeAt.get(next.id) ?? chosenAt.get(next.id) ?? 0) > lost.count &&
      known !== undefined &&
      compareFreshness(next.freshness, known, simulation.current?.machine.now() ?? simulation.now) >= 0;
    if (next.id === lost.id || isNewer) unsettled.delete(name);
  }

  /** A version that is less fresh by its date may be the later one: the other was dated by a clock that is ahead. */
  function wasReplaced(name: string, before: Version, after: Version): boolean {
    const list = arrivalsOf(name);
    const first = list.findIndex(({ id }) => id === before.id);
    return first >= 0 && list.findLastIndex(({ id }) => id === after.id) > first;
  }

  return {
    violations,
    violate,
    label,
    made(bytes, what) {
      const version = versionIn(bytes);
      if (!version) return;
      if (!labels.has(version.id)) labels.set(version.id, what);
      madeAt.set(version.id, ++arrived);
    },
    written(name) {
      writtenAt.set(name, ++arrived);
    },
    native(name, bytes) {
      const version = versionIn(bytes);
      if (version) freshnessOf.set(version.id, version.freshness);
      const list = arrivalsOf(name);
      const last = list.at(-1);
      // None of our programs ever saw it in the store.
      if (last && !last.ours && !cloud.history.get(name)?.has(last.id)) list.pop();
      // Nor this one, when its writer was killed: only history has it, which does not say that it was ever current, and
      // so not that it replaced anything.
      else if (last?.ours && version && !isLearned(last.count)) list.splice(-1, 1, { ...last, ours: false });
      if (version) {
        natives.add(version.id);
        list.push({ id: version.id, ours: false, count: ++arrived });
      }
      // Who writes next replaces nothing that it could know of.
      else {
        if (last) takenAway.set(name, { ...last, count: ++arrived, isTaken: false });
        arrivals.delete(name);
      }
    },
    emptied() {
      for (const name of cloud.objects.current.keys()) {
        this.native(name, undefined);
        const lost = takenAway.get(name);
        if (lost) unsettled.set(name, { id: lost.id, count: lost.count });
      }
    },
    deleted(name) {
      deletedAt.set(name, ++arrived);
    },
    chosen(name, bytes, what) {
      const version = versionIn(bytes);
      if (!version) return;
      if (!labels.has(version.id)) labels.set(version.id, what);
      restored.add(`${name} ${version.id}`);
      chosenAt.set(version.id, ++arrived);
    },
    putBack(name, bytes) {
      const version = versionIn(bytes);
      if (version) restored.add(`${name} ${version.id}`);
    },
    wiped() {
      for (const [name, entries] of cloud.history)
        for (const id of entries.keys()) wipedVersions.add(`${name} ${id}`);
      arrivals.clear();
      dead.clear();
      outlived.clear();
      restored.clear();
    },
    runEnded(disturbed) {
      for (const { name, isWrong, say } of suspects.splice(0)) if (!disturbed.has(name) && isWrong()) say();
    },
    learned(process) {
      const count = seen.get(process);
      if (count !== undefined) known.set(process.machine, Math.max(count, known.get(process.machine) ?? 0));
    },
    forgot(machine) {
      known.delete(machine);
    },
    clockChanged() {
      datesHold = false;
    },
    isHeld: (name, id) => copies(name, id) > 0,
    mayBeGone,
    everything: () => allVersions(places),

    file(machine: Machine, path: string, before, after) {
      for (const place of LOCAL_PLACES) {
        if (!path.startsWith(`${PATHS[place]}/`) || !path.endsWith('.json')) continue;
        const name = path.slice(PATHS[place].length + 1);
        const where = `${machine.name}'s ${place === 'auth' ? 'auth dir' : 'CCS dir'}`;
        const next = versionIn(after);
        if (after && !next) violate('nothing invalid is ever written', `${name} in ${where}`);
        change(where, name, versionIn(before), next, () => machine.files.find(path)?.bytes);
        const host = hosts.find((one) => one === machine);
        if (!after) host?.cleared.set(`${place} ${name}`, machine.now());
        else if (place === 'auth' && host) {
          // The proxy loads it.
          host.held.set(name, [...(host.held.get(name) ?? []), after]);
        }
      }
    },
    object(area: StoreArea, name, before, after) {
      if (area === 'tombstone') {
        if (after) {
          if (!deletedAt.has(name)) violate('nothing is deleted that nobody deleted', name);
          const record = JSON.parse(Buffer.from(after).toString());
          const { version: id, lastRefreshMs: lastRefresh, expiredMs: expired, also = [] } = record;
          if (record.forgotten) forgotten.set(name, arrived);
          const freshness = { ...(lastRefresh && { lastRefresh }), ...(expired && { expired }) };
          tombstones.set(name, [...(tombstones.get(name) ?? []), { buried: [id, ...also], freshness }]);
          const count = ++arrived;
          // Who deletes after a wipe of all objects need not know what had outlived those.
          const withIt = unsettled.has(name) ? [] : (outlived.get(name) ?? []);
          const buried = new Map([...(dead.get(name) ?? []), ...withIt]);
          for (const each of [id, ...also]) {
            buried.set(each, count);
            restored.delete(`${name} ${each}`);
          }
          dead.set(name, buried);
          outlived.delete(name);
        }
        return;
      }
      const next = versionIn(after);
      if (next) freshnessOf.set(next.id, next.freshness);
      if (after && !next) violate('nothing invalid ever reaches a store', `${name} as ${area}`);
      if (area !== 'current' && area !== 'backup') return;
      const where = area === 'current' ? 'the store' : 'the backup copy';
      change(where, name, versionIn(before), next, () => cloud.objects[area].get(name)?.bytes);
      if (area !== 'current' || !next) return;
      // An old file that was put back ended the deletion: it replaced what that named, not what it covered by its date.
      const isPutBack = restored.has(`${name} ${next.id}`) && !chosenAt.has(next.id);
      const only = isPutBack ? new Set(dead.get(name)?.keys()) : undefined;
      arrivalsOf(name).push({ id: next.id, ours: true, count: ++arrived, ...(only && { only }) });
      // What a person restored ended the deletion; what was deleted is now what that one replaced.
      if (chosenAt.has(next.id)) endDeletion(name);
      const lost = takenAway.get(name);
      if (lost && (next.id === lost.id || (madeAt.get(next.id) ?? 0) > lost.count)) takenAway.delete(name);
      else if (lost) lost.isTaken = true;
      settle(name, next);
    },
    pruned(name, id) {
      const version = id as VersionId;
      const last = arrivalsOf(name).at(-1);
      // A native proxy may have written it back since our look.
      const isUnseen = last?.id === version && !last.ours && last.count > knownNow();
      const held = (['current', 'backup'] as const).some(
        (area) =>
          versionIn(cloud.objects[area].get(name)?.bytes)?.id === version &&
          !(area === 'current' && isUnseen),
      );
      const tombstone = cloud.objects.tombstone.get(name);
      if (held || (tombstone && JSON.parse(tombstone.bytes.toString()).version === version))
        violate('history keeps what counts', `${name}: ${label(version)} is taken out of it`);
      expired.add(`${name} ${version}`);
      const kept = versionIn(cloud.history.get(name)?.get(id)?.bytes);
      if (kept) expiredMarks.add(`${name} ${markedOf(kept)}`);
    },
    listed() {
      if (simulation.current) seen.set(simulation.current, arrived);
    },
  };
}
