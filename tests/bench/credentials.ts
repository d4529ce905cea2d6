import { createHash } from 'node:crypto';
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes `count` credentials of about 2 kB, the size of a Codex login. */
export async function writeCredentials(directory: string, count: number): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (let index = 0; index < count; index++) {
    await writeFile(join(directory, credentialName(index)), content(index, 0), { mode: 0o600 });
  }
}

export function credentialName(index: number): string {
  return `codex-user-${String(index).padStart(5, '0')}@example.com.json`;
}

/**
 * Refreshes one credential in place, as the proxy does: all tokens are others of the same length.
 *
 * @param round Counts up: 1, 2 ...
 */
export async function rotate(directory: string, index: number, round: number): Promise<Buffer> {
  const path = join(directory, credentialName(index));
  const text = content(index, round);
  await writeFile(path, text);
  // `aws s3 sync` skips a file of the same size that is not newer than the object, by the second: let it be newer.
  const soon = new Date(Date.now() + 2000);
  await utimes(path, soon, soon);
  return readFile(path);
}

function content(index: number, round: number): string {
  const token = (kind: string, length: number) => {
    let text = '';
    for (let part = 0; text.length < length; part++) {
      text += createHash('sha256').update(`${kind} ${index} ${round} ${part}`).digest('base64url');
    }
    return text.slice(0, length);
  };
  const instant = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000', '');
  const refreshed = 1_760_000_000 + round * 3600;
  return JSON.stringify({
    access_token: token('access', 1000),
    account_id: token('account', 36),
    disabled: false,
    email: `user-${index}@example.com`,
    expired: instant(refreshed + 864_000),
    id_token: token('id', 600),
    last_refresh: instant(refreshed),
    refresh_token: token('refresh', 100),
    type: 'codex',
  });
}
