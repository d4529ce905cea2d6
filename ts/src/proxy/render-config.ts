import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Document, ParsedNode, Scalar, YAMLMap } from 'yaml';
import { SettingsError } from '../settings/settings-error.ts';
import { substitutePlaceholders, Verbatim } from './placeholders.ts';

export interface ConfigSource {
  /** A template or a whole config, YAML. */
  readonly text: string;
  /** What it is called in messages: `config.template.yaml`. */
  readonly name: string;
  /**
   * The value of a variable, undefined if it is unset; called with the name inside `__NAME__`. Absent for a
   * config that is no template: what looks like a placeholder in it stays.
   */
  readonly variable?: (name: string) => string | undefined;
  /** Absolute path of the auth dir, which the config is made to name. */
  readonly authDir: string;
  /** Other spellings of it (`~/...`) that are left alone. */
  readonly authDirAliases?: readonly string[];
  /** The text of the config that is there now. */
  readonly previous: string | undefined;
}

export interface RenderedConfig {
  /** The text of the config, whether or not the previous one says the same. */
  readonly whole: string;
  /** Undefined if the previous config says the same already. */
  readonly text: string | undefined;
  /** One sentence each, naming variables and keys, never a value. */
  readonly warnings: readonly string[];
}

/**
 * The config for the proxy. Comments and everything that is not substituted stay as they are written, down to
 * `0777` and `on`, which YAML 1.1 and 1.2 read differently; only blank lines and indentation are tidied.
 *
 * "Says the same" is about the values: the proxy's own rewrite loses blank lines and indentation, and puts a
 * bcrypt hash in the place of the management key. A hash that matches the key counts as the key.
 *
 * @throws SettingsError with line and column if the source is no YAML mapping. The text is not quoted: it may
 *   hold secrets.
 */
export async function renderConfig(source: ConfigSource): Promise<RenderedConfig> {
  const yaml = await import('yaml');
  const document = parse(yaml, source);
  const warnings = source.variable ? substitutePlaceholders(yaml, document, source.variable) : [];
  setAuthDir(yaml, document, [source.authDir, ...(source.authDirAliases ?? [])]);
  const text = stringify(document, source.name);
  const { previous, name } = source;
  const same =
    previous !== undefined && (previous === text || (await saysTheSame(yaml, text, previous, name)));
  return {
    whole: text,
    text: same ? undefined : text,
    warnings: warnings.map((warning) => `${source.name}: ${warning}`),
  };
}

/**
 * What tells whether a config was changed by a person: a hash of its values and comments. What the proxy itself does
 * to the file leaves it as it is: blank lines, indentation, and a bcrypt hash in the place of the management key.
 *
 * @param rendered The config that would be written. A hash is compared with its key, which is there in plain text.
 * @returns Undefined for what is no YAML.
 */
export async function fingerprint(text: string, rendered: string): Promise<string | undefined> {
  const yaml = await import('yaml');
  let values: unknown;
  try {
    values = yaml.parse(text, { logLevel: 'silent' });
  } catch {
    return undefined;
  }
  for (const section of KEY_SECTIONS) {
    const holder = member(values, section);
    const own = secretText(yaml, text, section);
    const key = secretText(yaml, rendered, section);
    if (own === undefined || !isRecord(holder)) continue;
    holder['secret-key'] = key !== undefined && (await matches(key, own)) ? key : own;
  }
  const comments = [...new yaml.Lexer().lex(text)].filter((token) => token.startsWith('#'));
  return createHash('sha256')
    .update(JSON.stringify([values, comments], sorted))
    .digest('hex');
}

/** For `JSON.stringify`: the proxy keeps the order of keys, but nobody promised it. */
function sorted(_: string, value: unknown): unknown {
  return isRecord(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
    : value;
}

/** The auth dir that a config names; undefined if it names none, or is no YAML. */
export async function authDirIn(text: string): Promise<string | undefined> {
  const yaml = await import('yaml');
  try {
    const value: unknown = yaml.parse(text, { schema: 'failsafe', logLevel: 'silent' });
    const named = [member(value, 'auth-dir'), member(member(value, 'oauth'), 'auth-dir')];
    return named.find((path): path is string => typeof path === 'string' && path !== '');
  } catch {
    return undefined;
  }
}

type Yaml = typeof import('yaml');

function parse(yaml: Yaml, { text, name }: Pick<ConfigSource, 'text' | 'name'>): Document<YAMLMap, false> {
  const lines = new yaml.LineCounter();
  let document: Document.Parsed<ParsedNode, false>;
  try {
    // A CR alone breaks a line too, in YAML 1.2 and for the proxy; the library takes it for a character like others.
    document = yaml.parseDocument(text.replace(/\r\n?/g, '\n'), {
      // Every plain scalar is a string and is written as it was read.
      schema: 'failsafe',
      customTags: (tags) => [VERBATIM_TAG, ...tags],
      lineCounter: lines,
    });
  } catch (error) {
    // The parser recurses; its message would quote the text.
    throw notYaml(name, error instanceof RangeError ? 'is nested too deeply' : 'cannot be read as YAML');
  }
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    const problem = error.code.toLowerCase().replaceAll('_', ' ');
    throw notYaml(name, `is not valid YAML at line ${line}, column ${col} (${problem})`);
  }
  if (document.contents === null || isEmptyScalar(yaml, document.contents)) {
    const { commentBefore, comment } = document;
    const empty = new yaml.Document<YAMLMap, false>(new yaml.YAMLMap(), {
      schema: 'failsafe',
      customTags: (tags) => [VERBATIM_TAG, ...tags],
    });
    empty.commentBefore = [commentBefore, comment].filter(Boolean).join('\n') || null;
    return empty;
  }
  if (!yaml.isMap(document.contents)) throw notYaml(name, 'is not a mapping of keys to values');
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- a map, by the check above, and no parsed nodes are asked for later
  return document as Document<YAMLMap, false>;
}

