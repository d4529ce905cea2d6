/** Where versions are: in the places of all hosts, in the store, in the store's history and in that of each host. */
import {
  contentOf,
  parseCredential,
  type Version,
  type VersionId,
  versionOf,
} from '../../ts/src/credential/version.ts';
import { type Host, inodeOf, keptOnHost, LOCAL_PLACES, PATHS } from './host.ts';
import type { Cloud } from './memory-store.ts';

/** Everywhere that a version can be. */
export interface Everywhere {
  readonly hosts: readonly Host[];
  readonly cloud: Cloud;
}

const parsedBytes = new WeakMap<Uint8Array, Version | 'invalid'>();

/** The version in these bytes; undefined if they are no credential. Remembered by buffer: none ever changes. */
export function versionIn(bytes: Uint8Array | undefined): Version | undefined {
  if (!bytes) return undefined;
  const known = parsedBytes.get(bytes);
  if (known) return known === 'invalid' ? undefined : known;
  const parsed = parseCredential(bytes);
  parsedBytes.set(bytes, parsed.ok ? parsed.version : 'invalid');
  return parsed.ok ? parsed.version : undefined;
}

/** In how many places a version of a credential is. */
export function countCopies({ hosts, cloud }: Everywhere, name: string, id: VersionId): number {
  let count = cloud.history.get(name)?.has(id) ? 1 : 0;
  for (const area of ['current', 'backup'] as const)
    if (versionIn(cloud.objects[area].get(name)?.bytes)?.id === id) count++;
  for (const host of hosts) {
    if (versionIn(keptOnHost(host, name, id))?.id === id) count++;
    for (const place of [...LOCAL_PLACES, 'paused'] as const)
      if (versionIn(inodeOf(host, place, name)?.bytes)?.id === id) count++;
  }
  return count;
}

/** All versions that are anywhere, as `name id`. */
export function allVersions({ hosts, cloud }: Everywhere): Set<string> {
  const all = new Set<string>();
  const add = (name: string, bytes: Uint8Array | undefined) => {
    const version = versionIn(bytes);
    if (version) all.add(`${name} ${version.id}`);
  };
  for (const [name, entries] of cloud.history) for (const { bytes } of entries.values()) add(name, bytes);
  for (const area of ['current', 'backup'] as const)
    for (const [name, { bytes }] of cloud.objects[area]) add(name, bytes);
  for (const host of hosts) {
    for (const place of [...LOCAL_PLACES, 'paused'] as const)
      for (const [path, { bytes }] of host.files.files(PATHS[place]))
        if (path.endsWith('.json')) add(path.slice(PATHS[place].length + 1), bytes);
    const kept = `${PATHS.state}/history`;
    // What a killed run had begun to keep was never kept.
    for (const [path, { bytes }] of host.files.files(kept))
      if (path.endsWith('.json')) add(path.slice(kept.length + 1, path.lastIndexOf('/')), bytes);
  }
  return all;
}

/** Whether this is what a deletion writes before it unlinks: a version that is kept, marked disabled. */
export function isMarkOfKept({ hosts, cloud }: Everywhere, name: string, id: VersionId): boolean {
  for (const { bytes } of cloud.history.get(name)?.values() ?? []) {
    const kept = versionIn(bytes);
    if (kept && markedOf(kept) === id) return true;
  }
  for (const host of hosts) {
    for (const [, inode] of host.files.files(`${PATHS.state}/history/${name}`)) {
      const kept = versionIn(inode.bytes);
      if (kept && markedOf(kept) === id) return true;
    }
  }
  return false;
}

const marked = new WeakMap<Uint8Array, VersionId>();

/** A version as a deletion marks it. */
export function markedOf(version: Version): VersionId {
  const known = marked.get(version.bytes);
  if (known) return known;
  const { id } = versionOf({ ...contentOf(version), disabled: true });
  marked.set(version.bytes, id);
  return id;
}
