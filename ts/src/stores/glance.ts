import { sha256 } from '../credential/version.ts';
import type { Store } from './store.ts';

/** One text for what is listed: names, each with what changes whenever its content does. Order is of no account. */
export function glanceOf(entries: Iterable<readonly [name: string, stamp: string]>): string {
  return sha256(JSON.stringify([...entries].map(([name, stamp]) => `${name}\n${stamp}`).sort()));
}

/** A glance at any store: its own, or a listing. */
export async function glanceAt(store: Store): Promise<string> {
  if (store.glance) return store.glance();
  const { present, current, tombstones } = await store.list();
  const listed = [...current, ...[...tombstones].map(([name, object]) => [`${name} gone`, object] as const)];
  return present ? glanceOf(listed.map(([name, { tag }]) => [name, tag])) : 'absent';
}
