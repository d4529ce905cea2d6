/** What commands share that look at everything and change nothing, or only what a person names. */
import { accountOf } from '../credential/account.ts';
import { type CredentialName, parseName } from '../credential/name.ts';
import { parseCredential } from '../credential/version.ts';
import type { Settings } from '../settings/settings.ts';
import { openStore } from '../stores/open.ts';
import type { Store } from '../stores/store.ts';
import { type Look, look } from '../sync/look.ts';
import { type CredentialSnapshot, type Permissions, PLACES } from '../sync/model.ts';
import { besideProxy, findNativeProxy } from '../sync/native-proxy.ts';
import { openState } from '../sync/state.ts';

export interface Session {
  readonly store: Store;
  readonly look: Look;
  /** What a run could write now. */
  readonly permissions: Permissions;
}

/** One look at all places, nothing written anywhere; the store is open for as long as `work` takes. */
export async function looking<T>(settings: Settings, work: (session: Session) => Promise<T>): Promise<T> {
  const state = await openState(settings.stateDir, { readOnly: true });
  const store = await openStore(settings.store, state.memory, settings.stateDir);
  try {
    const wanted = {
      permissions: { store: true },
      authDir: settings.authDir,
      ccsDir: settings.ccsDir,
      hostName: settings.hostName,
      dryRun: true,
      allowDelete: new Set<CredentialName>(),
    };
    const request = besideProxy(wanted, await findNativeProxy(settings.stateDir));
    const { permissions } = request;
    return await work({ store, permissions, look: await look(request, state, store) });
  } finally {
    state.close();
    await store.close().catch(() => undefined);
  }
}

/** The content of a credential, from whichever place had to be read. */
export function contentIn(
  seen: CredentialSnapshot | undefined,
): Readonly<Record<string, unknown>> | undefined {
  for (const place of PLACES) {
    const sighting = seen?.[place];
    if (sighting?.kind !== 'version' || !sighting.version.bytes) continue;
    const parsed = parseCredential(sighting.version.bytes);
    if (parsed.ok) return parsed.content;
  }
  return undefined;
}

export type Resolved =
  | { readonly kind: 'found'; readonly name: CredentialName }
  /** The end of a sentence about what was typed. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** The credential that a person means: by its name, with or without `.json`, or by its email if only one has that. */
export function resolveName(
  typed: string,
  { snapshot }: Look,
  others: Iterable<CredentialName> = [],
): Resolved {
  const known = new Set<CredentialName>([...snapshot.credentials.keys(), ...others]);
  for (const text of [typed, `${typed}.json`]) {
    const check = parseName(text);
    if (check.ok && known.has(check.name)) return { kind: 'found', name: check.name };
  }
  const named = [...known].filter((name) => {
    const { account } = accountOf(name, contentIn(snapshot.credentials.get(name)));
    return account.toLowerCase() === typed.toLowerCase();
  });
  const [only, ...more] = named;
  if (only === undefined) return { kind: 'unknown', reason: 'there is no such credential' };
  return more.length === 0
    ? { kind: 'found', name: only }
    : { kind: 'unknown', reason: `several credentials are of that account: ${named.sort().join(', ')}` };
}
