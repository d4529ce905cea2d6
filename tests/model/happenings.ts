/** What other programs, people, disks and clocks do to a world. */
import type { JsonObject } from '../../ts/src/credential/json.ts';
import { contentOf } from '../../ts/src/credential/version.ts';
import type { HistoryKeep } from '../../ts/src/sync/rules/expendable.ts';
import { HOME, type Host, inodeOf, LOCAL_PLACES, PATHS, pathOf, removeFile, writeFile } from './host.ts';
import type { Ledger } from './ledger.ts';
import { simulation } from './machine/process.ts';
import { type Cloud, putObject } from './memory-store.ts';
import { credentialName, type Dates, type Happening, type StateDamage } from './story.ts';
import { versionIn } from './whereabouts.ts';

export interface World {
  readonly hosts: readonly Host[];
  readonly cloud: Cloud;
  readonly ledger: Ledger;
  /** Counts versions: each has its own. */
  versions: number;
  /** How much history is kept. */
  readonly keep: HistoryKeep | undefined;
  /** Names that other programs touched since this was last emptied. */
  readonly touched: Set<string>;
  /** Versions that were not on the disk yet when another program had written them, as `name id`. */
  readonly fragile: Set<string>;
  /** What was written into a file that our program was replacing: to be found again when the run is over. */
  readonly trace?: ((line: string) => void) | undefined;
  readonly late: { readonly name: string; readonly bytes: Buffer }[];
}

/** A file that came back sooner than this after its removal was put back by a proxy; design, rule 4. */
const PUT_BACK_MS = 60_000;
/** A program that has begun a write ends it within this, or was stopped and begins anew. */
const WRITE_MS = 250;

