import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sha256 } from '../../ts/src/credential/version.ts';
import { directoryStore } from '../../ts/src/stores/directory.ts';
import { storeContract } from './suite.ts';

storeContract('the directory store', async () => {
  const home = await mkdtemp(join(tmpdir(), 'directory-store-'));
  const root = join(home, 'store');
  async function writeForeign(key: string, bytes: Uint8Array): Promise<void> {
    await mkdir(dirname(join(root, key)), { recursive: true });
    await writeFile(join(root, key), bytes);
  }
  return {
    open: (memory) => directoryStore({ path: root }, memory),
    writeForeign: (area, name, bytes) =>
      writeForeign(`${area === 'current' ? 'auths' : 'backup/auths'}/${name}`, bytes),
    writeConfig: (bytes) => writeForeign('config/config.yaml', bytes),
    async readAside(name) {
      const folder = join(root, 'sync/rejected', name);
      return Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file))));
    },
    async fingerprint() {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      const lines = entries.map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        return `${path} ${entry.isFile() ? sha256(await readFile(path)) : ''}`;
      });
      return (await Promise.all(lines)).sort().join('\n');
    },
    remove: () => rm(home, { recursive: true, force: true }),
  };
});
