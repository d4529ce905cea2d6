import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isSocket, type PostgresHost, type PostgresTarget } from '../../settings/postgres-target.ts';

/**
 * The password for one host: that of the settings, else the first line of the password file that fits
 * (`host:port:database:user:password`, `*` for any; PostgreSQL's documentation, "The Password File"). Undefined if
 * there is none. The rights on the file are its owner's business.
 */
export async function passwordFor(target: PostgresTarget, host: PostgresHost): Promise<string | undefined> {
  if (target.password !== undefined) return target.password;
  const text = await readFile(target.passfile ?? join(homedir(), '.pgpass'), 'utf8').catch(() => '');
  /* v8 ignore next -- what has neither name nor address is a socket */
  const hostName = host.host || (host.address ?? '');
  const name = isSocket(host) ? 'localhost' : hostName;
  const wanted = [name, String(host.port), target.database, target.user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const [password, ...fields] = splitFields(line).reverse();
    if (fields.length !== wanted.length || password === undefined) continue;
    fields.reverse();
    if (
      wanted.every(
        (value, index) =>
          fields[index] === '*' || fields[index] === value || isSameSocket(host, fields[index], index),
      )
    )
      return password;
  }
  return undefined;
}

function isSameSocket(host: PostgresHost, field: string | undefined, index: number): boolean {
  return index === 0 && isSocket(host) && field === host.host;
}

/** At colons; a backslash escapes one. The password, the last field, may have colons. */
function splitFields(line: string): string[] {
  const fields = [...line.matchAll(/((?:[^:\\]|\\.)*)(?::|$)/g)].map(([, field = '']) => field);
  const [host = '', port = '', database = '', user = '', ...password] = fields;
  if (password.length === 0) return [];
  // The pattern finds an empty field at the very end.
  if (password.length > 1 && password.at(-1) === '' && !line.endsWith(':')) password.pop();
  return [host, port, database, user, password.join(':')].map((field) => field.replace(/\\(.)/g, '$1'));
}
