/** As much of JSON Schema as our schemas use. A keyword that it does not know is an error, and so is a field that the schema does not name. */
export type Schema = { readonly [keyword: string]: unknown };

const KNOWN = new Set(
  '$schema $defs $ref title description type required properties items const enum anyOf pattern'.split(' '),
);

/** What is wrong with a document, by where; nothing if it is as the schema says. */
export function violations(schema: Schema, document: unknown, root: Schema = schema, at = '$'): string[] {
  const unknown = Object.keys(schema).filter((keyword) => !KNOWN.has(keyword));
  if (unknown.length > 0)
    throw new Error(`${at}: the schema has ${unknown.join(', ')}, which is not checked`);
  const found: string[] = [];
  const check = (ok: boolean, what: string) => {
    if (!ok) found.push(`${at} ${what}: ${JSON.stringify(document)?.slice(0, 100)}`);
  };
  const { $ref, type, required, properties, items, anyOf, pattern } = schema;
  if (typeof $ref === 'string') found.push(...violations(resolve($ref, root), document, root, at));
  if (type !== undefined)
    check([type].flat().includes(typeOf(document)), `is no ${[type].flat().join(' or ')}`);
  if ('const' in schema) check(document === schema.const, `is not ${JSON.stringify(schema.const)}`);
  if (Array.isArray(schema.enum))
    check(schema.enum.includes(document), `is none of ${schema.enum.join(', ')}`);
  if (typeof pattern === 'string')
    check(new RegExp(pattern).test(String(document)), `does not match ${pattern}`);
  if (Array.isArray(anyOf))
    check(
      anyOf.some((one) => violations(one, document, root, at).length === 0),
      'fits none',
    );
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) {
    const fields = (properties ?? {}) as Record<string, Schema>;
    for (const name of (required ?? []) as string[]) check(Object.hasOwn(document, name), `has no ${name}`);
    for (const [name, value] of Object.entries(document)) {
      const field = fields[name];
      if (field) found.push(...violations(field, value, root, `${at}.${name}`));
      else if (properties) check(false, `has ${name}, which is not described`);
    }
  }
  if (Array.isArray(document) && items)
    for (const [index, item] of document.entries())
      found.push(...violations(items as Schema, item, root, `${at}[${index}]`));
  return found;
}

function resolve(reference: string, root: Schema): Schema {
  let found: unknown = root;
  for (const part of reference.replace(/^#\//, '').split('/'))
    found = (found as Record<string, unknown>)[part];
  if (typeof found !== 'object' || found === null) throw new Error(`${reference} is not in the schema`);
  return found as Schema;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value;
}
