/** Stands in for `node:fs` in the programs under test: the same calls on the machine's file system in memory. */
import { constants, type Stats } from 'node:fs';
import { type FileSystem, type Inode, systemError } from '../machine/file-system.ts';
import { type Machine, point, simulation, turn } from '../machine/process.ts';
import { notice } from '../machine/witness.ts';

export { constants };

interface Open {
  readonly inode: Inode;
  readonly path: string;
  readonly machine: Machine;
}

const open = new Map<number, Open>();
let lastDescriptor = 2;

export function machine(): Machine {
  const { current } = simulation;
  if (!current) throw new Error('a file was asked for outside of any process');
  return current.machine;
}

function files(): FileSystem {
  return machine().files;
}

function opened(descriptor: number): Open {
  const found = open.get(descriptor);
  if (!found) throw systemError('EBADF', String(descriptor));
  return found;
}

/** The state of a new simulation: nothing is open. */
export function closeAll(): void {
  open.clear();
}

export function openSync(path: string, flags: number, mode = 0o666): number {
  const creates = (flags & constants.O_CREAT) !== 0;
  point(`${creates ? 'create' : 'open'} ${path}`, creates);
  return openNow(path, flags, mode);
}

/** Opens without being a point of its own. */
export function openNow(path: string, flags: number, mode = 0o666): number {
  const found = files().find(path);
  if ((flags & constants.O_CREAT) !== 0 && found && (flags & constants.O_EXCL) !== 0)
    throw systemError('EEXIST', path);
  if (!found && (flags & constants.O_CREAT) === 0) throw systemError('ENOENT', path);
  if ((flags & constants.O_DIRECTORY) !== 0 && found?.kind === 'file') throw systemError('ENOTDIR', path);
  const inode = found ?? files().create(path, mode & 0o700);
  open.set(++lastDescriptor, { inode, path, machine: machine() });
  return lastDescriptor;
}

export function closeSync(descriptor: number): void {
  open.delete(descriptor);
}

export function fchmodSync(descriptor: number, mode: number): void {
  opened(descriptor).inode.mode = mode;
}

export function writeFileSync(descriptor: number, bytes: Uint8Array): void {
  const { inode, path } = opened(descriptor);
  point(`write ${path}`, true);
  files().setBytes(inode, Buffer.from(bytes));
}

export function fstatSync(descriptor: number): Stats {
  return new Status(opened(descriptor).inode) as unknown as Stats;
}

export function readSync(
  descriptor: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number,
): number {
  const { inode, path } = opened(descriptor);
  point(`read ${path}`, false);
  if (inode.kind === 'directory') throw systemError('EISDIR', path);
  return inode.bytes.copy(buffer, offset, position, position + length);
}

export function fsync(descriptor: number, done: (error: Error | null) => void): void {
  const { inode, path } = opened(descriptor);
  syncLater(inode, path).then(
    () => done(null),
    (error: Error) => done(error),
  );
}

/** An fsync as a turn. */
export function syncLater(inode: Inode, path: string): Promise<void> {
  return turn(`fsync ${path}`, true, () => {
    if (inode.kind === 'file') files().syncFile(inode);
    else files().syncDirectory(inode);
  });
}

export function linkSync(from: string, to: string): void {
  point(`link ${to}`, true);
  const inode = files().get(from);
  if (files().find(to)) throw systemError('EEXIST', to);
  notice.file(machine(), to, undefined, inode.bytes);
  files().link(inode, to);
}

export function unlinkSync(path: string): void {
  point(`unlink ${path}`, true);
  removeNow(path);
}

/** Unlinks without being a point of its own. */
export function removeNow(path: string): void {
  const inode = files().get(path);
  if (inode.kind === 'directory') throw systemError('EPERM', path);
  notice.file(machine(), path, inode.bytes, undefined);
  files().remove(path);
}

/** Renames without being a point of its own. */
export function renameNow(from: string, to: string): void {
  const inode = files().get(from);
  notice.file(machine(), to, files().find(to)?.bytes, inode.bytes);
  files().rename(from, to);
}

export function statSync(path: string, options?: { throwIfNoEntry?: boolean; bigint?: boolean }) {
  const found = files().find(path);
  if (!found) {
    if (options?.throwIfNoEntry === false) return undefined;
    throw systemError('ENOENT', path);
  }
  return new Status(found);
}

export const lstatSync = statSync;

export function readdirSync(path: string, options?: { withFileTypes?: boolean }): unknown[] {
  point(`list ${path}`, false);
  return listNow(path, options);
}

/** Lists without being a point of its own. */
export function listNow(path: string, options?: { withFileTypes?: boolean; recursive?: boolean }): unknown[] {
  const directory = files().get(path);
  if (directory.kind !== 'directory') throw systemError('ENOTDIR', path);
  if (options?.recursive) return [...files().files(path)].map(([file]) => file.slice(path.length + 1));
  const entries = [...directory.entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return options?.withFileTypes
    ? entries.map(([name, inode]) => new Status(inode, name))
    : entries.map(([name]) => name);
}

export function readFileSync(path: string, encoding?: string): Buffer | string {
  point(`read ${path}`, false);
  return readNow(path, encoding);
}

/** Reads without being a point of its own. */
export function readNow(path: string, encoding?: string): Buffer | string {
  const inode = files().get(path);
  if (inode.kind === 'directory') throw systemError('EISDIR', path);
  return encoding ? inode.bytes.toString('utf8') : Buffer.from(inode.bytes);
}

/** What `stat` and the entries of a listing say. Made for nearly every call: a class, so that it copies little. */
class Status {
  readonly name: string;
  readonly kind: Inode['kind'];
  readonly dev = 1;
  readonly ino: number;
  readonly mode: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly birthtimeMs: number;

  constructor(inode: Inode, name = '') {
    this.name = name;
    this.kind = inode.kind;
    this.ino = inode.number;
    this.mode = inode.mode;
    this.size = inode.bytes.length;
    this.mtimeMs = inode.modified;
    this.ctimeMs = inode.changed;
    this.birthtimeMs = inode.born;
  }
  get mtimeNs(): number {
    return this.mtimeMs * 1e6;
  }
  isFile(): boolean {
    return this.kind === 'file';
  }
  isDirectory(): boolean {
    return this.kind === 'directory';
  }
  isSymbolicLink(): boolean {
    return false;
  }
  isFIFO(): boolean {
    return false;
  }
  isSocket(): boolean {
    return false;
  }
}
