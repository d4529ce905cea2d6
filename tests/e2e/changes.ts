/** What a run is disturbed in the middle of, and what must hold then and after the next one. */
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import {
  asThere,
  credential,
  done,
  expectInStep,
  type Home,
  held,
  isKept,
  put,
  stored,
  sync,
  type World,
} from './world.ts';

export const EMAIL = 'me@example.com';

/**
 * A login here and one there, a refresh here, one there, two that meet, a deletion; two that nothing happens to.
 */
export interface Changes {
  /** What all places are to hold in the end. */
  readonly final: Record<string, Buffer>;
  /** All contents that a credential ever had. */
  readonly versions: ReadonlyMap<string, readonly Buffer[]>;
}

/** Makes them, with `home` and the store in step before. */
export async function makeChanges(world: World, home: Home): Promise<Changes> {
  const names = ['refreshed', 'theirs', 'both', 'deleted', 'x', 'y'];
  const before = Object.fromEntries(names.map((name) => [`${name}.json`, credential(EMAIL, 0)]));
  await put(home.authDir, before);
  await done(sync(home));
  const here = {
    'refreshed.json': credential(EMAIL, 5),
    'both.json': credential(EMAIL, 6),
    'new.json': credential(EMAIL, 1),
  };
  const there = {
    'theirs.json': credential(EMAIL, 5),
    'both.json': credential(EMAIL, 7),
    'new-there.json': credential(EMAIL, 1),
  };
  await put(home.authDir, here);
  await rm(join(home.authDir, 'deleted.json'));
  for (const [name, bytes] of Object.entries(there)) await world.store.write(`auths/${name}`, bytes);
  const { 'deleted.json': _, ...left } = before;
  const versions = new Map<string, Buffer[]>();
  for (const files of [before, here, there])
    for (const [name, bytes] of Object.entries(files))
      versions.set(name, [...(versions.get(name) ?? []), bytes]);
  return { final: { ...left, ...here, ...there }, versions };
}

/** After a kill: every place holds whole files, each of them a version that was there or is to be. */
export async function expectWhole(world: World, home: Home, { versions }: Changes): Promise<void> {
  const known = new Map(
    [...versions].map(([name, contents]) => [
      name,
      contents.map((bytes) => asThere(world.settings, String(bytes))),
    ]),
  );
  // On its way out, a deleted file is disabled first.
  const disabled = versions
    .get('deleted.json')
    ?.map((bytes) => String(bytes).replace('"disabled":false', '"disabled":true'));
  known.set('deleted.json', [...(known.get('deleted.json') ?? []), ...(disabled ?? [])]);
  const places = {
    'auth dir': held(home.authDir),
    store: await stored(world.store, 'auths/'),
    'backup copy': await stored(world.store, 'backup/auths/'),
  };
  // What was on its way has another name, which nobody takes for a credential.
  for (const [place, files] of Object.entries(places))
    for (const [name, text] of Object.entries(files).filter(([name]) => !name.startsWith('.')))
      expect(known.get(name), `${name} in the ${place}`).toContain(asThere(world.settings, text));
}

/** After a run that ended: all is where it belongs, and all that was replaced is kept. */
export async function expectConverged(world: World, home: Home, { final, versions }: Changes): Promise<void> {
  await expectInStep(world, [home], Object.fromEntries(Object.entries(final).sort()));
  for (const [name, contents] of versions)
    for (const bytes of contents)
      if (final[name] !== bytes) expect(await isKept(world, bytes, [home]), `${name} in history`).toBe(true);
}

/** Remembers how these directories are; gives what makes them so again, at the same paths: the state knows them. */
export async function saved(world: World, directories: readonly string[]): Promise<() => Promise<void>> {
  const [live, copies] = [join(world.root, 'live'), join(world.root, 'saved')];
  const options = { recursive: true, preserveTimestamps: true };
  for (const directory of directories) await cp(directory, join(copies, directory), options);
  return async () => {
    for (const directory of directories) {
      await rename(directory, live);
      await rm(live, { recursive: true });
      await cp(join(copies, directory), directory, options);
    }
  };
}
