/**
 * This host's memory, below `$XDG_STATE_HOME/cliproxyapi-sync`: never in a watched directory, and never needed:
 * without it the next run is a first join.
 *
 *     stores.json                   by location: which store was there, how far its conditions go
 *     stores/ID/base.json           what was last agreed with the store of that id
 *     stores/ID/intents.json        store writes noted ahead
 *     history/NAME/VERSION.json     versions kept here because no store could be written
 *     rejected/NAME/SHA256          replaced files that were no credentials
 *     configs/SHA256.yaml           configs that a native proxy changed and did not bring to the store
 *
 * Beside it are native-proxy.json and taken-over.json (native-proxy.ts, take-over.ts), config.json
 * (proxy/written-config.ts), generations/ (services/generations.ts) and the lock.
 */
import { randomUUID } from 'node:crypto';
import { readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CredentialName } from '../credential/name.ts';
import { sha256, type VersionId } from '../credential/version.ts';
import { ensureDirectory, errorCode, writeFileAtomically } from '../files/atomic-write.ts';
import type { StoreMemory } from '../stores/store.ts';
import { EMPTY_BASE } from './base.ts';
import type { Base, Intent, Problem } from './model.ts';
import { parseBase, parseIntents, STATE_FORMAT, serializeBase, serializeIntents } from './state-format.ts';

export interface State {
  readonly directory: string;
  /** What a store wants remembered about the place at `location`. */
  memory(location: string): StoreMemory;
  /** The base that belongs to the store with this id; empty if there is none, or none that can be read. */
  loadBase(storeId: string): Promise<{ readonly base: Base; readonly problems: readonly Problem[] }>;
  /** Writes the base if it differs from what is there, and after it the intents that it does not confirm yet. */
  saveBase(storeId: string, base: Base): Promise<void>;
  /** Notes store writes ahead of them, in the place of the notes before. */
  noteIntents(storeId: string, intents: ReadonlyMap<CredentialName, Intent>): Promise<void>;
  /** Keeps a version on this host. */
  keep(name: CredentialName, id: VersionId, bytes: Uint8Array): Promise<void>;
  /** From here on nothing is written: what is still under way after an abort must not outlive the lock. */
  close(): void;
  /** Keeps bytes that are no credential on this host. */
  keepAside(name: CredentialName, bytes: Uint8Array): Promise<void>;
  /** Keeps a config on this host. */
  keepConfig(bytes: Uint8Array): Promise<void>;
}

/** A state that cannot be used. Nothing was changed. */
export class StateError extends Error {
  /** `unwritable`: rights or a path in the way, a matter of configuration; `unusable`: the disk. */
  readonly kind: 'newer' | 'unwritable' | 'unusable';
  readonly remedy: string;

  constructor(kind: StateError['kind'], message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StateError';
    this.kind = kind;
    this.remedy = remedy;
  }
}

/**
 * Opens the state below `directory`, made if missing.
 *
 * @param readOnly A dry run: nothing is written, whatever is asked.
 * @throws StateError if the directory cannot be made or written.
 */
