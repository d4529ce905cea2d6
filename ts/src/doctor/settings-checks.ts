import { chmod, stat } from 'node:fs/promises';
import { printable } from '../credential/name.ts';
import { readEnvFile } from '../settings/env-file.ts';
import { pathsFrom } from '../settings/paths.ts';
import { envFilesToRead } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { shellWord } from '../sync/words.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext } from './context.ts';

/** The env file, and what the variables in it and around it say. */
export function settingsChecks({ source, settings, problem }: DoctorContext): readonly Check[] {
  return [
    { id: 'env-file', title: 'env file', look: () => envFile(source) },
    {
      id: 'variables',
      title: 'variables',
      after: ['env-file'],
      async look() {
        if (problem) {
          const { message, remedy } = problem;
          return { status: 'failed', because: 'configuration', message, remedy };
        }
        if (!settings) return { status: 'skipped', message: 'they could not be read' };
        const { store, chosenBy, ignored, warnings } = settings;
        // What is wrong with the file itself is said there.
        const said = warnings.filter((warning) => !/is open to other users/.test(warning));
        const without = ignored.map(
          ({ variable }) => `${variable} has no effect: ${chosenBy} chooses the store`,
        );
        const [first, ...rest] = [...said, ...without];
        if (first !== undefined)
          return {
            status: 'warning',
            message: [first, ...rest].join('; '),
            remedy: 'Correct or remove them in the env file.',
          };
        if (chosenBy === undefined && store.kind === 'directory') {
          return {
            status: 'warning',
            message: `none chooses a store: logins are kept in ${store.path}, where no other machine sees them`,
            remedy: 'Set the OBJECTSTORE_ variables, or LOCALSTORE_PATH if that is meant.',
          };
        }
        return { status: 'ok', message: `complete; ${chosenBy} chooses the store` };
      },
    },
  ];
}

async function envFile({ env, envFile: argument, home }: DoctorContext['source']): Promise<Finding> {
  try {
    const files = envFilesToRead(env, pathsFrom([{ values: env }], home), argument);
    const found: string[] = [];
    const open: string[] = [];
    for (const { path, source, mayBeMissing } of files) {
      if ((await readEnvFile(path, source, mayBeMissing)) === undefined) continue;
      const { mode } = await stat(path);
      found.push(path);
      if ((await stat(path)).isFile() && (mode & 0o077) !== 0) open.push(path);
    }
    const names = found.map(printable).join(', ');
    if (open.length > 0) {
      return {
        status: 'warning',
        message: `${open.map(printable).join(', ')} is open to other users of this machine`,
        remedy: `chmod 600 ${open.map(shellWord).join(' ')}`,
        fix: () => Promise.all(open.map((path) => chmod(path, 0o600))),
      };
    }
    if (found.length > 0) return { status: 'ok', message: `${names}, for this user alone` };
    const [looked] = files;
    return {
      status: 'ok',
      message: `there is none${looked ? ` (${printable(looked.path)})` : ''}: variables come from the environment`,
    };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return { status: 'failed', because: 'configuration', message: error.message, remedy: error.remedy };
  }
}
