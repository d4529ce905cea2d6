/**
 * Logins that lie where CLIProxyAPI keeps them unless it is told otherwise: in its home itself. It was run before this
 * program came, or runs beside it without our config; nothing there is synced or backed up.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CredentialName, parseName } from '../credential/name.ts';
import { readLocal } from '../sync/local.ts';
import { shellWord } from '../sync/words.ts';
import type { StatusProblem } from './problem.ts';

/** More files than these in the proxy's home are no logins of one person. */
const MAX_LOOKED_AT = 100;
const MAX_SHOWN = 3;

/**
 * The logins in the proxy's home that this host knows from nowhere else.
 *
 * @param known Names that any place has, or had: a copy of one that was deleted since is no news.
 */
export async function loginsElsewhere(
  proxyHome: string,
  known: (name: CredentialName) => boolean,
): Promise<readonly CredentialName[]> {
  const files = await readdir(proxyHome).catch((): string[] => []);
  const names = files.sort().flatMap((file) => {
    const parsed = parseName(file);
    return parsed.ok && !known(parsed.name) ? [parsed.name] : [];
  });
  return names.slice(0, MAX_LOOKED_AT).filter((name) => readLocal(join(proxyHome, name)).kind === 'version');
}

/** What to say of them; undefined where there are none. */
export function elsewhere(
  names: readonly CredentialName[],
  { proxyHome, authDir }: { readonly proxyHome: string; readonly authDir: string },
): StatusProblem | undefined {
  if (names.length === 0) return undefined;
  const shown = `${names.slice(0, MAX_SHOWN).join(', ')}${names.length > MAX_SHOWN ? ', ...' : ''}`;
  const folder = shellWord(authDir);
  const files = names.map((name) => shellWord(join(proxyHome, name))).join(' ');
  return {
    subject: 'logins elsewhere',
    reason: `${proxyHome} itself has ${names.length} (${shown}), which nothing keeps safe: only a proxy that was not started by \`cliproxyapi-sync start\` looks there`,
    // On a machine where nothing was run yet, the auth dir is not there either.
    remedy: `Stop that proxy if it runs, then \`mkdir -p -m 700 ${folder} && install -m 600 ${files} ${folder} && cliproxyapi-sync sync\``,
  };
}
