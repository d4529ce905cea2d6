import { readFile, stat } from 'node:fs/promises';
import { printable } from '../credential/name.ts';
import { errorCode } from '../files/atomic-write.ts';
import { SettingsError } from './settings-error.ts';

export interface EnvFile {
  readonly path: string;
  readonly values: Readonly<Record<string, string>>;
  /** What a person should know about it, one sentence each, without any value. */
  readonly warnings: readonly string[];
}

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
    bytes = await readFile(path);
    const stats = await stat(path);
    // A FIFO or a file descriptor has a secret manager behind it; its mode says nothing.
    if (stats.isFile()) mode = stats.mode & 0o777;
  } catch (error) {
    const code = errorCode(error) ?? 'unknown error';
    if (mayBeMissing && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    const what = REASONS.get(code) ?? `cannot be read (${code})`;
    const toDo =
      code === 'ENOENT'
        ? "Write the store's variables into it (OBJECTSTORE_..., PGSTORE_DSN, GITSTORE_... or LOCALSTORE_PATH)"
        : 'Make the file readable for this user';
    throw new SettingsError(
      `the env file ${shown} (${source}) ${what}`,
      `${toDo}, or name another one with ${option}.`,
      { cause: error },
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
