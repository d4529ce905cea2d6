#!/usr/bin/env node
/**
 * A stand-in for CLIProxyAPI, for the demo and the tests: it runs no proxy, and treats credential files as
 * CLIProxyAPI 7 does (sdk/auth/filestore.go, internal/auth/*). Plain Node, so that it can be copied anywhere.
 *
 *   -claude-login, -codex-login ...  a login without a browser: a new credential in the config's auth-dir
 *   -vertex-import FILE              the same out of a service-account key
 *   (no such flag)                   serves until it is told to stop
 *
 * What CLIProxyAPI does by itself while it serves is done once here, by flags of our own:
 *
 *   -refresh NAME   new tokens, as long as the old ones, written in place
 *   -request NAME   what the first request adds to a Claude login
 *   -disable NAME   what its management page does to pause an account
 *   -delete NAME    what its management page does to remove one
 *
 * Variables: STAND_IN_ACCOUNT, the e-mail address of a login. STAND_IN_LOGIN=fail: the login fails, which the real
 * one also exits 0 after. STAND_IN_SLOW_WRITE: milliseconds between the halves of a file. STAND_IN_RECORD: a file
 * that gets arguments, working directory and environment as JSON. With its native store on it is `native-proxy/`.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const flags = readFlags(process.argv.slice(2));
loadDotEnv();
record();
refuseStoreVariables();
if (flags.has('h') || flags.has('help')) {
  process.stderr.write('Usage of stand-in-proxy: see the head of this file\n');
  process.exit(0);
}
const authDir = authDirOf(flags.get('config') ?? 'config.yaml');

const LOGINS = {
  'claude-login': 'claude',
  'codex-login': 'codex',
  'codex-device-login': 'codex',
  'antigravity-login': 'antigravity',
  'kimi-login': 'kimi',
  'xai-login': 'xai',
};
const CONTROLS = { refresh, request, disable, delete: remove };

const login = Object.keys(LOGINS).find((flag) => flags.has(flag));
const control = Object.keys(CONTROLS).find((flag) => flags.has(flag));
if (login !== undefined) await logIn(LOGINS[login]);
else if (flags.has('vertex-import')) await importVertex(flags.get('vertex-import'));
else if (control !== undefined) await CONTROLS[control](flags.get(control));
else serve();

/** Go's `flag` package: one dash or two, `-name value` or `-name=value`, up to the first argument that is no flag. */
function readFlags(args) {
  const found = new Map();
  const withValue = [
    'config',
    'vertex-import',
    'vertex-import-prefix',
    'password',
    'home-jwt',
    'oauth-callback-port',
  ];
  withValue.push('refresh', 'request', 'disable', 'delete');
  for (let index = 0; index < args.length; index++) {
    const [, name, value] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(args[index]) ?? [];
    if (name === undefined) break;
    found.set(name, value ?? (withValue.includes(name) ? args[++index] : 'true'));
  }
  return found;
}

/** godotenv: fills what is absent, and leaves alone what is there, even if it is empty. */
function loadDotEnv() {
  let text = '';
  try {
    text = readFileSync('.env', 'utf8');
  } catch {
    return;
  }
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined) process.env[name] ??= value.replace(/^(['"])(.*)\1$/, '$2');
  }
}

function record() {
  const { STAND_IN_RECORD: file, ...env } = process.env;
  if (file) writeFileSync(file, JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), env }));
}

/** In managed mode the proxy must not see a store: it would talk to it, and delete from it. */
function refuseStoreVariables() {
  const seen = Object.keys(process.env).filter(
    (name) => /^(PGSTORE|OBJECTSTORE|GITSTORE)_|^HOME_JWT$/i.test(name) && process.env[name].trim() !== '',
  );
  if (seen.length === 0) return;
  process.stderr.write(
    `stand-in proxy: it can see the store: ${seen.join(', ')} must be empty in managed mode\n`,
  );
  process.exit(70);
}

