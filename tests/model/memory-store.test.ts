/** The store that the worlds share keeps the contract that every real store keeps. */
import { sha256 } from '../../ts/src/credential/version.ts';
import { storeContract } from '../contract/suite.ts';
import { type Cloud, memoryStore, newCloud, putObject } from './memory-store.ts';

for (const tags of ['content', 'writes'] as const) {
  storeContract(`the store in memory, its tags told by ${tags}`, async () => {
    const cloud: Cloud = { ...newCloud(), tags };
    return {
      open: (memory) => memoryStore(cloud, memory),
      async writeForeign(area, name, bytes) {
        putObject(cloud, area, name, bytes);
      },
      async writeConfig(bytes) {
        cloud.config = { bytes: Buffer.from(bytes), tag: sha256(bytes) };
      },
      readAside: async (name) => [...(cloud.aside.get(name)?.values() ?? [])],
      fingerprint: async () =>
        JSON.stringify(
          [cloud.objects, cloud.history, cloud.pruned, cloud.aside, cloud.config],
          (_, value: unknown) => (value instanceof Map ? [...value] : value),
        ),
      remove: async () => {},
    };
  });
}
