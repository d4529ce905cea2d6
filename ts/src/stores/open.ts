import { join } from 'node:path';
import { addressOf } from '../settings/postgres-target.ts';
import type { StoreSettings } from '../settings/store-settings.ts';
import type { Store, StoreMemory } from './store.ts';

/**
 * Opens the store that the settings chose. Only its own code and libraries are loaded; nothing is asked of it yet.
 *
 * @param memoryOf What this host remembers about the place with this name; the name holds no secret.
 * @param stateDir Below it a store may keep copies of what it has fetched, which are safe to remove.
 */
export async function openStore(
  settings: StoreSettings,
  memoryOf: (location: string) => StoreMemory,
  stateDir: string,
): Promise<Store> {
  switch (settings.kind) {
    case 's3': {
      const { s3Store } = await import('./s3/store.ts');
      return s3Store(settings, memoryOf(`s3 ${settings.endpoint}/${settings.bucket}`));
    }
    case 'directory': {
      const { directoryStore } = await import('./directory.ts');
      return directoryStore(settings, memoryOf(`directory ${settings.path}`));
    }
    case 'postgres': {
      const { postgresStore } = await import('./postgres/store.ts');
      const { hosts, database } = settings.target;
      const name = `postgres ${addressOf(hosts, database)} ${settings.schema ?? ''}`;
      return postgresStore(settings, memoryOf(name.trim()));
    }
    case 'git': {
      const { gitStore } = await import('./git/store.ts');
      const memory = memoryOf(`git ${settings.url} ${settings.branch ?? ''}`);
      return gitStore({ ...settings, cacheDir: join(stateDir, 'git') }, memory);
    }
  }
}
