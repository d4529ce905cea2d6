/**
 * Changing the auth dir. Managed mode and the native mode of each store have directories of their own, and what a
 * former one holds may never have reached the store: it is taken over into the one that is used now, as a person
 * would copy it. To the planner that is a first join, so tombstones and superseded versions are known for what they
 * are, whatever the former directory holds.
 *
 * A former auth dir is one that has our marker. A proxy that was started before the change still writes there, so
 * every run looks for what is new in it, and `start`, which replaces that proxy, ends it by taking the marker away.
 * Nothing else in it is touched.
 */
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compareFreshness } from '../credential/freshness.ts';
import { isObject } from '../credential/json.ts';
import type { CredentialName } from '../credential/name.ts';
import { isVersionId, type VersionId } from '../credential/version.ts';
import { ensureDirectory, fsyncDirectory, hasCode, writeFileAtomically } from '../files/atomic-write.ts';
import { listLocal, localPath, MARKER_NAME, readLocal, readMarker } from './local.ts';
import { writeLocal } from './local-write.ts';
import type { SeenVersion, Sighting } from './model.ts';
import { findNativeProxy } from './native-proxy.ts';
import type { State } from './state.ts';

/** By directory and name, the version that was taken over last: one that is deleted here later does not come back. */
type Taken = Record<string, Record<string, VersionId>>;

/**
 * Takes over what is new in former auth dirs. The host's lock must be held.
 *
 * @returns The credentials that were written.
 */
export async function takeOver(
  former: readonly string[],
  authDir: string,
  state: State,
): Promise<readonly CredentialName[]> {
  const directories = former.filter((directory) => readMarker(directory) !== undefined);
  if (directories.length === 0) return [];
  const taken = await readTaken(state.directory);
  const written: CredentialName[] = [];
  let isNews = false;
  for (const directory of directories) {
    const known = { ...taken[directory] };
    const { sightings } = await listLocal('auth', directory);
    for (const [name, sighting] of sightings) {
      if (sighting.kind !== 'version' || known[name] === sighting.version.id) continue;
      const outcome = await takeOne(name, sighting.version, authDir, state);
      if (outcome === 'failed') continue;
      if (outcome === 'written') written.push(name);
      known[name] = sighting.version.id;
      isNews = true;
    }
    taken[directory] = known;
  }
  const folders = new Set(written.map((name) => dirname(localPath(authDir, name))));
  for (const folder of folders) await fsyncDirectory(folder);
  if (isNews) await writeTaken(state.directory, taken);
  return written;
}

/**
 * Ends it for the former auth dirs of which all is taken over. Called by what replaces the proxy that wrote there.
 */
export async function endTakeOver(former: readonly string[], stateDir: string): Promise<void> {
  const taken = await readTaken(stateDir);
  const running = await findNativeProxy(stateDir);
  for (const directory of former) {
    if (readMarker(directory) === undefined || directory === running?.authDir) continue;
    const { sightings } = await listLocal('auth', directory);
    const isTakenOver = ([name, sighting]: readonly [CredentialName, Sighting]) =>
      sighting.kind !== 'version' || taken[directory]?.[name] === sighting.version.id;
    if (![...sightings].every(isTakenOver)) continue;
    await rm(join(directory, MARKER_NAME), { force: true });
    delete taken[directory];
    await writeTaken(stateDir, taken);
  }
}

async function takeOne(
  name: CredentialName,
  version: SeenVersion,
  authDir: string,
  state: State,
): Promise<'written' | 'kept' | 'failed'> {
  const { bytes } = version;
  /* v8 ignore if -- a file that was listed was read; the type is that of all sightings */
  if (!bytes) return 'failed';
  const here = readLocal(localPath(authDir, name));
  if (here.kind === 'version' && here.version.id === version.id) return 'kept';
  const isFresher =
    here.kind === 'version' && compareFreshness(version.freshness, here.version.freshness, Date.now()) > 0;
  if (here.kind !== 'absent' && !isFresher) {
    await state.keep(name, version.id, bytes);
    return 'kept';
  }
  if (here.kind === 'version' && here.version.bytes)
    await state.keep(name, here.version.id, here.version.bytes);
  await ensureDirectory(authDir);
  const outcome = await writeLocal(authDir, name, bytes, here);
  return outcome.kind === 'done' ? 'written' : 'failed';
}

async function readTaken(stateDir: string): Promise<Taken> {
  try {
    const taken: unknown = JSON.parse(await readFile(takenPath(stateDir), 'utf8'));
    if (isTaken(taken)) return taken;
  } catch (error) {
    // Lost or damaged: all of it is looked at once more. Not where it cannot be read just now: what was deleted since
    // it was taken over would come back.
    if (!hasCode(error, 'ENOENT') && !(error instanceof SyntaxError)) throw error;
  }
  return {};
}

function isTaken(value: unknown): value is Taken {
  return (
    isObject(value) &&
    Object.values(value).every((taken) => isObject(taken) && Object.values(taken).every(isVersionId))
  );
}

async function writeTaken(stateDir: string, taken: Taken): Promise<void> {
  await writeFileAtomically(takenPath(stateDir), Buffer.from(`${JSON.stringify(taken, null, 1)}\n`));
}

function takenPath(stateDir: string): string {
  return join(stateDir, 'taken-over.json');
}
