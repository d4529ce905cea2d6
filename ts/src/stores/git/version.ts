import { StoreError } from '../store.ts';
import type { GitProgram } from './program.ts';

/** The first to obey GIT_CONFIG_GLOBAL: with an older one the user's own configuration would have a say. */
const OLDEST = [2, 32] as const;

/** @throws StoreError (configuration) if there is no git, or one that is too old. */
export async function checkVersion(program: GitProgram, name: string): Promise<void> {
  const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C' };
  const { code, stdout } = await program.run(['version'], { env, timeoutMs: 10_000 });
  const found = /^git version (\d+)\.(\d+)\S*/.exec(stdout.toString());
  const [major, minor] = [Number(found?.[1]), Number(found?.[2])];
  if (code === 0 && (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]))) return;
  throw new StoreError(
    'configuration',
    found
      ? `"${name}" is ${found[0]}; the Git store needs ${OLDEST.join('.')} or later.`
      : `"${name}" does not say which version of git it is.`,
    'Install a newer git, or set CLIPROXY_GIT to where one is.',
  );
}
