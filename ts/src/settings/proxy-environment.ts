import type { Settings } from './settings.ts';
import { STORE_VARIABLES } from './store-settings.ts';
import { type Environment, lookup, merged, spellings } from './variables.ts';

/**
 * The environment for the proxy: the process's and the env files', and its store variables as the mode wants
 * them. Holds secrets: for `exec` and `spawn` alone.
 *
 * - Managed: the store variables are the empty string. Removing them would not do: the proxy loads a `.env` of
 *   its working directory, which fills what is absent and leaves alone what is empty (godotenv).
 * - Native: the chosen store's variables as we read them (Git: the password apart from the URL), so that both talk to the same store, with the local
 *   path at `CLIPROXY_HOME`; the variables that would choose another one are empty.
 */
export function proxyEnvironment(settings: Settings): Record<string, string> {
  const result = merged(settings.environment);
  const set = (name: string, value: string) => {
    const [upper = name, ...twins] = spellings(name);
    result[upper] = value;
    for (const twin of twins) result[twin] = '';
  };
  const { storeMode, store, proxyHome, environment } = settings;
  for (const [kind, names] of Object.entries(STORE_VARIABLES)) {
    if (kind === 'directory') continue;
    for (const [index, name] of names.entries()) {
      if (storeMode === 'native' && kind === store.kind) {
        set(name, name.endsWith('_LOCAL_PATH') ? proxyHome : (lookup(environment, name) ?? ''));
      } else if (index === 0 || spellings(name).some((spelling) => spelling in result)) {
        // Keys and passwords of a store that the proxy is not to use are none of its business either.
        set(name, '');
      }
    }
  }
  if (storeMode === 'native' && store.kind === 'git') {
    // The clone that it works in has a URL without a password.
    set('GITSTORE_GIT_URL', store.url);
    if (store.transport === 'http' && store.token !== undefined) {
      set('GITSTORE_GIT_USERNAME', store.username);
      set('GITSTORE_GIT_TOKEN', store.token);
    }
  }
  // With it the proxy takes config and credentials from a control plane and leaves local files alone.
  if (storeMode === 'managed') set('HOME_JWT', '');
  result[DEPTH] = String(depthOf(environment) + 1);
  return result;
}

/** How many of our programs are above this one, each taking the next for the proxy. */
export function depthOf(environment: Environment): number {
  const depth = Number(environment[0]?.values[DEPTH] ?? 0);
  return Number.isSafeInteger(depth) && depth > 0 ? depth : 0;
}

const DEPTH = 'CLIPROXY_DEPTH';
