import { addressOf } from '../settings/postgres-target.ts';
import type { StoreSettings } from '../settings/store-settings.ts';
import { type Store, StoreError, type StoreMemory } from './store.ts';

/**
 * Opens the store that the settings chose. Only its own code and libraries are loaded; nothing is asked of it yet.
 *
 * @param memoryOf What this host remembers about the place with this name; the name holds no secret.
 * @throws StoreError (configuration) for a store that this version has no code for.
 */
export async function openStore(
  settings: StoreSettings,
  memoryOf: (location: string) => StoreMemory,
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
    case 'git':
      throw notYet('Git', 'GITSTORE_GIT_URL');
  }
}

function notYet(name: string, variable: string): StoreError {
  return new StoreError(
    'configuration',
    `${variable} chooses the ${name} store, which this version cannot use yet`,
    `Remove ${variable}, and set the OBJECTSTORE_ variables for S3 or LOCALSTORE_PATH for a directory.`,
  );
}
