/**
 * A file system in memory: what the programs use of POSIX, no more. Contents are never changed in place, so that a
 * clone is cheap and what was read once stays what it was.
 *
 * It knows what would survive a power loss: the contents that were synced, and of each directory the names as they
 * were at its last sync. `losePower` forgets the rest, as a disk may: any part of it.
 */

export interface Inode {
  readonly number: number;
  readonly kind: 'file' | 'directory';
  mode: number;
  bytes: Buffer;
  readonly entries: Map<string, Inode>;
  links: number;
  /** Milliseconds since 1970. */
  modified: number;
  changed: number;
  readonly born: number;
  /** What the disk has for certain: the content, and the names in a directory. */
  safeBytes: Buffer | undefined;
  safeEntries: Map<string, Inode>;
  /** Names that were made or removed since the directory was synced, in order. */
  unsynced: [string, Inode | undefined][];
}

export interface FileSystem {
  readonly root: Inode;
  /** What is at a path; undefined if nothing is. Throws ENOTDIR if a file is in the way. */
  find(path: string): Inode | undefined;
  /** The same, but throws ENOENT. */
  get(path: string): Inode;
  create(path: string, mode: number): Inode;
  makeDirectory(path: string, mode: number): Inode;
  /** Makes a directory and those above it, durably: for what the programs did not do. */
  ensure(path: string): Inode;
  setBytes(inode: Inode, bytes: Buffer, keepTime?: boolean): void;
  link(inode: Inode, path: string): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
  syncFile(inode: Inode): void;
  syncDirectory(inode: Inode): void;
  /** Everything is on the disk now. */
  syncAll(): void;
  /** All files below a directory, with their paths. */
  files(path: string): [string, Inode][];
  clone(): FileSystem;
  /** Forgets what was not synced, or some of it: `choose(n)` gives a number below n. */
  losePower(choose: (limit: number) => number): void;
}

