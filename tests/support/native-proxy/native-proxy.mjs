#!/usr/bin/env node
/**
 * A stand-in for CLIProxyAPI with its native store on: what it asks of the store, and what it does to its mirror, in
 * the same order and under the same (no) conditions. One file per store: `s3.mjs`, `postgres.mjs`, `git.mjs`; this one
 * has what they share: the start, the watch on the mirror (internal/watcher), and what a save or a deletion by the
 * management page does (internal/store).
 *
 * Without a store variable it is the stand-in for managed mode, with all of its flags.
 *
 * What was verified against the real program (7.2.140's successor), by `tests/interop/native.test.ts` and by hand: the
 * requests in their order and their headers; the mirror after a start; that only top-level `*.json` files are watched;
 * that an emptied or invalid file does nothing; that a removal is carried out after 50 ms if the file is still gone, and
 * not at all if it is the path's second within a second; author, message and parents of the commits; that Git refuses a
 * removal that the watch saw, and puts the file back with the next save.
 *
 * Variables:
 *   NATIVE_SOCKET   a unix socket that takes a command a line: `save NAME JSON`, `delete NAME`, `go`, and answers `ok`
 *   NATIVE_STOPS    points at which it waits for `go`, separated by commas; it prints `at POINT` there
 *   NATIVE_DIES     a point at which it kills itself
 *   NATIVE_SLOW     milliseconds for each object or row that comes over the link
 *
 * The points of a start: `connect`, `config`, `list`, `clear` (PostgreSQL: a third of the mirror is removed), `fill` (half of
 * it is filled), `serve`.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const STORES = { PGSTORE_DSN: 'postgres', OBJECTSTORE_ENDPOINT: 's3', GITSTORE_GIT_URL: 'git' };
const chosen = Object.keys(STORES).find((name) => variable(name) !== undefined);
if (chosen === undefined) await import('../stand-in-proxy.mjs');
else await main(STORES[chosen]);

/** Upper or lower case, trimmed; empty is unset (cmd/server/main.go). */
export function variable(name) {
  return [process.env[name], process.env[name.toLowerCase()]]
    .map((value) => value?.trim())
    .find((value) => value !== undefined && value !== '');
}

/** Whether a file was created from `./config.example.yaml`, as it is where the store has no config. */
export function exampleConfig(path) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, readFileSync('config.example.yaml'), { mode: 0o600 });
}

async function main(kind) {
  const { open } = await import(`./${kind}.mjs`);
  const control = controls();
  const store = open({
    variable,
    exampleConfig,
    at: control.at,
    slow: () => sleep(Number(process.env.NATIVE_SLOW ?? 0)),
  });
  control.commands.save = (name, json) => save(store, name, JSON.parse(json));
  control.commands.delete = (name) => remove(store, name);
  try {
    await store.bootstrap();
    if (!existsSync(store.configPath)) throw new Error(`no config at ${store.configPath}`);
  } catch (error) {
    // It says so, and exits 0.
    process.stderr.write(`stand-in: failed to bootstrap: ${error.message}\n`);
    process.exit(0);
  }
  watchMirror(store);
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
  await control.at('serve');
  const names = readdirSync(store.authDir).filter((name) => name.endsWith('.json'));
  process.stdout.write(`stand-in: serving natively with ${names.length} credentials from ${store.authDir}\n`);
}

/** Save of internal/store/*.go: a temporary file that takes the name, then the store; nothing if nothing changed. */
async function save(store, name, content) {
  const path = join(store.authDir, name);
  const text = goJson(content);
  await store.beforeSave?.();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const before = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  if (before !== undefined && goJson(JSON.parse(before)) === text) return;
  writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
  await store.persist(`Update auth ${name}`, path, 'save');
}

/** DeleteAuthFile of the management page. */
async function remove(store, name) {
  const path = join(store.authDir, name);
  await store.beforeSave?.();
  rmSync(path, { force: true });
  await store.persist(`Delete auth ${name}`, path, 'delete');
}

/** internal/watcher/events.go and clients.go. */
function watchMirror(store) {
  const hashes = new Map();
  const removals = new Map();
  const hash = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
  for (const name of readdirSync(store.authDir).filter((file) => file.endsWith('.json')))
    hashes.set(join(store.authDir, name), hash(join(store.authDir, name)));
  // One at a time, as under the mutex of the stores.
  let queue = Promise.resolve();
  const persist = (message, path) => {
    queue = queue
      .then(() => store.persist(message, path, 'watch'))
      .catch((error) => process.stderr.write(`stand-in: failed to persist auth changes: ${error.message}\n`));
  };
  const changed = (path) => {
    let bytes;
    try {
      bytes = readFileSync(path);
      if (bytes.length === 0) return;
      JSON.parse(bytes.toString());
    } catch {
      return;
    }
    if (hashes.get(path) === hash(path)) return;
    hashes.set(path, hash(path));
    persist(`Sync auth ${basename(path)}`, path);
  };
  const removed = async (path) => {
    const last = removals.get(path);
    if (last !== undefined && Date.now() - last < 1000) return;
    removals.set(path, Date.now());
    await sleep(50);
    if (existsSync(path)) return changed(path);
    if (!hashes.delete(path)) return;
    persist(`Remove auth ${basename(path)}`, path);
  };
  watch(store.authDir, (_, name) => {
    if (name === null || !name.endsWith('.json')) return;
    const path = join(store.authDir, name);
    if (existsSync(path)) changed(path);
    else void removed(path);
  });
}

function controls() {
  const { NATIVE_SOCKET: socket, NATIVE_STOPS: stops = '', NATIVE_DIES: dies } = process.env;
  let go = () => undefined;
  const commands = { go: () => go() };
  if (socket) {
    rmSync(socket, { force: true });
    createServer((connection) => {
      let text = '';
      connection.setEncoding('utf8').on('data', async (part) => {
        text += part;
        if (!text.endsWith('\n')) return;
        const [, command, rest = ''] = /^(\S+) ?(.*)\n$/s.exec(text) ?? [];
        const [name, ...more] = rest.split(' ');
        try {
          await commands[command](name, more.join(' '));
          connection.end('ok\n');
        } catch (error) {
          connection.end(`${error.message}\n`);
        }
      });
    }).listen(socket);
  }
  return {
    commands,
    async at(point) {
      if (dies === point) process.kill(process.pid, 'SIGKILL');
      if (!stops.split(',').includes(point)) return;
      const gone = new Promise((resolve) => {
        go = resolve;
      });
      process.stdout.write(`stand-in: at ${point}\n`);
      await gone;
    },
  };
}

/** `encoding/json` of a map: keys sorted, compact, `<`, `>`, `&` escaped. */
function goJson(value) {
  const sorted = (part) => {
    if (Array.isArray(part)) return part.map(sorted);
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(
      Object.keys(part)
        .sort()
        .map((key) => [key, sorted(part[key])]),
    );
  };
  return JSON.stringify(sorted(value)).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
