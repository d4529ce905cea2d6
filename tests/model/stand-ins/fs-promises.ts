/** Stands in for `node:fs/promises` in the programs under test; each call is a turn. */
import type { FileHandle } from 'node:fs/promises';
import { simulation, turn } from '../machine/process.ts';
import {
  closeSync,
  fstatSync,
  listNow,
  machine,
  openNow,
  readNow,
  removeNow,
  renameNow,
  statSync,
  syncLater,
} from './fs.ts';

export function chmod(path: string, mode: number): Promise<void> {
  return turn(`chmod ${path}`, true, () => {
    machine().files.get(path).mode = mode;
  });
}

export function lstat(path: string) {
  return turn(`stat ${path}`, false, () => statSync(path));
}

export const stat = lstat;

export function mkdir(path: string, { mode = 0o777 }: { mode?: number } = {}): Promise<void> {
  return turn(`mkdir ${path}`, true, () => {
    machine().files.makeDirectory(path, mode);
  });
}

export function open(path: string, flags: number): Promise<FileHandle> {
  return turn(`open ${path}`, false, () => {
    const descriptor = openNow(path, flags);
    const inode = machine().files.get(path);
    const { current } = simulation;
    return {
      sync: () => syncLater(inode, path),
      stat: async () => fstatSync(descriptor),
      async read(buffer: Buffer, offset: number, length: number, position: number) {
        return { bytesRead: inode.bytes.copy(buffer, offset, position, position + length) };
      },
      close: async () => {
        if (!current?.dead) closeSync(descriptor);
      },
    } as unknown as FileHandle;
  });
}

export function rename(from: string, to: string): Promise<void> {
  return turn(`rename to ${to}`, true, () => renameNow(from, to));
}

export function unlink(path: string): Promise<void> {
  return turn(`unlink ${path}`, true, () => removeNow(path));
}

export function rm(path: string, { force = false }: { force?: boolean } = {}): Promise<void> {
  return turn(`remove ${path}`, true, () => {
    if (!force || machine().files.find(path)) removeNow(path);
  });
}

export function readdir(path: string, options?: { withFileTypes?: boolean; recursive?: boolean }) {
  return turn(`list ${path}`, false, () => listNow(path, options));
}

export function readFile(path: string, encoding?: string) {
  return turn(`read ${path}`, false, () => readNow(path, encoding));
}
