/** What we wrote as the proxy's config, remembered in `config.json` in the state directory: to tell a person's change. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDirectory, errorCode, writeFileAtomically } from '../files/atomic-write.ts';

export interface WrittenConfig {
  /** Of the config, absolute. */
  readonly path: string;
  /** By `fingerprint` of render-config.ts, the last one first: a run that was killed may not have written it yet. */
  readonly fingerprints: readonly string[];
  /** What a person was told that the config does not follow, by its fingerprint. */
  readonly told?: string;
}

/** What we wrote at `path`. Nothing if it was never noted, or cannot be read: then it counts as a person's. */
export async function readWritten(stateDir: string, path: string): Promise<WrittenConfig> {
  const nothing = { path, fingerprints: [] };
  try {
    const value: unknown = JSON.parse(await readFile(join(stateDir, FILE), 'utf8'));
    return isWritten(value) && value.path === path ? value : nothing;
  } catch {
    return nothing;
  }
}

/** @returns Why it could not be noted, in a word; undefined if it was. */
export async function noteWritten(stateDir: string, written: WrittenConfig): Promise<string | undefined> {
  try {
    await ensureDirectory(stateDir);
    await writeFileAtomically(join(stateDir, FILE), Buffer.from(`${JSON.stringify(written, null, 1)}\n`));
    return undefined;
  } catch (error) {
    return errorCode(error) ?? 'unknown error';
  }
}

const FILE = 'config.json';

function isWritten(value: unknown): value is WrittenConfig {
  if (typeof value !== 'object' || value === null || !('path' in value && 'fingerprints' in value))
    return false;
  const { path, fingerprints } = value;
  return (
    typeof path === 'string' &&
    Array.isArray(fingerprints) &&
    fingerprints.every((each) => typeof each === 'string') &&
    (!('told' in value) || typeof value.told === 'string')
  );
}