export function happen(world: World, step: Happening): void {
  simulation.now += 10;
  const host = 'host' in step ? (world.hosts[step.host % world.hosts.length] as Host) : undefined;
  const name = 'name' in step ? credentialName(step.name) : '';
  const { ledger, cloud } = world;
  if (name !== '') world.touched.add(name);
  if (name !== '' && !step.kind.startsWith('native')) ledger.written(name);
  switch (step.kind) {
    case 'time':
      simulation.now += step.seconds * 1000;
      if (step.seconds >= 30) for (const each of world.hosts) each.files.syncAll();
      return;
    case 'outage':
      cloud.outage = step.on;
      return;
    case 'native delete':
      cloud.objects.current.delete(name);
      ledger.native(name, undefined);
      return;
    case 'store lost':
      ledger.emptied();
      for (const area of ['current', 'backup'] as const) cloud.objects[area].clear();
      if (step.what === 'all') {
        ledger.wiped();
        cloud.objects.tombstone.clear();
        cloud.history.clear();
        cloud.pruned.clear();
        cloud.marker = undefined;
      }
      return;
    default:
      break;
  }
  if (!host) return;
  switch (step.kind) {
    case 'login': {
      const bytes = credential(world, host, name, step.dates);
      if (step.isUnsynced) world.fragile.add(`${name} ${versionIn(bytes)?.id}`);
      put(world, host, 'auth', name, bytes, `the login on ${host.name}`, step.isUnsynced);
      return;
    }
    case 'rotate': {
      const bytes = rotated(world, host, present(host, step.place, name));
      if (bytes) put(world, host, step.place, name, bytes, `the refresh on ${host.name}`);
      return;
    }
    case 'edit': {
      const bytes = edited(world, present(host, step.place, name), step.field);
      if (bytes) put(world, host, step.place, name, bytes, `the edit on ${host.name}`);
      return;
    }
    case 'remove':
      if (!inodeOf(host, step.place, name)) return;
      removeFile(host, pathOf(step.place, name));
      // Who still has it open writes into what nobody finds: that is no loss of ours.
      abandonBegun(host, pathOf(step.place, name));
      ledger.deleted(name);
      cleared(world, host, step.place, name);
      return;
    case 'write back': {
      const held = host.held.get(name) ?? [];
      const bytes = held[held.length - 1 - (step.age % Math.max(1, held.length))];
      if (!bytes) return;
      const since = host.cleared.get(`auth ${name}`);
      // What is in a place that has been free of it for so long came by a person, whoever wrote it over that since.
      const isFree = !inodeOf(host, 'auth', name) || cloud.objects.tombstone.has(name);
      const ago = since === undefined ? 0 : host.now() - since;
      // By a clock that was set back in between, it may be as long ago as anything.
      if (isFree && (ago > PUT_BACK_MS || ago < 0)) ledger.putBack(name, bytes);
      ledger.made(bytes, `what ${host.name} had`);
      abandonBegun(host, pathOf('auth', name));
      writeFile(host, pathOf('auth', name), bytes);
      return;
    }
    case 'pause': {
      const inode = inodeOf(host, 'ccs', name);
      if (!inode) return;
      writeFile(host, pathOf('paused', name), inode.bytes);
      removeFile(host, pathOf('ccs', name));
      return;
    }
    case 'unpause': {
      const inode = inodeOf(host, 'paused', name);
      if (!inode) return;
      // Gone from there too, it is as if it was deleted.
      ledger.deleted(name);
      if (!inodeOf(host, 'ccs', name)) writeFile(host, pathOf('ccs', name), inode.bytes);
      removeFile(host, pathOf('paused', name));
      return;
    }
    case 'truncate':
      if (inodeOf(host, step.place, name)) writeFile(host, pathOf(step.place, name), Buffer.alloc(0));
      return;
    case 'half': {
      const before = present(host, step.place, name);
      if (step.place === 'ccs' && (!host.ccs || name.includes('/'))) return;
      const bytes = rotated(world, host, before) ?? credential(world, host, name, 'refreshed');
      const path = pathOf(step.place, name);
      abandonBegun(host, path);
      const inode = writeFile(host, path, bytes.subarray(0, bytes.length >> 1));
      host.begun.push({ path, inode, bytes, since: simulation.now });
      return;
    }
    case 'finish':
      finish(world, host);
      return;
    case 'state':
      damage(host, step.damage);
      ledger.forgot(host);
      return;
    case 'clock':
      host.clock.ahead = step.hours * 3_600_000;
      ledger.clockChanged();
      return;
    case 'native write': {
      const there = versionIn(cloud.objects.current.get(name)?.bytes);
      const old = host.held.get(name)?.[0];
      const fresh =
        rotated(world, host, there && contentOf(there)) ?? credential(world, host, name, 'refreshed');
      const bytes = step.how === 'garbage' ? Buffer.from('<html>') : step.how === 'old' ? old : fresh;
      if (!bytes) return;
      ledger.made(bytes, `the native write on ${host.name}`);
      putObject(cloud, 'current', name, bytes);
      ledger.native(name, bytes);
      return;
    }
    case 'image':
      host.files.syncAll();
      host.image = host.files.clone();
      return;
    case 'restore image':
      if (!host.image) return;
      host.files = host.image.clone();
      // A state that is later than the files would not be rolled back.
      host.oldState = undefined;
      ledger.forgot(host);
      host.begun.length = 0;
      for (const each of allNames(host)) world.touched.add(each);
      return;
    case 'directory': {
      const path = PATHS[step.place];
      if (!host.files.find(path)) return;
      for (const each of allNames(host)) world.touched.add(each);
      for (const [file] of host.files.files(path)) {
        if (step.how === 'emptied' && !file.endsWith('.json')) continue;
        removeFile(host, file);
        abandonBegun(host, file);
        if (step.how === 'emptied') ledger.deleted(file.slice(path.length + 1));
        cleared(world, host, step.place, file.slice(path.length + 1));
      }
      return;
    }
  }
}

/** While the tombstone stands, what came and went again since is nothing that our program knows of. */
function cleared({ cloud }: World, host: Host, place: 'auth' | 'ccs', name: string): void {
  const key = `${place} ${name}`;
  if (!cloud.objects.tombstone.has(name) || !host.cleared.has(key)) host.cleared.set(key, host.now());
}

/** Programs write one file one after the other: who begins has seen the last one end, or it never will. */
function abandonBegun(host: Host, path: string): void {
  host.begun.splice(0, host.begun.length, ...host.begun.filter((each) => each.path !== path));
}

/** Everyone who has begun to write a file finishes it. */
export function finish(world: World, host: Host): void {
  for (const { path, inode, bytes, since } of host.begun.splice(0)) {
    const place = path.startsWith(PATHS.ccs) ? 'ccs' : 'auth';
    const name = path.slice(PATHS[place].length + 1);
    world.touched.add(name);
    world.ledger.written(name);
    world.ledger.made(bytes, `the write on ${host.name}`);
    if (place === 'auth') host.held.set(name, [...(host.held.get(name) ?? []), bytes]);
    if (simulation.now - since > WRITE_MS || host.files.find(path) === inode) {
      writeFile(host, path, bytes);
    } else {
      // It was replaced or removed in between, and the program still has the old file open.
      host.files.setBytes(inode, bytes);
      if (host.files.find(path)) world.late.push({ name, bytes });
    }
  }
}

