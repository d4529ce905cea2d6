import type { Document, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';

/**
 * A value together with the YAML that stands for it. Written by us because the proxy's reader is stricter than
 * our writer: it takes U+0085 and U+2028 for line breaks and refuses other control characters (yaml.v3).
 */
export class Verbatim {
  readonly text: string;
  readonly yaml: string;

  private constructor(text: string, yaml: string) {
    this.text = text;
    this.yaml = yaml;
  }

  /** Any text as a double-quoted scalar, which stays a string for every reader. */
  static string(text: string): Verbatim {
    const quoted = JSON.stringify(text).replace(
      /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    return new Verbatim(text, quoted);
  }

  /** A number, `true`, `false` or `null`, digit for digit. */
  static plain(text: string): Verbatim {
    return new Verbatim(text, text);
  }
}

/**
 * Puts the values of variables into a document whose plain scalars are strings (schema `failsafe`). Only values
 * are looked at, never keys or comments, and a value that was put in is not looked at again.
 *
 * - A substituted scalar is a string. But where the placeholder is the whole of an unquoted scalar (`port:
 *   __PORT__`), an integer or `true` or `false` keeps its type; not in lists and not under a key whose name has
 *   key, secret, password or token in it, where `123456` is a secret. Quotes in the template make it a string.
 * - A list item that is just an unset placeholder goes, and a list that is empty by that too.
 * - Any other unset one becomes nothing.
 *
 * @returns Warnings, one sentence each, without any value.
 */
export function substitutePlaceholders(
  yaml: typeof import('yaml'),
  document: Document<YAMLMap, false>,
  variable: (name: string) => string | undefined,
): string[] {
  const warnings: string[] = [];

  const visit = (node: unknown, place: Place): Fate => {
    if (yaml.isMap(node)) return visitMap(node, place);
    if (yaml.isSeq(node)) return visitSeq(node, place);
    if (yaml.isScalar(node) && typeof node.value === 'string') return visitScalar(node, node.value, place);
    return KEEP;
  };

  const visitMap = (map: YAMLMap, place: Place): Fate => {
    map.items = map.items.filter((pair: Pair) => {
      const key = yaml.isScalar(pair.key) ? String(pair.key.value) : '';
      const path = place.path === '' ? key : `${place.path}.${key}`;
      const fate = visit(pair.value, { path, key, inList: false });
      if (!fate.goes) return true;
      warnings.push(leftOut(path, fate.unset));
      return false;
    });
    return KEEP;
  };

  const visitSeq = (seq: YAMLSeq, place: Place): Fate => {
    const unset: string[] = [];
    const before = seq.items.length;
    seq.items = seq.items.filter((item, index) => {
      const fate = visit(item, { path: `${place.path}[${index}]`, key: place.key, inList: true });
      unset.push(...fate.unset);
      return !fate.goes;
    });
    return { goes: before > 0 && seq.items.length === 0, unset };
  };

  const visitScalar = (scalar: Scalar, text: string, place: Place): Fate => {
    const unset: string[] = [];
    let found = false;
    const result = text.replace(PLACEHOLDER, (_, name: string) => {
      found = true;
      const value = variable(name);
      if (value === undefined) unset.push(name);
      return value ?? '';
    });
    if (!found) return KEEP;
    const isWhole = WHOLE.test(text);
    if (isWhole && unset.length > 0 && place.inList) return { goes: true, unset };
    for (const name of unset)
      warnings.push(`${name} is not set, so ${place.path} is ${result === '' ? 'empty' : 'without it'}`);
    const mayBeTyped =
      isWhole && scalar.type === yaml.Scalar.PLAIN && !place.inList && !SECRET_KEY.test(place.key);
    if (mayBeTyped && unset.length > 0) scalar.value = Verbatim.plain('null');
    else if (mayBeTyped && TYPED.test(result)) scalar.value = Verbatim.plain(result);
    else scalar.value = Verbatim.string(result);
    // `!!int __X__` would otherwise be a promise about a quoted string.
    delete scalar.tag;
    return KEEP;
  };

  visit(document.contents, { path: '', key: '', inList: false });
  return warnings;
}

/** Where a node is: for messages, and for what its value may become. */
interface Place {
  readonly path: string;
  /** The key that the node, or the list that it is in, belongs to. */
  readonly key: string;
  readonly inList: boolean;
}

/** Whether a node is to be removed, and the unset variables that are the cause. */
interface Fate {
  readonly goes: boolean;
  readonly unset: readonly string[];
}

const KEEP: Fate = { goes: false, unset: [] };

function leftOut(path: string, unset: readonly string[]): string {
  const names = [...new Set(unset)].join(', ');
  // A proxy without keys lets everyone in (sdk/access/manager.go).
  const consequence = /(^|\.)api-keys$/.test(path) ? ': the proxy then answers without asking for a key' : '';
  return `${path} is left out, since ${names} ${names.includes(',') ? 'are' : 'is'} not set${consequence}`;
}

const NAME = '[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*';
const PLACEHOLDER = new RegExp(`__(${NAME})__`, 'g');
const WHOLE = new RegExp(`^__${NAME}__$`);
const SECRET_KEY = /key|secret|password|token/i;
const TYPED = /^(0|-?[1-9]\d*|true|false)$/;