function isEmptyScalar(yaml: Yaml, node: ParsedNode): boolean {
  return yaml.isScalar(node) && (node.value === null || node.value === '');
}

function notYaml(name: string, problem: string): SettingsError {
  return new SettingsError(`${name} ${problem}`, `Correct ${name}; the config that is there was left alone.`);
}

/** A tag only in name: makes the writer put `Verbatim` values down as they are. */
const VERBATIM_TAG = {
  tag: 'tag:cliproxyapi-sync,2026:verbatim',
  default: true,
  identify: (value: unknown) => value instanceof Verbatim,
  resolve: (value: string) => value,
  stringify: ({ value }: Scalar) => (value instanceof Verbatim ? value.yaml : String(value)),
};

/** Version 7 has `auth-dir`, version 8 `oauth.auth-dir`; a version 8 that finds the old key migrates it. */
function setAuthDir(yaml: Yaml, document: Document<YAMLMap, false>, authDir: Spellings): void {
  const root = document.contents;
  const version = Number(textOf(root.get('config-version', true)));
  if (!(version >= 8)) {
    setText(yaml, root, 'auth-dir', authDir);
    return;
  }
  let oauth: unknown = root.get('oauth', true);
  if (!yaml.isMap(oauth)) {
    oauth = new yaml.YAMLMap();
    root.set('oauth', oauth);
  }
  if (yaml.isMap(oauth)) setText(yaml, oauth, 'auth-dir', authDir);
  if (root.has('auth-dir')) setText(yaml, root, 'auth-dir', authDir);
}

/** The first is written; any is left as it is. */
type Spellings = readonly [string, ...string[]];

function setText(yaml: Yaml, map: YAMLMap, key: string, spellings: Spellings): void {
  const node: unknown = map.get(key, true);
  const [text] = spellings;
  if (spellings.includes(textOf(node) ?? '')) return;
  if (!yaml.isScalar(node)) {
    map.set(key, new yaml.Scalar(Verbatim.string(text)));
    return;
  }
  // In place, so that its comment stays.
  node.value = Verbatim.string(text);
  delete node.tag;
}

function textOf(node: unknown): string | undefined {
  const value = typeof node === 'object' && node !== null && 'value' in node ? node.value : node;
  if (value instanceof Verbatim) return value.text;
  return typeof value === 'string' ? value : undefined;
}

function stringify(document: Document<YAMLMap, false>, name: string): string {
  try {
    return document.toString({ lineWidth: 0 });
  } catch {
    // The only thing that is left to go wrong; the message would name what could be a value that starts with *.
    throw notYaml(name, 'has an alias (*name) without its anchor (&name)');
  }
}

/** Where the management key is in version 7 and in version 8. */
const KEY_SECTIONS = ['remote-management', 'management'] as const;

async function saysTheSame(yaml: Yaml, text: string, previous: string, name: string): Promise<boolean> {
  let before: unknown;
  try {
    before = yaml.parse(previous, { logLevel: 'silent' });
  } catch {
    return false;
  }
  let after: unknown;
  try {
    after = yaml.parse(text, { logLevel: 'silent' });
  } catch {
    throw notYaml(name, 'cannot be read back: its aliases or tags do not work out');
  }
  for (const section of KEY_SECTIONS) {
    const hash = member(member(before, section), 'secret-key');
    const holder = member(after, section);
    const key = secretText(yaml, text, section);
    if (typeof hash !== 'string' || key === undefined || !isRecord(holder)) continue;
    if (await matches(key, hash)) holder['secret-key'] = hash;
  }
  return isDeepStrictEqual(before, after);
}

/** The key as the proxy reads it: `secret-key: 0123` is the text 0123 there, not a number. */
function secretText(yaml: Yaml, text: string, section: string): string | undefined {
  const value: unknown = yaml.parseDocument(text, { schema: 'failsafe' }).getIn([section, 'secret-key']);
  return typeof value === 'string' ? value : undefined;
}

async function matches(key: string, hash: string): Promise<boolean> {
  // What is a hash itself the proxy takes as it is; one of a higher cost is none that it made, and takes minutes.
  if (!BCRYPT.test(hash) || /^\$2[aby]\$/.test(key)) return false;
  const { compare } = await import('bcryptjs');
  return compare(key, hash);
}

const BCRYPT = /^\$2[aby]\$(0[4-9]|1[0-3])\$[./A-Za-z0-9]{53}$/;

function member(value: unknown, key: string): unknown {
  return isRecord(value) ? value[key] : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