function put(
  world: World,
  host: Host,
  place: 'auth' | 'ccs',
  name: string,
  bytes: Buffer,
  what: string,
  isUnsynced = false,
): void {
  if (place === 'ccs' && (!host.ccs || name.includes('/'))) return;
  world.ledger.made(bytes, what);
  if (place === 'auth') host.held.set(name, [...(host.held.get(name) ?? []), bytes]);
  abandonBegun(host, pathOf(place, name));
  writeFile(host, pathOf(place, name), bytes, isUnsynced);
}

function present(host: Host, place: 'auth' | 'ccs', name: string): JsonObject | undefined {
  const version = versionIn(inodeOf(host, place, name)?.bytes);
  return version && contentOf(version);
}

function credential(world: World, host: Host, name: string, dates: Dates): Buffer {
  const tokens = newTokens(world);
  return toBytes({ type: 'claude', email: name, ...tokens, ...datesOf(world, host, dates) });
}

function rotated(world: World, host: Host, content: JsonObject | undefined): Buffer | undefined {
  if (!content) return undefined;
  const dates =
    content.last_refresh !== undefined ? 'refreshed' : content.expired !== undefined ? 'expiring' : 'none';
  return toBytes({ ...content, ...newTokens(world), ...datesOf(world, host, dates) });
}

function edited(
  world: World,
  content: JsonObject | undefined,
  field: 'note' | 'disabled',
): Buffer | undefined {
  if (!content) return undefined;
  if (field === 'disabled') return toBytes({ ...content, disabled: content.disabled !== true });
  return toBytes({ ...content, note: `note ${++world.versions}` });
}

/** Always of the same length. */
function newTokens(world: World) {
  const number = String(++world.versions).padStart(4, '0');
  return { access_token: `access ${number}`, refresh_token: `refresh ${number}` };
}

/** Sometimes to the second only, so that two refreshes can be equally fresh. */
function datesOf(world: World, host: Host, dates: Dates): JsonObject {
  const now = world.versions % 2 === 0 ? host.now() : Math.floor(host.now() / 10_000) * 10_000;
  switch (dates) {
    case 'refreshed':
      return { last_refresh: new Date(now).toISOString() };
    case 'expiring':
      return { expired: new Date(now + 5 * 86_400_000).toISOString() };
    case 'far ahead':
      return { last_refresh: new Date(now + 400 * 86_400_000).toISOString() };
    case 'none':
      return {};
  }
}

function toBytes(content: JsonObject): Buffer {
  return Buffer.from(JSON.stringify(content));
}

function allNames(host: Host): string[] {
  return LOCAL_PLACES.flatMap((place) =>
    [...host.files.files(PATHS[place])].map(([path]) => path.slice(PATHS[place].length + 1)),
  );
}

function damage(host: Host, how: StateDamage): void {
  const { files } = host;
  const inState = () => files.files(PATHS.state);
  const tear = (file: string) => {
    for (const [path, inode] of inState())
      if (path.endsWith(file)) files.setBytes(inode, inode.bytes.subarray(0, inode.bytes.length >> 1));
  };
  switch (how) {
    case 'lost':
      for (const [path] of inState()) if (!path.includes('/history/')) files.remove(path);
      break;
    case 'base torn':
      tear('base.json');
      break;
    case 'intents torn':
      tear('intents.json');
      break;
    case 'base gone':
      for (const [path] of inState()) if (path.endsWith('base.json')) files.remove(path);
      break;
    case 'remembered':
      tear('stores.json');
      break;
    case 'rolled back':
      if (!host.oldState) return;
      for (const [path] of inState()) if (!path.includes('/history/')) files.remove(path);
      for (const [path, { bytes }] of host.oldState.files(PATHS.state)) {
        if (!path.startsWith(HOME) || path.includes('/history/')) continue;
        files.ensure(path.slice(0, path.lastIndexOf('/')));
        files.setBytes(files.create(path, 0o600), bytes);
      }
  }
  files.syncAll();
}