/** An empty file system; `now` is the machine's clock. */
export function fileSystem(now: () => number, tree?: Inode): FileSystem {
  let lastNumber = 1;
  const node = (kind: Inode['kind'], mode: number): Inode => ({
    number: ++lastNumber,
    kind,
    mode,
    bytes: EMPTY,
    entries: new Map(),
    links: 1,
    modified: now(),
    changed: now(),
    born: now(),
    safeBytes: undefined,
    safeEntries: new Map(),
    unsynced: [],
  });
  const root = tree ?? node('directory', 0o755);
  if (tree) for (const inode of allInodes(tree)) lastNumber = Math.max(lastNumber, inode.number);

  function find(path: string): Inode | undefined {
    let here = root;
    for (const part of path.split('/')) {
      if (part === '') continue;
      if (here.kind !== 'directory') throw systemError('ENOTDIR', path);
      const next = here.entries.get(part);
      if (!next) return undefined;
      here = next;
    }
    return here;
  }
  function get(path: string): Inode {
    return find(path) ?? fail('ENOENT', path);
  }
  function parentOf(path: string): { parent: Inode; name: string } {
    const cut = path.lastIndexOf('/');
    const parent = get(path.slice(0, cut));
    if (parent.kind !== 'directory') throw systemError('ENOTDIR', path);
    return { parent, name: path.slice(cut + 1) };
  }
  function enter(parent: Inode, name: string, inode: Inode | undefined): void {
    if (inode) parent.entries.set(name, inode);
    else parent.entries.delete(name);
    parent.unsynced.push([name, inode]);
    parent.modified = now();
  }
  function add(path: string, kind: Inode['kind'], mode: number): Inode {
    const { parent, name } = parentOf(path);
    if (parent.entries.has(name)) throw systemError('EEXIST', path);
    const made = node(kind, mode);
    enter(parent, name, made);
    return made;
  }

  const self: FileSystem = {
    root,
    find,
    get,
    create: (path, mode) => add(path, 'file', mode),
    makeDirectory: (path, mode) => add(path, 'directory', mode),
    ensure(path) {
      let here = root;
      for (const part of path.split('/')) {
        if (part === '') continue;
        let next = here.entries.get(part);
        if (!next) {
          next = node('directory', 0o755);
          enter(here, part, next);
          self.syncDirectory(here);
        }
        here = next;
      }
      return here;
    },
    setBytes(inode, bytes, keepTime = false) {
      inode.bytes = bytes;
      inode.changed = now();
      if (!keepTime) inode.modified = now();
    },
    link(inode, path) {
      const { parent, name } = parentOf(path);
      if (parent.entries.has(name)) throw systemError('EEXIST', path);
      enter(parent, name, inode);
      inode.links++;
      inode.changed = now();
    },
    rename(from, to) {
      const inode = get(from);
      const source = parentOf(from);
      const target = parentOf(to);
      const there = target.parent.entries.get(target.name);
      if (there === inode) return;
      if (there?.kind === 'directory' && inode.kind !== 'directory') throw systemError('EISDIR', to);
      if (there) there.links--;
      enter(target.parent, target.name, inode);
      enter(source.parent, source.name, undefined);
      inode.changed = now();
    },
    remove(path) {
      const { parent, name } = parentOf(path);
      const inode = parent.entries.get(name) ?? fail('ENOENT', path);
      if (inode.kind === 'directory' && inode.entries.size > 0) throw systemError('ENOTEMPTY', path);
      inode.links--;
      inode.changed = now();
      enter(parent, name, undefined);
    },
    syncFile(inode) {
      inode.safeBytes = inode.bytes;
    },
    syncDirectory(inode) {
      inode.safeEntries = new Map(inode.entries);
      inode.unsynced = [];
    },
    syncAll() {
      for (const inode of allInodes(root)) {
        if (inode.kind === 'file') inode.safeBytes = inode.bytes;
        else if (inode.unsynced.length > 0) self.syncDirectory(inode);
      }
    },
    files(path) {
      const below = (at: string, inode: Inode): [string, Inode][] =>
        inode.kind === 'file'
          ? [[at, inode]]
          : [...inode.entries].flatMap(([name, child]) => below(`${at}/${name}`, child));
      const start = find(path);
      return start ? below(path, start) : [];
    },
    clone: () => fileSystem(now, cloneTree(root)),
    losePower(choose) {
      const seen = new Set<Inode>();
      const forget = (inode: Inode): void => {
        if (seen.has(inode)) return;
        seen.add(inode);
        if (inode.kind === 'file') {
          if (inode.bytes !== inode.safeBytes) inode.bytes = leftOf(inode, choose);
          inode.safeBytes = inode.bytes;
          return;
        }
        const kept = inode.unsynced.slice(0, choose(inode.unsynced.length + 1));
        inode.entries.clear();
        for (const [name, child] of inode.safeEntries) inode.entries.set(name, child);
        for (const [name, child] of kept) {
          if (child) inode.entries.set(name, child);
          else inode.entries.delete(name);
        }
        self.syncDirectory(inode);
        for (const child of inode.entries.values()) forget(child);
      };
      forget(root);
    },
  };
  return self;
}

const EMPTY = Buffer.alloc(0);

/** An unsynced file after a power loss: as it was, as it is now, empty, or cut short. */
function leftOf({ bytes, safeBytes }: Inode, choose: (limit: number) => number): Buffer {
  const before = safeBytes ?? EMPTY;
  return ([before, bytes, EMPTY, bytes.subarray(0, bytes.length >> 1)] as const)[choose(4)] ?? before;
}

function allInodes(inode: Inode): Inode[] {
  return inode.kind === 'file' ? [inode] : [inode, ...[...inode.entries.values()].flatMap(allInodes)];
}

function cloneTree(inode: Inode): Inode {
  const entries = new Map([...inode.entries].map(([name, child]) => [name, cloneTree(child)]));
  const safeEntries = new Map(entries);
  return { ...inode, entries, safeEntries, safeBytes: inode.bytes, unsynced: [] };
}

/** An error as Node's `fs` throws it. */
export function systemError(code: string, path: string): Error {
  // Thousands are thrown a second, and nobody reads where.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = Object.assign(new Error(`${code}: ${path}`), { code });
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

function fail(code: string, path: string): never {
  throw systemError(code, path);
}
