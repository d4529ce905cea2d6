import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleName, Ended, Home } from '../support/bundle.ts';
import type { World } from './world.ts';

/**
 * The one login of the real proxy that needs no browser: the import of a service account's key, which is made up.
 *
 * @returns The credential's name.
 */
export async function importServiceAccount(
  { laptop }: World,
  run: (program: BundleName, args: readonly string[], home: Home) => Promise<Ended>,
): Promise<string> {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const key = {
    type: 'service_account',
    project_id: 'demo-project',
    private_key_id: '0123456789abcdef',
    private_key: privateKey,
    client_email: 'me@demo-project.iam.gserviceaccount.com',
    token_uri: 'https://oauth2.googleapis.com/token',
  };
  const path = join(laptop.path, 'service-account.json');
  await writeFile(path, JSON.stringify(key), { mode: 0o600 });
  await run('wrapper', ['-vertex-import', path], laptop);
  return 'vertex-demo-project.json';
}
