/**
 * Preloaded into a program (`node --require`): one of its file-system calls below FAILING_DISK_ROOT fails, as on a disk
 * that breaks or fills up just then. Calls are numbered from 1; code that loads modules is none of them.
 *
 *     FAILING_DISK_AT     the number of the call that fails; none: all go through
 *     FAILING_DISK_CODE   what it fails with: EIO, ENOSPC ...
 *     FAILING_DISK_STAYS  set: so do all calls of its kind from then on
 *     FAILING_DISK_LOG    a file that gets a line for each call: its kind, its name, where in the program it is made
 */
const fs = require('node:fs');
const { constants } = require('node:os');
const { resolve, sep } = require('node:path');
const { syncBuiltinESMExports } = require('node:module');

const root = process.env.FAILING_DISK_ROOT ?? '/nowhere';
const at = Number(process.env.FAILING_DISK_AT ?? 0);
const code = process.env.FAILING_DISK_CODE ?? 'EIO';
const stays = process.env.FAILING_DISK_STAYS !== undefined;
const log = process.env.FAILING_DISK_LOG;
for (const name of Object.keys(process.env)) if (name.startsWith('FAILING_DISK_')) delete process.env[name];

const original = { appendFileSync: fs.appendFileSync };
const lines = [];
/** Paths by descriptor, of files that were opened below the root. */
const open = new Map();
let count = 0;
let broken;

/** What kind of thing a call does: each kind has errors of its own. */
const KINDS = {
  read: [
    'access',
    'exists',
    'lstat',
    'readFile',
    'readdir',
    'readlink',
    'realpath',
    'stat',
    'statfs',
    'opendir',
  ],
  write: [
    ...[
      'appendFile',
      'chmod',
      'chown',
      'copyFile',
      'cp',
      'lchown',
      'link',
      'lutimes',
      'mkdir',
      'mkdtemp',
      'rename',
    ],
    ...['rm', 'rmdir', 'symlink', 'truncate', 'unlink', 'utimes', 'writeFile'],
  ],
  descriptor: ['fchmod', 'fchown', 'fstat', 'ftruncate', 'futimes', 'read', 'readv'],
  fill: ['write', 'writev'],
  sync: ['fsync', 'fdatasync'],
};
const KIND_OF = Object.fromEntries(
  Object.entries(KINDS).flatMap(([kind, names]) => names.map((name) => [name, kind])),
);

function pathOf(target) {
  if (typeof target === 'number') return open.get(target);
  if (typeof target !== 'string' && !(target instanceof URL) && !Buffer.isBuffer(target)) return undefined;
  const path = resolve(target instanceof URL ? target.pathname : String(target));
  return path === root || path.startsWith(root + sep) ? path : undefined;
}

/** So many callers tell one place in the program from another. */
const DEPTH = 3;

/** Counts a call; what it fails with, if it does. */
function failure(name, kind, path) {
  count++;
  if (log !== undefined) {
    const frames = (new Error().stack ?? '')
      .split('\n')
      .filter((line) => /:\d+:\d+\)?$/.test(line) && !line.includes(__filename));
    const where = frames
      .slice(0, DEPTH)
      .map((line) => /(\d+:\d+)\)?$/.exec(line)?.[1])
      .join(',');
    lines.push(`${kind} ${name} ${where}`);
  }
  const isNow = count === at || (broken !== undefined && stays && broken === kind);
  if (!isNow) return undefined;
  broken = kind;
  const number = constants.errno[code] ?? 5;
  const error = new Error(`${code}: injected failure, ${name} '${path}'`);
  return Object.assign(error, { code, errno: -number, syscall: name, path });
}

Error.stackTraceLimit = 30;

function wrapAll(module, name, kindOf) {
  const sync = module[`${name}Sync`];
  if (typeof sync === 'function') {
    module[`${name}Sync`] = Object.assign(function (target, ...rest) {
      const path = pathOf(target);
      const error = path === undefined ? undefined : failure(name, kindOf(rest), path);
      if (error) throw error;
      const result = sync.call(this, target, ...rest);
      if (name === 'open' && path !== undefined) open.set(result, path);
      return result;
    }, sync);
  }
  const callback = module[name];
  if (typeof callback === 'function') {
    module[name] = Object.assign(function (target, ...rest) {
      const path = pathOf(target);
      const error = path === undefined ? undefined : failure(name, kindOf(rest), path);
      const done = rest.at(-1);
      if (error && typeof done === 'function') return process.nextTick(done, error);
      if (name === 'open' && path !== undefined && typeof done === 'function')
        rest[rest.length - 1] = (failed, descriptor) => {
          if (!failed) open.set(descriptor, path);
          done(failed, descriptor);
        };
      return callback.call(this, target, ...rest);
    }, callback);
  }
  const promised = module.promises?.[name];
  if (typeof promised === 'function') {
    module.promises[name] = async function (target, ...rest) {
      const path = pathOf(target);
      const error = path === undefined ? undefined : failure(name, kindOf(rest), path);
      if (error) throw error;
      const result = await promised.call(this, target, ...rest);
      if (name === 'open' && path !== undefined) wrapHandle(result, path);
      return result;
    };
  }
}

const isWriting = (flags) =>
  typeof flags === 'number'
    ? (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR | fs.constants.O_CREAT)) !== 0
    : /[wa+]/.test(String(flags ?? 'r'));

function wrapHandle(handle, path) {
  for (const name of [
    'read',
    'readFile',
    'stat',
    'sync',
    'datasync',
    'write',
    'writeFile',
    'chmod',
    'truncate',
    'utimes',
  ]) {
    const own = handle[name];
    if (typeof own !== 'function') continue;
    const kind = KIND_OF[`f${name}`] ?? KIND_OF[name] ?? 'sync';
    Object.defineProperty(handle, name, {
      async value(...rest) {
        const error = failure(name, kind, path);
        if (error) throw error;
        return own.apply(handle, rest);
      },
    });
  }
}

for (const name of Object.keys(KIND_OF)) wrapAll(fs, name, () => KIND_OF[name]);
wrapAll(fs, 'open', ([flags]) => (isWriting(flags) ? 'open-write' : 'open-read'));
const { closeSync, close } = fs;
fs.closeSync = (descriptor) => {
  open.delete(descriptor);
  return closeSync(descriptor);
};
fs.close = (descriptor, ...rest) => {
  open.delete(descriptor);
  return close(descriptor, ...rest);
};
syncBuiltinESMExports();

process.on('exit', () => {
  if (log !== undefined) original.appendFileSync(log, lines.map((line) => `${line}\n`).join(''));
});
