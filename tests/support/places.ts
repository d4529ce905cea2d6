/** A store of each kind, fresh and not there yet, as the variables that a user would set for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { settingsFrom } from '../../ts/src/settings/settings.ts';
import { openStore } from '../../ts/src/stores/open.ts';
import type { Store, StoreKind } from '../../ts/src/stores/store.ts';
import { makeRepository } from './git.ts';
import { memoryInMemory } from './memory.ts';
import { freshSchema, postgres, postgresServer, schemaFromOutside } from './postgres-outside.ts';
import { freshBucket, s3Server } from './s3.ts';

export interface PlaceOfStore {
  readonly kind: StoreKind;
  /** What `--from` and `--to` call it. */
  readonly name: 'local' | 's3' | 'postgres' | 'git';
  readonly variables: Readonly<Record<string, string>>;
  /** A further handle on it: another host. */
  open(): Promise<Store>;
  remove(): Promise<void>;
}

type Made = Pick<PlaceOfStore, 'name' | 'variables' | 'remove'>;

const MAKERS: Record<StoreKind, () => Promise<Made>> = {
  async directory() {
    const root = await mkdtemp(join(tmpdir(), 'place-'));
    return {
      name: 'local',
      variables: { LOCALSTORE_PATH: join(root, 'store') },
      remove: () => rm(root, { recursive: true, force: true }),
    };
  },
  async s3() {
    const { endpoint, bucket, accessKey, secretKey } = freshBucket();
    return {
      name: 's3',
      variables: {
        OBJECTSTORE_ENDPOINT: endpoint,
        OBJECTSTORE_BUCKET: bucket,
        OBJECTSTORE_ACCESS_KEY: accessKey,
        OBJECTSTORE_SECRET_KEY: secretKey,
      },
      remove: async () => {},
    };
  },
  async postgres() {
    const schema = freshSchema();
    const outside = schemaFromOutside(schema);
    return {
      name: 'postgres',
      variables: { PGSTORE_DSN: postgres().uri, PGSTORE_SCHEMA: schema },
      remove: () => outside.remove(),
    };
  },
  async git() {
    const root = await mkdtemp(join(tmpdir(), 'place-'));
    await makeRepository(join(root, 'logins.git'), 'main');
    return {
      name: 'git',
      variables: { GITSTORE_GIT_URL: join(root, 'logins.git') },
      remove: () => rm(root, { recursive: true, force: true }),
    };
  },
};

/** The kinds whose servers are installed here. */
export const KINDS_HERE: readonly StoreKind[] = [
  'directory',
  'git',
  ...(s3Server ? (['s3'] as const) : []),
  ...(postgresServer ? (['postgres'] as const) : []),
];

export async function freshPlace(kind: StoreKind): Promise<PlaceOfStore> {
  const made = await MAKERS[kind]();
  const stateDir = await mkdtemp(join(tmpdir(), 'place-state-'));
  return {
    ...made,
    kind,
    async open() {
      const { store } = settingsFrom({ env: { HOME: '/nowhere', ...made.variables } });
      return openStore(store, () => memoryInMemory(), stateDir);
    },
    async remove() {
      await made.remove();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}
