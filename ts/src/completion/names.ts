import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CredentialName, parseName } from '../credential/name.ts';
import type { Settings } from '../settings/settings.ts';
import { parseBase } from '../sync/state-format.ts';

/**
 * The names of the credentials that this host knows, deleted ones included, sorted. No store is asked, nothing is
 * written, and what cannot be read is left out: it is for somebody who has just pressed Tab.
 */
export async function knownNames({
  authDir,
  ccsDir,
  stateDir,
}: Pick<Settings, 'authDir' | 'ccsDir' | 'stateDir'>): Promise<CredentialName[]> {
  const found = await Promise.all([
    pathsBelow(authDir),
    ccsDir === undefined ? [] : pathsBelow(ccsDir),
    agreedNames(join(stateDir, 'stores')),
    // history/NAME/VERSION.json
    pathsBelow(join(stateDir, 'history')).then((paths) => paths.map(dirname)),
  ]);
  const names = found.flat().flatMap((text) => {
    const check = parseName(text);
    return check.ok ? [check.name] : [];
  });
  return [...new Set(names)].sort();
}

function pathsBelow(directory: string): Promise<string[]> {
  return readdir(directory, { recursive: true }).catch(() => []);
}

/** Of the bases, whichever store each is with. */
async function agreedNames(stores: string): Promise<string[]> {
  const ids = await readdir(stores).catch(() => []);
  const bases = await Promise.all(
    ids.map(async (id) => {
      const text = await readFile(join(stores, id, 'base.json'), 'utf8').catch(() => '');
      return parseBase(text);
    }),
  );
  return bases.flatMap((base) => (base ? [...base.credentials.keys(), ...base.deletions.keys()] : []));
}
