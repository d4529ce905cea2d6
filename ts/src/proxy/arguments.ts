import { resolve } from 'node:path';

/**
 * The arguments for the proxy: our config, unless the caller names one, and paths made absolute, since the proxy
 * runs in another directory than the one in which they were typed.
 *
 * Read as Go's `flag` package does: one dash or two, `-name value` or `-name=value`, and nothing after the first
 * argument that is no flag, or after `--`.
 *
 * @param cwd Where relative paths start. Absolute.
 */
export function proxyArguments(args: readonly string[], config: string, cwd: string): string[] {
  const result: string[] = [];
  let hasConfig = false;
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] ?? '';
    const [, dashes, name = '', value] = /^(--?)([^-=][^=]*)(?:=(.*))?$/s.exec(argument) ?? [];
    if (dashes === undefined) {
      result.push(...args.slice(index));
      break;
    }
    if (name === 'config') hasConfig = true;
    if (value !== undefined) {
      result.push(`${dashes}${name}=${absolute(name, value, cwd)}`);
      continue;
    }
    result.push(argument);
    if (!VALUE_FLAGS.has(name)) continue;
    index++;
    const next = args[index];
    if (next !== undefined) result.push(absolute(name, next, cwd));
  }
  // In front: behind a flag of a plugin, which we do not know, it could be taken for its value.
  return hasConfig ? result : ['-config', config, ...result];
}

/** Whether the proxy's program is to make a credential and end, rather than to serve. */
export function isLogin(args: readonly string[]): boolean {
  return args.some((argument) => /^--?([a-z]+(-device)?-login|vertex-import)(=|$)/.test(argument));
}

/** Flags that take a value (cmd/server/main.go), so that the value is not taken for a flag. */
const VALUE_FLAGS: ReadonlySet<string> = new Set([
  'config',
  'vertex-import',
  'vertex-import-prefix',
  'password',
  'home-jwt',
  'oauth-callback-port',
]);
const PATH_FLAGS: ReadonlySet<string> = new Set(['config', 'vertex-import']);

function absolute(name: string, value: string, cwd: string): string {
  return PATH_FLAGS.has(name) && value !== '' ? resolve(cwd, value) : value;
}