function authDirOf(config) {
  let text;
  try {
    text = readFileSync(config, 'utf8');
  } catch (error) {
    // The real one exits 0 here as well.
    process.stderr.write(`failed to load config: ${error.message}\n`);
    process.exit(0);
  }
  const [, found] =
    /^(?:auth-dir| {2,}auth-dir):\s*(.+?)\s*$/m.exec(text) ??
    // In braces, as a template that is JSON makes it.
    /[{,]\s*"?auth-dir"?:\s*("[^"]*")/.exec(text) ??
    [];
  const value = found?.replace(/^(['"])(.*)\1$/, '$2');
  if (value === undefined) {
    process.stderr.write(`stand-in proxy: ${config} has no auth-dir\n`);
    process.exit(70);
  }
  if (value === '~' || value.startsWith('~/')) return join(homedir(), value.slice(2));
  return isAbsolute(value) ? value : resolve(value);
}

async function logIn(provider) {
  if (process.env.STAND_IN_LOGIN === 'fail') {
    process.stderr.write(`${provider} authentication failed: the browser was closed\n`);
    return;
  }
  const email = process.env.STAND_IN_ACCOUNT ?? 'me@example.com';
  const name = provider === 'kimi' ? `kimi-${Date.now()}.json` : `${provider}-${email}.json`;
  const content = {
    type: provider,
    email,
    access_token: token(`${provider}-access-`),
    refresh_token: token(`${provider}-refresh-`),
    id_token: provider === 'codex' ? token('eyJ') : '',
    ...(provider === 'codex' && { account_id: randomBytes(16).toString('hex') }),
    // The real one asks Google for it where it is missing.
    ...(provider === 'antigravity' && { project_id: 'stand-in' }),
    disabled: false,
    ...times(provider),
  };
  // A login goes through os.Create: 0666 less the umask, and a newline at the end.
  await writeInPlace(join(authDir, name), `${goJson(content)}\n`, 0o666);
  process.stdout.write(`Saving credentials to ${join(authDir, name)}\n`);
}

async function importVertex(file) {
  const key = JSON.parse(readFileSync(file, 'utf8'));
  const name = `vertex-${String(key.project_id)
    .replace(/[/\\:]/g, '_')
    .replaceAll(' ', '-')}.json`;
  const content = {
    type: 'vertex',
    email: key.client_email ?? '',
    project_id: key.project_id,
    label: `${key.project_id} (${key.client_email})`,
    location: 'us-central1',
    service_account: key,
    prefix: '',
    disabled: false,
  };
  await writeInPlace(join(authDir, name), `${JSON.stringify(JSON.parse(goJson(content)), null, 2)}\n`, 0o666);
  process.stdout.write(`Vertex credentials imported: ${join(authDir, name)}\n`);
}

async function refresh(name) {
  await save(name, (content) => ({
    ...content,
    access_token: again(content.access_token),
    refresh_token: again(content.refresh_token),
    ...(content.id_token && { id_token: again(content.id_token) }),
    ...times(content.type),
  }));
}

async function request(name) {
  await save(name, (content) => ({
    ...content,
    claude_device_ids: content.claude_device_ids ?? [randomBytes(32).toString('hex')],
  }));
}

async function disable(name) {
  await save(name, (content) => ({ ...content, disabled: true }));
}

async function remove(name) {
  unlinkSync(join(authDir, name));
}

/** A save while it runs: over the file that is there, without a newline, and not at all if nothing changed. */
async function save(name, change) {
  const path = join(authDir, name);
  const before = JSON.parse(readFileSync(path, 'utf8'));
  const after = goJson({ ...change(before), disabled: change(before).disabled ?? false });
  if (goJson(before) !== after) await writeInPlace(path, after, 0o600);
}

/** O_TRUNC and write: no temporary file, no fsync, so a reader can meet it empty or half. */
async function writeInPlace(path, text, mode) {
  mkdirSync(authDir, { recursive: true, mode: 0o700 });
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, mode);
  const bytes = Buffer.from(text);
  const pause = Number(process.env.STAND_IN_SLOW_WRITE ?? 0);
  const half = pause > 0 ? bytes.length >> 1 : bytes.length;
  if (pause > 0) await sleep(pause);
  writeSync(file, bytes, 0, half);
  if (pause > 0) await sleep(pause);
  if (half < bytes.length) writeSync(file, bytes, half);
  closeSync(file);
}

/** As `encoding/json` writes a map: compact, keys sorted at all levels, `<`, `>`, `&` and two separators escaped. */
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

/** `time.RFC3339` in UTC: whole seconds, always of the same length. */
function times(provider) {
  const instant = (ms) => new Date(ms).toISOString().replace(/\.\d+/, '');
  // Codex tokens live for days; the real proxy refreshes them five days ahead, also those that it finds at a start.
  const hours = provider === 'codex' ? 240 : 8;
  return { last_refresh: instant(Date.now()), expired: instant(Date.now() + hours * 3600 * 1000) };
}

function token(prefix) {
  return prefix + randomBytes(60).toString('base64url');
}

/** Another token of the same length and beginning. */
function again(old) {
  const kept = old.slice(0, Math.max(0, old.length - 80));
  return (
    kept +
    randomBytes(60)
      .toString('base64url')
      .slice(0, old.length - kept.length)
  );
}

function serve() {
  mkdirSync(authDir, { recursive: true, mode: 0o700 });
  const names = readdirSync(authDir, { recursive: true }).filter((name) => name.endsWith('.json'));
  const alive = setInterval(() => undefined, 60_000);
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      process.stdout.write('stand-in proxy: stopped\n');
      clearInterval(alive);
      process.exit(0);
    });
  }
  // Last: who reads this may send a signal.
  process.stdout.write(`stand-in proxy: serving with ${names.length} credentials from ${authDir}\n`);
}