export async function openState(
  directory: string,
  { readOnly }: { readonly readOnly: boolean },
): Promise<State> {
  let closed = false;
  const write = async (path: string, text: string | Uint8Array) => {
    if (readOnly) return;
    if (closed) throw new Error(`the run that was to write ${path} has ended`);
    try {
      await ensureDirectory(dirname(path));
      await writeFileAtomically(path, typeof text === 'string' ? Buffer.from(text) : text);
    } catch (error) {
      throw unusable(path, error);
    }
  };
  const loaded = new Map<string, string>();
  const noted = new Map<string, string>();
  const memories = await readMemories(join(directory, 'stores.json'));
  const basePath = (storeId: string) => join(directory, 'stores', storeId, 'base.json');
  const intentsPath = (storeId: string) => join(directory, 'stores', storeId, 'intents.json');

  const noteIntents = async (storeId: string, intents: ReadonlyMap<CredentialName, Intent>) => {
    const text = serializeIntents(intents);
    if ((noted.get(storeId) ?? serializeIntents(new Map())) === text) return;
    await write(intentsPath(storeId), text);
    noted.set(storeId, text);
  };

  if (!readOnly) {
    try {
      await ensureDirectory(directory);
    } catch (error) {
      throw unusable(directory, error);
    }
  }

  return {
    directory,

    memory: (location) => ({
      read: () => memories[location] ?? {},
      async write(entries) {
        if (readOnly) return;
        memories[location] = { ...memories[location], ...entries };
        await write(join(directory, 'stores.json'), `${JSON.stringify(memories, null, 1)}\n`);
      },
    }),

    async loadBase(storeId) {
      const problems: Problem[] = [];
      const load = async <T>(
        path: string,
        parse: (text: string) => T | undefined,
      ): Promise<T | undefined> => {
        const text = await readText(path);
        if (text === undefined) return undefined;
        checkFormat(path, text);
        const value = parse(text);
        if (value !== undefined) return value;
        problems.push(await setAside(path, readOnly));
        return undefined;
      };
      const base = (await load(basePath(storeId), parseBase)) ?? EMPTY_BASE;
      const intents = (await load(intentsPath(storeId), parseIntents)) ?? new Map();
      noted.set(storeId, serializeIntents(intents));
      loaded.set(storeId, serializeBase(base));
      return { base: { ...base, intents }, problems };
    },

    async saveBase(storeId, base) {
      const text = serializeBase(base);
      if (loaded.get(storeId) !== text) await write(basePath(storeId), text);
      loaded.set(storeId, text);
      await noteIntents(storeId, base.intents);
    },

    noteIntents,
    close() {
      closed = true;
    },

    keep: (name, id, bytes) => write(join(directory, 'history', name, `${id}.json`), bytes),
    keepAside: (name, bytes) => write(join(directory, 'rejected', name, sha256(bytes)), bytes),
    keepConfig: (bytes) => write(join(directory, 'configs', `${sha256(bytes)}.yaml`), bytes),
  };
}

/** A store id for a host that writes the first marker. */
export function newMarkerId(): string {
  return randomUUID();
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw unusable(path, error);
  }
}

function checkFormat(path: string, text: string): void {
  // Looked for before the whole is parsed, so that a newer layout is told from a damaged file.
  const format = /^\s*\{\s*"format"\s*:\s*(\d+)/.exec(text)?.[1];
  if (format !== undefined && Number(format) > STATE_FORMAT) {
    throw new StateError(
      'newer',
      `${path} was written by a newer cliproxyapi-sync (format ${format}, this one knows ${STATE_FORMAT}); it is left alone`,
      'Update cliproxyapi-sync on this host.',
    );
  }
}

/** A damaged file is moved out of the way, so that a person can look at it; the run goes on as a first join. */
async function setAside(path: string, readOnly: boolean): Promise<Problem> {
  const aside = `${path}.damaged-${Date.now()}`;
  if (!readOnly) await rename(path, aside);
  return {
    subject: path,
    place: 'state',
    reason: 'is damaged; this run starts without it, as on a first join, where nothing is deleted',
    remedy: readOnly ? 'Nothing to do.' : `Nothing to do; the damaged file is kept as ${aside}.`,
  };
}

async function readMemories(path: string): Promise<Record<string, Record<string, unknown>>> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    const isRecord = (candidate: unknown): candidate is Record<string, unknown> =>
      typeof candidate === 'object' && candidate !== null && !Array.isArray(candidate);
    if (!isRecord(value)) return {};
    return Object.fromEntries(
      Object.entries(value).filter((pair): pair is [string, Record<string, unknown>] => isRecord(pair[1])),
    );
  } catch {
    // Only remembered to save requests: lost or damaged, it is found out again.
    return {};
  }
}

const IN_THE_WAY =
  'Something that is no directory has its name, or that of one of the directories above it: move it away (`cliproxyapi-sync doctor` says what to type).';
const MAY_NOT =
  'Give this user the right to write there: `cliproxyapi-sync doctor` says what to type. Or set XDG_STATE_HOME to a directory that it may write.';

/** A system error on a path of the state, as one that says what to do. */
export function unusable(path: string, cause: unknown): StateError {
  const code = errorCode(cause) ?? String(cause);
  const remedies: Record<string, string> = {
    ENOSPC: 'Free some space on that disk and run again; nothing was lost.',
    EDQUOT: 'Free some of your disk quota and run again; nothing was lost.',
    EACCES: MAY_NOT,
    EPERM: MAY_NOT,
    EROFS: 'Set XDG_STATE_HOME to a directory on a disk that can be written.',
    ENOTDIR: IN_THE_WAY,
    EEXIST: IN_THE_WAY,
  };
  const kind = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ELOOP'].includes(code)
    ? 'unwritable'
    : 'unusable';
  return new StateError(
    kind,
    `cannot use the state at ${path}: ${code}`,
    remedies[code] ?? 'Look at that path.',
    { cause },
  );
}
