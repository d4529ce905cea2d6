import { constants, readFileSync, type Stats } from 'node:fs';
import { chmod, lstat, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printable } from '../credential/name.ts';
import { ensureDirectory, errorCode, writeFileAtomically } from '../files/atomic-write.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { lookup, raw } from '../settings/variables.ts';
import { renderConfig } from './render-config.ts';

export type ConfigOutcome =
  | {
      readonly kind: 'written' | 'unchanged';
      /** What it was made from. */
      readonly source: 'template' | 'config' | 'store';
      /** The config for the proxy, absolute. */
      readonly path: string;
      readonly warnings: readonly string[];
    }
  /** Neither a template nor a config, here or in the store. */
  | { readonly kind: 'missing'; readonly path: string; readonly template: string };

/**
 * Makes `config.yaml` in the proxy's home what it should be: rendered from `CLIPROXY_CONFIG_TEMPLATE` or
 * `config.template.yaml`; else as it is but for the auth dir; else the store's; else rendered from
 * `CLIPROXY_CONFIG_DEFAULT`. Mode 0600, in one step, and not touched if it says the same already.
 *
 * Call it before the proxy runs. It replaces the file by a rename: a proxy that is running does not see that, and
 * its watch on the file ends. (It would see a write in place, but a crash in the middle of one leaves half a
 * config, which the next start may not survive.)
 *
 * @param fromStore Reads the store's config; asked only where there is nothing local. Undefined: it has none.
 * @throws SettingsError if the template is not valid, or something that we must not replace is in the way.
 */
export async function writeConfig(
  settings: Pick<Settings, 'proxyHome' | 'authDir' | 'environment'> &
    Partial<Pick<Settings, 'configTemplate' | 'configDefault'>>,
  fromStore: () => Promise<Uint8Array | undefined> = async () => undefined,
): Promise<ConfigOutcome> {
  const { proxyHome, authDir, environment } = settings;
  const path = join(proxyHome, CONFIG);
  const ownTemplate = join(proxyHome, TEMPLATE);
  const previous = await readText(path);
  const source =
    (await namedTemplate('CLIPROXY_CONFIG_TEMPLATE', settings.configTemplate)) ??
    (await sourceFrom('template', printable(ownTemplate), () => readText(ownTemplate))) ??
    (await sourceFrom('config', printable(path), async () => previous)) ??
    (await sourceFrom('store', "the store's config/config.yaml", () => storedText(fromStore))) ??
    (await namedTemplate('CLIPROXY_CONFIG_DEFAULT', settings.configDefault));
  if (source === undefined) return { kind: 'missing', path, template: ownTemplate };
  const { kind, text, name } = source;
  const rendered = await renderConfig({
    text,
    name,
    previous,
    authDir,
    ...(kind !== 'template' && { authDirAliases: withTilde(authDir, lookup(environment, 'HOME')) }),
    ...(kind === 'template' && { variable: (variable) => placeholderValue(environment, variable) }),
  });
  const outcome = { source: kind, path, warnings: rendered.warnings } as const;
  const stats = await statOf(path);
  if (rendered.text === undefined) {
    if (stats?.isFile() && (stats.mode & 0o077) !== 0) await makePrivate(path);
    return { kind: 'unchanged', ...outcome };
  }
  if (stats !== undefined && !stats.isFile()) {
    throw new SettingsError(
      `${printable(path)} is ${stats.isSymbolicLink() ? 'a symbolic link' : 'not a file'}, and its content has to change`,
      stats.isSymbolicLink()
        ? `Link ${TEMPLATE} instead of ${CONFIG}, or remove the link; nothing is written through it.`
        : 'Move it away.',
    );
  }
  await ensureDirectory(proxyHome);
  await writeFileAtomically(path, Buffer.from(rendered.text), { mode: 0o600 });
  return { kind: 'written', ...outcome };
}

interface Source {
  readonly kind: 'template' | 'config' | 'store';
  readonly text: string;
  /** What it is called in messages. */
  readonly name: string;
}

async function sourceFrom(
  kind: Source['kind'],
  name: string,
  read: () => Promise<string | undefined>,
): Promise<Source | undefined> {
  const text = await read();
  return text === undefined ? undefined : { kind, text, name };
}

async function namedTemplate(variable: string, path: string | undefined): Promise<Source | undefined> {
  if (path === undefined) return undefined;
  const text = await readText(path);
  if (text !== undefined) return { kind: 'template', text, name: printable(path) };
  throw new SettingsError(
    `${variable} names ${printable(path)}, which does not exist`,
    `Set ${variable} to the path of a config template, or remove it.`,
  );
}

/** What a placeholder stands for: the variable, or else the content of the file that `NAME_FILE` names. */
function placeholderValue(environment: Settings['environment'], name: string): string | undefined {
  const value = raw(environment, name);
  const file = value === undefined ? lookup(environment, `${name}_FILE`) : undefined;
  if (file === undefined) return value;
  try {
    // Editors and `echo` end a file with a newline that is no part of the secret.
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new SettingsError(
      `${name}_FILE names ${printable(file)}, which cannot be read (${errorCode(error) ?? 'unknown error'})`,
      `Make it readable for this user, or set ${name}.`,
      { cause: error },
    );
  }
}

/** A config that someone wrote, or that a Nix store holds, may name the auth dir as the proxy expands it. */
function withTilde(path: string, home: string | undefined): string[] {
  return home !== undefined && path.startsWith(`${home}/`) ? [`~${path.slice(home.length)}`] : [];
}

const TEMPLATE = 'config.template.yaml';
const CONFIG = 'config.yaml';

/** A config is a few kilobytes; what is larger is something else. Bytes. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

async function storedText(fromStore: () => Promise<Uint8Array | undefined>): Promise<string | undefined> {
  const bytes = await fromStore();
  return bytes === undefined ? undefined : decode(bytes, "the store's config/config.yaml");
}

async function readText(path: string): Promise<string | undefined> {
  const shown = printable(path);
  let bytes: Uint8Array;
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new SettingsError(`${shown} is not a file`, 'Move it away.');
      if (stats.size > MAX_CONFIG_BYTES) {
        throw new SettingsError(
          `${shown} is too large for a config`,
          `Put a config into it, or move it away.`,
        );
      }
      bytes = await readFile(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' && (await statOf(path)) === undefined) return undefined;
    if (error instanceof SettingsError) throw error;
    const problem =
      code === 'ENOENT' ? 'is a link to nothing' : `cannot be read (${code ?? 'unknown error'})`;
    throw new SettingsError(`${shown} ${problem}`, `Make ${shown} readable for this user, or remove it.`, {
      cause: error,
    });
  }
  return decode(bytes, shown);
}

function decode(bytes: Uint8Array, shown: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new SettingsError(`${shown} is not UTF-8 text`, 'Save it as UTF-8.');
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function makePrivate(path: string): Promise<void> {
  try {
    await chmod(path, 0o600);
  } catch (error) {
    // Someone else's file that this user may only read: it works, and is theirs to close.
    if (errorCode(error) !== 'EPERM' && errorCode(error) !== 'EROFS') throw error;
  }
}
