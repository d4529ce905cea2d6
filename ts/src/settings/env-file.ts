import { type FileHandle, open } from 'node:fs/promises';
import { printable } from '../credential/name.ts';
import { errorCode } from '../files/atomic-write.ts';
import { shellWord } from '../sync/words.ts';
import { SettingsError } from './settings-error.ts';

export interface EnvFile {
  readonly path: string;
  readonly values: Readonly<Record<string, string>>;
  /** What a person should know about it, one sentence each, without any value. */
  readonly warnings: readonly string[];
}

/** Far more than variables take. */
const MAX_BYTES = 1024 * 1024;

/**
 * Reads an env file: `NAME=value` lines with or without `export`, quotes, comments, CRLF, a byte order mark.
 * The process's environment is left alone.
 *
 * @param source What named the file, for errors: `CLIPROXY_ENV_FILE`, `--env-file`.
 * @param option What a person changes to name another one, if that is not `source`.
 * @returns Undefined if there is none and `mayBeMissing`.
 * @throws SettingsError if it is missing, cannot be read, or is no text.
 */
export async function readEnvFile(
  path: string,
  source: string,
  mayBeMissing: boolean,
  option: string = source,
): Promise<EnvFile | undefined> {
  const shown = printable(path);
  let bytes: Uint8Array;
  let mode: number | undefined;
  try {
    const file = await open(path);
    try {
      const stats = await file.stat();
      // A FIFO or a file descriptor has a secret manager behind it; its mode says nothing.
      if (stats.isFile()) mode = stats.mode & 0o777;
      bytes = await readUpTo(file, MAX_BYTES);
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = errorCode(error) ?? 'unknown error';
    if (mayBeMissing && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    const what = REASONS.get(code) ?? `cannot be read (${code})`;
    const toDo = REMEDIES.get(code)?.(shellWord(path)) ?? `Look at it (\`ls -l ${shellWord(path)}\`)`;
    throw new SettingsError(
      `the env file ${shown} (${source}) ${what}`,
      `${toDo}, or name another one with ${option}.`,
      { cause: error },
    );
  }
  if (bytes.length > MAX_BYTES) {
    throw new SettingsError(
      `the env file ${shown} (${source}) is larger than ${MAX_BYTES / 1024 / 1024} MB`,
      `It is another file than was meant: name the right one with ${option}.`,
    );
  }
  const text = decode(bytes);
  if (text === undefined) {
    throw new SettingsError(
      `the env file ${shown} (${source}) is not UTF-8 text`,
      'Save it as plain text with a line NAME=value for each variable.',
    );
  }
  const { values, warnings } = await parseEnv(text);
  return {
    path,
    values,
    warnings: [
      ...(mode !== undefined && (mode & 0o077) !== 0
        ? [`the env file ${shown} is open to other users (mode ${mode.toString(8)}): chmod 600 it`]
        : []),
      ...warnings.map((warning) => `the env file ${shown}: ${warning}`),
    ],
  };
}

/** As much as `limit`, and one byte more where there is more: a device or a pipe may never end. */
async function readUpTo(file: FileHandle, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let left = limit + 1; left > 0; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(left, 64 * 1024)));
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    left -= bytesRead;
  }
  return Buffer.concat(chunks);
}

/** Parses the text of an env file. Pure but for the parser, which is loaded on first use. */
export async function parseEnv(
  text: string,
): Promise<{ readonly values: Record<string, string>; readonly warnings: readonly string[] }> {
  const { parse } = await import('dotenv');
  const values = parse(text);
  return { values, warnings: [...new Set(suspicions(text, values))] };
}

/**
 * What dotenv reads otherwise than a shell would: a secret that is silently cut short is found out only when a
 * login or an upload is refused.
 */
function* suspicions(text: string, values: Readonly<Record<string, string>>): Generator<string> {
  for (const line of text.split(/\r\n?|\n/)) {
    const match = /^\s*(?:export\s+)?([\w.-]+)\s*=\s*(.*)$/.exec(line);
    const [, name, rest] = match ?? [];
    if (name === undefined || rest === undefined || !Object.hasOwn(values, name)) continue;
    const cut = /^([^'"`#\s][^#]*)(?<!\s)#/.exec(rest)?.[1];
    if (cut !== undefined && values[name] === cut.trim()) {
      yield `${name} ends before its "#", which starts a comment: put the value in single quotes to keep it whole`;
    }
    if (/^["'`]/.test(rest) && values[name] === rest.trim()) {
      yield `${name} starts with a quote that is not closed`;
    }
  }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // No environment can hold a NUL: what has one is no env file.
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'does not exist'],
  ['ENOTDIR', 'does not exist'],
  ['EACCES', 'may not be read by this user'],
  ['EPERM', 'may not be read by this user'],
  ['EISDIR', 'is a directory'],
]);

const WRITE_IT =
  "Write the store's variables into it (OBJECTSTORE_..., PGSTORE_DSN, GITSTORE_... or LOCALSTORE_PATH)";
const takeOver = (path: string) => `Take it over: \`sudo chown "$(id -un)" ${path} && chmod 600 ${path}\``;

/** What to do, by what the system says of the path. */
const REMEDIES: ReadonlyMap<string, (path: string) => string> = new Map([
  ['ENOENT', () => WRITE_IT],
  ['EACCES', takeOver],
  ['EPERM', takeOver],
  ['EISDIR', (path) => `Move the directory away (\`mv ${path} ${path}.away\`) and write the file`],
]);
