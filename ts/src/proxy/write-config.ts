import { constants, readFileSync, type Stats } from 'node:fs';
import { chmod, lstat, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printable } from '../credential/name.ts';
import { ensureDirectory, errorCode, writeFileAtomically } from '../files/atomic-write.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { lookup, raw } from '../settings/variables.ts';
import { type RenderedConfig, renderConfig } from './render-config.ts';

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
 * @param mirrored Path of a native proxy's copy of the store's config, which is newer than `config.yaml` if it is there.
 * @throws SettingsError if the template is not valid, or something that we must not replace is in the way.
 */
export async function writeConfig(
  settings: ConfigSettings,
  fromStore: () => Promise<Uint8Array | undefined> = async () => undefined,
  mirrored?: string,
): Promise<ConfigOutcome> {
  const { proxyHome } = settings;
  const path = join(proxyHome, CONFIG);
  const previous = await readText(path);
  const source =
    (await findTemplate(settings)) ??
    (mirrored === undefined
      ? undefined
      : await sourceFrom('config', printable(mirrored), () => readText(mirrored))) ??
    (await sourceFrom('config', printable(path), async () => previous)) ??
    (await sourceFrom('store', STORE_CONFIG_NAME, () => storedText(fromStore))) ??
    (await defaultTemplate(settings));
  if (source === undefined) return { kind: 'missing', path, template: join(proxyHome, TEMPLATE) };
  const { kind } = source;
  const rendered = await renderSource(settings, source, previous, settings.authDir);
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

export type ConfigSettings = Pick<Settings, 'proxyHome' | 'authDir' | 'environment'> &
  Partial<Pick<Settings, 'configTemplate' | 'configDefault'>>;

/** What a config is made from. */
export interface Source {
  readonly kind: 'template' | 'config' | 'store';
  readonly text: string;
  /** What it is called in messages. */
  readonly name: string;
}

/** What the store's config is called in messages. */
export const STORE_CONFIG_NAME = "the store's config/config.yaml";

/** The template that decides wherever there is one. */
export async function findTemplate(settings: ConfigSettings): Promise<Source | undefined> {
  const own = join(settings.proxyHome, TEMPLATE);
  return (
    (await namedTemplate('CLIPROXY_CONFIG_TEMPLATE', settings.configTemplate)) ??
    (await sourceFrom('template', printable(own), () => readText(own)))
  );
}

/** The config that lies in the proxy's home. */
export async function findConfig({ proxyHome }: ConfigSettings): Promise<Source | undefined> {
  const path = join(proxyHome, CONFIG);
  return sourceFrom('config', printable(path), () => readText(path));
}

/** The template for where there is nothing else. */
export async function defaultTemplate(settings: ConfigSettings): Promise<Source | undefined> {
  return namedTemplate('CLIPROXY_CONFIG_DEFAULT', settings.configDefault);
}

/** @param authDir What the config is made to name. */
export function renderSource(
  { environment }: ConfigSettings,
  { kind, text, name }: Source,
  previous: string | undefined,
  authDir: string,
): Promise<RenderedConfig> {
  return renderConfig({
    text,
    name,
    previous,
    authDir,
    ...(kind !== 'template' && { authDirAliases: withTilde(authDir, lookup(environment, 'HOME')) }),
    ...(kind === 'template' && { variable: (variable) => placeholderValue(environment, variable) }),
  });
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
  return bytes === undefined ? undefined : decode(bytes, STORE_CONFIG_NAME);
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
