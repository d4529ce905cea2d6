import { SettingsError } from './settings-error.ts';

/**
 * The parameters that `PGSTORE_DSN` sets, by libpq's names: out of a URI (`postgres://user:password@host:port/db?...`,
 * with any number of hosts) or of words (`host=... password='...'`), by the grammar of PostgreSQL's documentation,
 * "Connection Strings". Not by `pg-connection-string`, which knows neither words nor several hosts.
 *
 * @throws SettingsError. No part of the value is in any message: where a character of a password is read as a
 *   separator, any part can be one of the password.
 */
export function parseDsn(dsn: string): ReadonlyMap<string, string> {
  if (/[\u0000-\u001f\u007f]/.test(dsn) || !dsn.isWellFormed())
    throw dsnError('has control characters or line breaks');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(dsn);
  if (!scheme) return parseWords(dsn);
  if (!/^postgres(ql)?:/.test(dsn)) throw dsnError('has a scheme other than postgres:// and postgresql://');
  return parseUri(dsn.slice(scheme[0].length));
}

/** An error that names the variable and no part of its value. */
export function dsnError(problem: string, remedy?: string): SettingsError {
  return new SettingsError(
    `PGSTORE_DSN ${problem}`,
    remedy ??
      'Set PGSTORE_DSN to postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=require, or to ' +
        "host=HOST user=USER password='...' dbname=DATABASE.",
  );
}

const ESCAPES =
  'In a URI write "@" as %40, "/" as %2F, ":" as %3A, "?" as %3F and "%" as %25 in the password.';

function parseUri(text: string): Map<string, string> {
  const { userInfo, rest } = cutUserInfo(text);
  if (rest.includes('@')) throw dsnError('has an "@" behind its host', ESCAPES);
  const [, authority = '', path = '', query = ''] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest) ?? [];

  const parameters = new Map<string, string>();
  const set = (name: string, value: string) => value !== '' && parameters.set(name, decoded(value));
  const colon = userInfo.indexOf(':');
  set('user', colon < 0 ? userInfo : userInfo.slice(0, colon));
  if (colon >= 0) set('password', userInfo.slice(colon + 1));
  const hosts = authority === '' ? [] : authority.split(',').map(hostAndPort);
  set('host', hosts.map(({ host }) => host).join(','));
  if (hosts.some(({ port }) => port !== '')) set('port', hosts.map(({ port }) => port).join(','));
  set('dbname', path);
  for (const pair of query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw dsnError('has a parameter without "=" behind its "?"', ESCAPES);
    parameters.set(...parameter(decoded(pair.slice(0, equals)), decoded(pair.slice(equals + 1))));
  }
  return parameters;
}

/**
 * What is before the "@" of a URI. It ends before the first slash; a password with a question mark or an "@" in it,
 * which libpq or CLIProxyAPI's driver take, is read whole.
 */
function cutUserInfo(text: string): { readonly userInfo: string; readonly rest: string } {
  const [beforeSlash = ''] = text.split('/');
  const [beforeQuery = ''] = beforeSlash.split('?');
  const at = (beforeQuery.includes('@') ? beforeQuery : beforeSlash).lastIndexOf('@');
  return { userInfo: text.slice(0, Math.max(at, 0)), rest: text.slice(at + 1) };
}

function hostAndPort(text: string): { readonly host: string; readonly port: string } {
  const match = /^(?:\[(?<v6>[0-9A-Fa-f:.%]+)\]|(?<name>[^:[\]]*))(?::(?<port>\d*))?$/.exec(text);
  if (!match?.groups) throw dsnError('has a host or port that cannot be one', ESCAPES);
  return { host: match.groups.v6 ?? match.groups.name ?? '', port: match.groups.port ?? '' };
}

function decoded(text: string): string {
  if (!/%(?![0-9A-Fa-f]{2})/.test(text)) {
    try {
      const result = decodeURIComponent(text);
      if (!result.includes('\0')) return result;
    } catch {
      // Not UTF-8.
    }
  }
  throw dsnError('has a "%" that is not followed by the code of a character', ESCAPES);
}

/** `name=value` with blanks between and around; a value with blanks is in single quotes; a backslash escapes. */
function parseWords(text: string): Map<string, string> {
  const parameters = new Map<string, string>();
  let rest = text.trim();
  while (rest !== '') {
    const match = WORD.exec(rest);
    if (!match?.groups) {
      throw dsnError(
        'is neither a URI that begins with postgres:// nor words of the form name=value',
        "A value with blanks or quotes in it must be in single quotes: password='it\\'s mine'. In a URI no such thing is needed.",
      );
    }
    const { name = '', quoted, plain = '' } = match.groups;
    parameters.set(...parameter(name, (quoted ?? plain).replace(/\\(.)/gs, '$1')));
    rest = rest.slice(match[0].length);
  }
  return parameters;
}

const WORD =
  /^(?<name>[A-Za-z_][\w.]*)\s*=\s*(?:'(?<quoted>(?:[^'\\]|\\.)*)'(?=\s|$)|(?<plain>(?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?(?=\s|$))\s*/s;

/** Further names that are in use for the same thing. */
function parameter(name: string, value: string): [string, string] {
  if (name === 'database') return ['dbname', value];
  // As libpq does, for the sake of JDBC's URIs.
  if (name === 'ssl' && value === 'true') return ['sslmode', 'require'];
  return [name, value];
}
