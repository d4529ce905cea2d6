import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isObject } from '../credential/json.ts';
import { ensureDirectory, errorCode, writeFileAtomically } from '../files/atomic-write.ts';
import { ServicesError } from './services-error.ts';

/** Services as they were rendered (nix/switch/files.nix): the same for every user, until `forHome`. */
export interface ServiceSet {
  readonly manager: ManagerKind;
  /** File name of a unit or agent -> its text. */
  readonly files: ReadonlyMap<string, string>;
  /** What must be there before the services run: what they watch, and where their logs go. */
  readonly directories: readonly string[];
  /** Undefined where no credentials are to be fetched. */
  readonly hydrate: ServiceCommand | undefined;
}

export type ManagerKind = 'systemd' | 'launchd';

export interface ServiceCommand {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** The folder with the files, by who they are for. */
const FOLDERS: Readonly<Record<ManagerKind, string>> = { systemd: 'systemd/user', launchd: 'launchd' };
const MANIFEST = 'manifest.json';

/**
 * Reads a directory with a rendered set.
 *
 * @throws ServicesError if it is none.
 */
export async function readServiceSet(directory: string): Promise<ServiceSet> {
  const manifest = parseManifest(await read(join(directory, MANIFEST)), directory);
  const folder = join(directory, FOLDERS[manifest.manager]);
  const names = await readdir(folder).catch((error: unknown) => unreadable(folder, error));
  const files = new Map<string, string>();
  for (const name of names.sort()) files.set(name, await read(join(folder, name)));
  if (files.size === 0) throw new ServicesError(`${folder} holds no services`, REMEDY);
  return { ...manifest, files };
}

/** Writes a set that `readServiceSet` reads as the same. */
export async function writeServiceSet(directory: string, set: ServiceSet): Promise<void> {
  const { manager, directories, hydrate = null, files } = set;
  const folder = join(directory, FOLDERS[manager]);
  await ensureDirectory(folder);
  const manifest = JSON.stringify({ format: FORMAT, manager, directories, hydrate }, null, 2);
  await writeFileAtomically(join(directory, MANIFEST), Buffer.from(`${manifest}\n`));
  for (const [name, text] of files) await writeFileAtomically(join(folder, name), Buffer.from(text));
}

export function areEqualSets(one: ServiceSet, other: ServiceSet): boolean {
  return isDeepStrictEqual(one, other);
}

/**
 * The set with what only this user's machine knows. systemd expands `%h` itself; agents and commands have `${HOME}`
 * where the home belongs, since launchd expands nothing.
 */
export function forHome(set: ServiceSet, home: string, runtimeDir: string | undefined): ServiceSet {
  const plain = (text: string) =>
    text
      .replace(HOME, () => home)
      .replace(/%t(?=\/)|\$XDG_RUNTIME_DIR(?=\/)|\$\{XDG_RUNTIME_DIR\}/g, (found) => runtimeDir ?? found);
  const xml = (text: string) => text.replace(HOME, () => escapeXml(home));
  return {
    manager: set.manager,
    files:
      set.manager === 'systemd'
        ? set.files
        : new Map([...set.files].map(([name, text]) => [name, xml(text)])),
    directories: set.directories.map(plain),
    hydrate: set.hydrate && {
      command: set.hydrate.command.map(plain),
      environment: Object.fromEntries(
        Object.entries(set.hydrate.environment).map(([name, value]) => [name, plain(value)]),
      ),
    },
  };
}

const HOME = /\$\{HOME\}/g;
const FORMAT = 1;
const REMEDY = 'Give --from the directory that `nix build .#switch.services` makes.';

function parseManifest(text: string, directory: string): Omit<ServiceSet, 'files'> {
  const wrong = (why: string) => new ServicesError(`${join(directory, MANIFEST)} ${why}`, REMEDY);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('is not JSON');
  }
  if (!isObject(value)) throw wrong('is not a JSON object');
  const { format, manager, directories, hydrate } = value;
  if (format !== FORMAT)
    throw wrong(`has format ${JSON.stringify(format)}, and this program knows ${FORMAT}`);
  if (manager !== 'systemd' && manager !== 'launchd') throw wrong('names neither systemd nor launchd');
  if (!isStrings(directories)) throw wrong('has no list of directories');
  if (hydrate === null) return { manager, directories, hydrate: undefined };
  if (!isCommand(hydrate)) throw wrong('has a hydrate that is no command');
  return { manager, directories, hydrate };
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isCommand(value: unknown): value is ServiceCommand {
  if (typeof value !== 'object' || value === null || !('command' in value) || !('environment' in value))
    return false;
  const { command, environment } = value;
  return (
    isStrings(command) &&
    command.length > 0 &&
    typeof environment === 'object' &&
    environment !== null &&
    isStrings(Object.values(environment))
  );
}

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => unreadable(path, error));
}

function unreadable(path: string, error: unknown): never {
  throw new ServicesError(`${path} could not be read (${errorCode(error) ?? String(error)})`, REMEDY, {
    cause: error,
  });
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
