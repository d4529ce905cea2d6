/** One machine of a world: its disk, its clock, and what programs other than ours do there. */
import type { VersionId } from '../../ts/src/credential/version.ts';
import { type FileSystem, fileSystem, type Inode } from './machine/file-system.ts';
import { type Machine, type Process, simulation } from './machine/process.ts';
import type { LocalPlace } from './story.ts';

export const HOME = '/home';
export const PATHS = {
  auth: `${HOME}/auths`,
  ccs: `${HOME}/ccs/auth`,
  paused: `${HOME}/ccs/auth-paused`,
  state: `${HOME}/state`,
};
export const LOCAL_PLACES = ['auth', 'ccs'] as const;

export interface Host extends Machine {
  readonly ccs: boolean;
  /** Milliseconds that its clock is ahead. */
  readonly clock: { ahead: number };
  image: FileSystem | undefined;
  /** The state as it was before the last run. */
  oldState: FileSystem | undefined;
  /** Writes that another program has begun. */
  readonly begun: {
    readonly path: string;
    readonly inode: Inode;
    readonly bytes: Buffer;
    readonly since: number;
  }[];
  /** What its proxy ever held of a credential, for writing it back. */
  readonly held: Map<string, Buffer[]>;
  /** When our program removed a credential from a place, by its clock. */
  readonly cleared: Map<string, number>;
}

export function newHost(name: string, ccs: boolean): Host {
  // Its clock is needed before the host itself is there.
  const clock = { ahead: 0 };
  const now = () => Math.floor(simulation.now + clock.ahead);
  const host: Host = {
    name,
    ccs,
    clock,
    now,
    files: fileSystem(now),
    locks: new Map<string, Process>(),
    image: undefined,
    oldState: undefined,
    begun: [],
    held: new Map(),
    cleared: new Map(),
  };
  host.files.ensure(PATHS.auth);
  if (ccs) host.files.ensure(PATHS.ccs);
  return host;
}

export function pathOf(place: LocalPlace | 'paused', name: string): string {
  return `${PATHS[place]}/${name}`;
}

/** What a place has under a name. */
export function inodeOf(host: Host, place: LocalPlace | 'paused', name: string): Inode | undefined {
  const inode = host.files.find(pathOf(place, name));
  return inode?.kind === 'file' ? inode : undefined;
}

/** Writes as other programs do: in place, or a new file; and it is on the disk soon, or not yet. */
export function writeFile(host: Host, path: string, bytes: Buffer, isUnsynced = false): Inode {
  host.files.ensure(path.slice(0, path.lastIndexOf('/')));
  const inode = host.files.find(path) ?? host.files.create(path, 0o600);
  host.files.setBytes(inode, bytes);
  if (!isUnsynced) host.files.syncAll();
  return inode;
}

export function removeFile(host: Host, path: string): void {
  if (host.files.find(path)) host.files.remove(path);
  host.files.syncAll();
}

/** Files of our own history on this host: `name` and version. */
export function keptOnHost(host: Host, name: string, id: VersionId): Buffer | undefined {
  return host.files.find(`${PATHS.state}/history/${name}/${id}.json`)?.bytes;
}
