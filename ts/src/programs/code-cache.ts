import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';

/** What V8 made of our code in an earlier run: compiling it takes longer than most runs do otherwise. */
export interface CodeCache {
  /** For `new Script`; V8 refuses it by itself if it was made by another version or with other flags. */
  readonly found?: { readonly cachedData: Buffer };
  /** Keeps it for the next run, if it can be: no error is worth telling. */
  keep(cachedData: Buffer): void;
}

/**
 * The cache for this code, in `XDG_CACHE_HOME`. What comes out of it is executed, so it must be this user's, writable
 * by nobody else; and whole, since V8 does not look.
 *
 * @param code What is compiled: another code has another cache.
 * @param require Loads `node:crypto`, which is not needed on every start.
 */
export function openCodeCache(code: string, require: NodeJS.Require): CodeCache | undefined {
  const { XDG_CACHE_HOME, HOME } = process.env;
  const parent = XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : HOME && join(HOME, '.cache');
  const user = process.getuid?.();
  if (!parent || !isAbsolute(parent) || user === undefined) return undefined;
  // eslint-disable-next-line @typescript-eslint/no-unsafe-assignment -- `require` knows no types
  const { createHash }: typeof import('node:crypto') = require('node:crypto');
  const digest = (data: string | Buffer) => createHash('sha256').update(data).digest();
  const directory = join(parent, 'cliproxyapi-sync');
  // The first word of the arguments: each command compiles what it needs.
  const command = /^[a-z]+$/.test(process.argv[2] ?? '') ? `-${process.argv[2]}` : '';
  const name = `${digest(process.version + process.arch + code).toString('hex', 0, 8)}${command}.code`;
  const path = join(directory, name);
  const keep = (cachedData: Buffer) => {
    // They leave nothing behind, not even this.
    if (process.argv.some((argument) => LEAVES_NOTHING.has(argument))) return;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const temporary = `${path}.${process.pid}.tmp`;
      writeFileSync(temporary, Buffer.concat([digest(cachedData), cachedData]), { mode: 0o600, flag: 'wx' });
      renameSync(temporary, path);
      removeOld(directory);
    } catch {
      // A home that cannot be written: then it is compiled each time.
    }
  };
  const cachedData = read(path, user);
  if (cachedData === undefined || !digest(cachedData.subarray(32)).equals(cachedData.subarray(0, 32)))
    return { keep };
  return { found: { cachedData: cachedData.subarray(32) }, keep };
}

const LEAVES_NOTHING: ReadonlySet<string> = new Set([
  '--dry-run',
  '-h',
  '-help',
  '--help',
  '-version',
  '--version',
]);

/** What other versions left; one that is still in use is made anew. */
function removeOld(directory: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (Date.now() - lstatSync(path).mtimeMs > MAX_AGE_MS) unlinkSync(path);
  }
}

const MAX_AGE_MS = 30 * 24 * 60 * 60 * 1000;

function read(path: string, user: number): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const status = fstatSync(file);
    const safe = status.isFile() && status.uid === user && (status.mode & 0o022) === 0;
    return safe ? readFileSync(file) : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}
