/** A store of each kind, fresh and not there yet, as the variables that a user would set for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { settingsFrom } from '../../ts/src/settings/settings.ts';
import { openStore } from '../../ts/src/stores/open.ts';
import type { Store, StoreKind } from '../../ts/src/stores/store.ts';
import { memoryInMemory } from './memory.ts';
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

const MAKERS: Partial<Record<StoreKind, () => Promise<Made>>> = {
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
};

/** The kinds whose servers are installed here. */
export const KINDS_HERE: readonly StoreKind[] = ['directory', ...(s3Server ? (['s3'] as const) : [])];

export async function freshPlace(kind: StoreKind): Promise<PlaceOfStore> {
  const make = MAKERS[kind];
  if (!make) throw new Error(`no test makes a store of kind ${kind}`);
  const made = await make();
  return {
    ...made,
    kind,
    async open() {
      const { store } = settingsFrom({ env: { HOME: '/nowhere', ...made.variables } });
      return openStore(store, () => memoryInMemory(), '/nowhere');
    },
  };
}
