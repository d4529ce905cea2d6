import { constants, readFileSync, type Stats } from 'node:fs';
import { chmod, lstat, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printable } from '../credential/name.ts';
import { ensureDirectory, errorCode, writeFileAtomically } from '../files/atomic-write.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { lookup, raw } from '../settings/variables.ts';
import { fingerprint, type RenderedConfig, renderConfig } from './render-config.ts';
import { noteWritten, readWritten, type WrittenConfig } from './written-config.ts';

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
 * A config that was rendered from what a variable names, and that nobody has edited since, follows
 * `CLIPROXY_CONFIG_DEFAULT` when that changes; an edited one is left alone, which a warning says once.
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
  const { proxyHome, stateDir } = settings;
  const path = join(proxyHome, CONFIG);
  const previous = await readText(path);
  const source =
    (await findTemplate(settings)) ??
    (mirrored === undefined ? undefined : await storedCopy(mirrored)) ??
    (await sourceFrom('config', printable(path), async () => previous)) ??
    (await sourceFrom('store', STORE_CONFIG_NAME, () => storedText(fromStore))) ??
    (await defaultTemplate(settings));
  if (source === undefined) return { kind: 'missing', path, template: join(proxyHome, TEMPLATE) };

  const written = await readWritten(stateDir, path);
  const { rendered, kind, isNamed, warnings } =
    (source.kind === 'config' ? await followDefault(source, settings, written) : undefined) ??
    (await render(source, previous, settings));
  const stats = await statOf(path);
  if (rendered.text !== undefined && stats !== undefined && !stats.isFile()) {
    throw new SettingsError(
      `${printable(path)} is ${stats.isSymbolicLink() ? 'a symbolic link' : 'not a file'}, and its content has to change`,
      stats.isSymbolicLink()
        ? `Link ${TEMPLATE} instead of ${CONFIG}, or remove the link; nothing is written through it.`
        : 'Move it away.',
    );
  }
  const problem = isNamed ? await remember(rendered.whole, written, stateDir) : undefined;
  const outcome = {
    source: kind,
    path,
    warnings: [...rendered.warnings, ...warnings, ...(problem === undefined ? [] : [problem])],
  } as const;
  if (rendered.text === undefined) {
    if (stats?.isFile() && (stats.mode & 0o077) !== 0) await makePrivate(path);
    return { kind: 'unchanged', ...outcome };
  }
  await ensureDirectory(proxyHome);
  await writeFileAtomically(path, Buffer.from(rendered.text), { mode: 0o600 });
  return { kind: 'written', ...outcome };
}

export type ConfigSettings = Pick<Settings, 'proxyHome' | 'authDir' | 'stateDir' | 'environment'> &
  Partial<Pick<Settings, 'configTemplate' | 'configDefault'>>;

interface Rendered {
  readonly rendered: RenderedConfig;
  readonly kind: Source['kind'];
  /** Whether it was made from what a variable names. */
  readonly isNamed: boolean;
  /** Besides those of the rendering. */
  readonly warnings: readonly string[];
}

async function render(
  source: Source,
  previous: string | undefined,
  settings: ConfigSettings,
): Promise<Rendered> {
  const { kind, isNamed = false } = source;
  const rendered = await renderSource(settings, source, previous, settings.authDir);
  return { rendered, kind, isNamed, warnings: [] };
}

/** @param authDir What the config is made to name. */
export function renderSource(
  { environment }: Pick<ConfigSettings, 'environment'>,
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

/**
 * For a config that is there and has no template: the default's rendering, if the config is still what we wrote. Else
 * the config as it is, with a warning if it should have changed and nobody was told yet. Undefined if it never was ours.
 */
async function followDefault(
  config: Source,
  settings: ConfigSettings,
  written: WrittenConfig,
): Promise<Rendered | undefined> {
  const { configDefault } = settings;
  if (configDefault === undefined || written.fingerprints.length === 0) return undefined;
  const text = await readText(configDefault);
  if (text === undefined) return undefined;
  const source: Source = { kind: 'template', isNamed: true, text, name: printable(configDefault) };
  const following = await render(source, config.text, settings);
  const { whole, text: changed } = following.rendered;
  const here = await fingerprint(config.text, whole);
  if (changed === undefined || (here !== undefined && written.fingerprints.includes(here))) return following;

  const own = await render(config, config.text, settings);
  const wanted = await fingerprint(whole, whole);
  if (wanted === undefined || written.fingerprints.includes(wanted) || written.told === wanted) return own;
  await noteWritten(settings.stateDir, { ...written, told: wanted });
  const warning = `${config.name} is no longer what was written there, and is left alone: it does not follow ${source.name} (CLIPROXY_CONFIG_DEFAULT), which has changed. To have it follow again, move it away`;
  return { ...own, warnings: [warning] };
}

/** Ahead of the write, with what was there before: after a crash either counts as ours. */
async function remember(
  whole: string,
  { path, fingerprints }: WrittenConfig,
  stateDir: string,
): Promise<string | undefined> {
  const mark = await fingerprint(whole, whole);
  if (mark === undefined || fingerprints[0] === mark) return undefined;
  const before = fingerprints.filter((each) => each !== mark).slice(0, 1);
  const problem = await noteWritten(stateDir, { path, fingerprints: [mark, ...before] });
  if (problem === undefined) return undefined;
  return `what was written to ${printable(path)} could not be noted in ${printable(stateDir)} (${problem}): it will not follow CLIPROXY_CONFIG_DEFAULT`;
}

/** What a config is made from. */
export interface Source {
  readonly kind: 'template' | 'config' | 'store';
  /** Whether a variable names it. */
  readonly isNamed?: boolean;
  readonly text: string;
  /** What it is called in messages. */
  readonly name: string;
}

/** The template that decides wherever there is one. */
export async function findTemplate({
  proxyHome,
  configTemplate,
}: ConfigSettings): Promise<Source | undefined> {
  const own = join(proxyHome, TEMPLATE);
  return (
    (await namedTemplate('CLIPROXY_CONFIG_TEMPLATE', configTemplate)) ??
    (await sourceFrom('template', printable(own), () => readText(own)))
  );
}

/** The config that lies in the proxy's home. */
export async function findConfig({ proxyHome }: ConfigSettings): Promise<Source | undefined> {
  const path = join(proxyHome, CONFIG);
  return sourceFrom('config', printable(path), () => readText(path));
}

/** The template for where there is nothing else. */
export async function defaultTemplate({ configDefault }: ConfigSettings): Promise<Source | undefined> {
  return namedTemplate('CLIPROXY_CONFIG_DEFAULT', configDefault);
}

function storedCopy(path: string): Promise<Source | undefined> {
  return sourceFrom('store', printable(path), () => readText(path));
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
  if (text !== undefined) return { kind: 'template', isNamed: true, text, name: printable(path) };
  throw new SettingsError(
    `${variable} names ${printable(path)}, which does not exist`,
    `Set ${variable} to the path of a config template, or remove it.`,
  );
}

/** What a placeholder stands for: the variable, or else the content of the file that `NAME_FILE` names. */
function placeholderValue(environment: Settings['environment'], name: string): string | undefined {
  const value = raw(environment, name);
  const file = value === undefined ? raw(environment, `${name}_FILE`)?.trim() : undefined;
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

/** What the store's config is called in messages. */
const STORE_CONFIG_NAME = "the store's config/config.yaml";
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
