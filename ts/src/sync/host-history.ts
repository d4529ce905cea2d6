/** The versions that this host keeps itself, `history/NAME/VERSION.json` in the state: no store could be written. */
import { readdir, readFile, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type CredentialName, parseName } from '../credential/name.ts';
import { isVersionId, type VersionId } from '../credential/version.ts';
import { errorCode } from '../files/atomic-write.ts';
import type { Snapshot } from './model.ts';
import { DAY_MS, type HistoryKeep, neededVersions } from './rules/expendable.ts';

export interface HostVersion {
  readonly name: CredentialName;
  readonly id: VersionId;
  /** When it was kept. Milliseconds since 1970. */
  readonly arrived: number;
}

/** Everything that this host keeps, in no particular order; nothing if there is no state. */
export async function hostHistory(stateDir: string): Promise<readonly HostVersion[]> {
  const root = join(stateDir, 'history');
  const paths = await readdir(root, { recursive: true }).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const found: HostVersion[] = [];
  for (const path of paths) {
    const id = /^([0-9a-f]{64})\.json$/.exec(basename(path))?.[1];
    const name = parseName(dirname(path));
    if (!isVersionId(id) || !name.ok) continue;
    const status = await stat(join(root, path));
    if (status.isFile()) found.push({ name: name.name, id, arrived: status.mtimeMs });
  }
  return found;
}

/** The bytes of one of them; undefined if it is gone. */
export async function readHostVersion(
  stateDir: string,
  { name, id }: Pick<HostVersion, 'name' | 'id'>,
): Promise<Uint8Array | undefined> {
  return readFile(pathOf(stateDir, name, id)).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
}

/** Removes what is old by the same measure as in the store. Returns how many. */
export async function pruneHostHistory(
  stateDir: string,
  { versions, days }: HistoryKeep,
  snapshot: Snapshot,
): Promise<number> {
  const newest = (await hostHistory(stateDir)).toSorted((a, b) => b.arrived - a.arrived);
  const counts = new Map<CredentialName, number>();
  let removed = 0;
  for (const { name, id, arrived } of newest) {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    const seen = snapshot.credentials.get(name);
    const needed = seen && neededVersions(seen);
    const isOld = count > versions && snapshot.now - arrived >= days * DAY_MS;
    if (!isOld || !needed || needed.has(id)) continue;
    await unlink(pathOf(stateDir, name, id));
    removed++;
  }
  return removed;
}

function pathOf(stateDir: string, name: CredentialName, id: VersionId): string {
  return join(stateDir, 'history', ...name.split('/'), `${id}.json`);
}
