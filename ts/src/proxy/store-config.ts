/** The config in the store, which is where a native proxy reads it. */
import { sha256 } from '../credential/version.ts';
import type { ConfigEntry, Store, StoredObject, StoreMemory } from '../stores/store.ts';
import { authDirIn, fingerprint } from './render-config.ts';
import {
  type ConfigSettings,
  defaultTemplate,
  findConfig,
  findTemplate,
  renderSource,
} from './write-config.ts';

export type StoreConfigOutcome =
  | {
      /**
       * - `put`: the store has what the template says now; what it had before is in its history.
       * - `unchanged`: it said the same already, or there is nothing here that decides about it.
       * - `changed-there`: someone else changed it (the management page, another host) since this host last agreed
       *   with it, and the template is as it was then: it is left alone.
       */
      readonly kind: 'put' | 'unchanged' | 'changed-there';
      readonly warnings: readonly string[];
    }
  /** There is none, neither here nor in the store. */
  | { readonly kind: 'missing' };

/** Other hosts that put a config at the same moment; each round one of them gets on. */
const MAX_ROUNDS = 5;

/**
 * Makes the store's config what the template says, on the condition of what was there, and keeps what it replaces.
 * Without a template the store's config stands; where the store has none, it gets the one in the proxy's home, or
 * `CLIPROXY_CONFIG_DEFAULT`, which it follows from then on as long as nobody else changes it.
 *
 * Whether the template changed is told by a hash of what it comes to on this host. The auth dir does not count: a
 * native proxy does not go by it, and every host would have another one.
 *
 * @param store Prepared.
 * @param memory Of this host, for this store.
 * @throws StoreError; SettingsError if the template is not valid.
 */
export async function putStoreConfig(
  settings: ConfigSettings,
  store: Pick<Store, 'readConfig' | 'commitConfig'>,
  memory: StoreMemory,
  hostName: string,
): Promise<StoreConfigOutcome> {
  for (let round = 1; ; round++) {
    const stored = await store.readConfig();
    const outcome = await putOnce(settings, store, memory, hostName, stored);
    if (outcome !== 'lost') return outcome;
    if (round === MAX_ROUNDS) return { kind: 'changed-there', warnings: [] };
  }
}

async function putOnce(
  settings: ConfigSettings,
  store: Pick<Store, 'commitConfig'>,
  memory: StoreMemory,
  host: string,
  stored: StoredObject | undefined,
): Promise<StoreConfigOutcome | 'lost'> {
  const template = await findTemplate(settings);
  const remembered = memory.read();
  const source =
    template ??
    (stored === undefined ? await findConfig(settings) : undefined) ??
    // What this host never put there is not its to replace, by a mere default.
    (stored === undefined || remembered.rendered !== undefined ? await defaultTemplate(settings) : undefined);
  if (source === undefined) return stored ? { kind: 'unchanged', warnings: [] } : { kind: 'missing' };

  const { whole, warnings } = await renderSource(settings, source, undefined, settings.authDir);
  const rendered = sha256(Buffer.from(whole));
  if (stored === undefined) return put(whole);

  const there = Buffer.from(stored.bytes).toString('utf8');
  const authDir = (await authDirIn(there)) ?? settings.authDir;
  const wanted = await renderSource(settings, source, there, authDir);
  if (wanted.text === undefined) {
    await agree(there);
    return { kind: 'unchanged', warnings };
  }
  const isEdited = remembered.agreed !== (await fingerprint(there, wanted.whole));
  if (remembered.rendered === rendered || (template === undefined && isEdited))
    return { kind: 'changed-there', warnings };
  return put(wanted.text);

  async function agree(content: string): Promise<void> {
    await memory.write({ rendered, agreed: (await fingerprint(content, whole)) ?? '' });
  }

  async function put(content: string): Promise<StoreConfigOutcome | 'lost'> {
    const bytes = Buffer.from(content);
    const entry = (kept: Uint8Array, reason: string): ConfigEntry => ({ bytes: kept, host, reason });
    const outcome = await store.commitConfig({
      bytes,
      seen: stored?.tag,
      keep: [
        entry(bytes, template ? 'what the template says' : 'what this host had'),
        ...(stored ? [entry(stored.bytes, 'replaced by what the template says')] : []),
      ],
    });
    if (outcome.kind === 'lost') return 'lost';
    await agree(content);
    return { kind: 'put', warnings };
  }
}
