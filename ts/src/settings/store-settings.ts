import { join } from 'node:path';
import { checkGitBranch, checkGitSecret, parseGitRemote } from './git-remote.ts';
import { checkBucket, checkEndpoint, checkRegion, regionOf } from './object-store.ts';
import type { Paths } from './paths.ts';
import { type PostgresTarget, postgresTarget } from './postgres-target.ts';
import { SettingsError } from './settings-error.ts';
import type { VariableName } from './variable-table.ts';
import { type Environment, lookup, raw } from './variables.ts';

/** Which store, and everything needed to open it. Holds secrets: never printed. */
export type StoreSettings = PostgresSettings | S3Settings | GitSettings | DirectorySettings;

export interface PostgresSettings {
  readonly kind: 'postgres';
  /** `PGSTORE_DSN`, in any form that libpq reads. */
  readonly dsn: string;
  readonly target: PostgresTarget;
  /** `PGSTORE_SCHEMA`; undefined: what the user's `search_path` gives, `public` unless that was changed. */
  readonly schema: string | undefined;
}

export interface S3Settings {
  readonly kind: 's3';
  /** `OBJECTSTORE_ENDPOINT` as a URL with http or https, without a slash at its end. */
  readonly endpoint: string;
  readonly bucket: string;
  /** `OBJECTSTORE_REGION`; else the one in an AWS endpoint; else `auto`. */
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface GitSettings {
  readonly kind: 'git';
  /** `GITSTORE_GIT_URL` as git is given it, without password, and without user name but for SSH. */
  readonly url: string;
  readonly transport: 'http' | 'ssh' | 'file';
  /** `GITSTORE_GIT_USERNAME`; else the one in the URL; else `git`. */
  readonly username: string;
  /** `GITSTORE_GIT_TOKEN`; else the password in the URL. */
  readonly token?: string;
  /** Absent: the remote's default branch. */
  readonly branch?: string;
  /** `CLIPROXY_GIT`: the git program, a path or a name to look up in PATH. Default `git`. */
  readonly program: string;
}

export interface DirectorySettings {
  readonly kind: 'directory';
  /** `LOCALSTORE_PATH`, default `store` in the state directory. Absolute. */
  readonly path: string;
}

export interface StoreChoice {
  readonly store: StoreSettings;
  /** The variable that chose it; undefined if nothing was set and the default directory was taken. */
  readonly chosenBy: string | undefined;
  /** Further stores that variables name and that have no effect, in the order of priority. */
  readonly ignored: readonly { readonly kind: StoreSettings['kind']; readonly variable: string }[];
}

/** The variables of each store, in the order in which a store is chosen; the first of each says which one. */
export const STORE_VARIABLES = {
  postgres: ['PGSTORE_DSN', 'PGSTORE_SCHEMA', 'PGSTORE_LOCAL_PATH'],
  s3: [
    'OBJECTSTORE_ENDPOINT',
    'OBJECTSTORE_BUCKET',
    'OBJECTSTORE_ACCESS_KEY',
    'OBJECTSTORE_SECRET_KEY',
    'OBJECTSTORE_REGION',
    'OBJECTSTORE_LOCAL_PATH',
  ],
  git: [
    'GITSTORE_GIT_URL',
    'GITSTORE_GIT_USERNAME',
    'GITSTORE_GIT_TOKEN',
    'GITSTORE_GIT_BRANCH',
    'GITSTORE_LOCAL_PATH',
  ],
  directory: ['LOCALSTORE_PATH'],
} as const satisfies Record<StoreSettings['kind'], readonly [string, ...string[]]>;

/**
 * The store to use: PostgreSQL before S3 before Git before a directory, as CLIProxyAPI chooses (cmd/server/main.go),
 * or the one that `--store` names.
 *
 * @throws SettingsError if the one to use is half-configured or cannot be right. One that would be ignored
 *   anyway is not looked at further.
 */
export function chooseStore(
  environment: Environment,
  paths: Paths,
  stateDir: string,
  wanted?: StoreSettings['kind'],
): StoreChoice {
  const named = KINDS_BY_PRIORITY.flatMap((kind) => {
    const variable = STORE_VARIABLES[kind].find(
      (name) => isSign(name) && lookup(environment, name) !== undefined,
    );
    return variable === undefined ? [] : [{ kind, variable }];
  });
  if (wanted !== undefined) {
    const ignored = named.filter(({ kind }) => kind !== wanted);
    return { store: storeOfKind(wanted, environment, paths, stateDir), chosenBy: '--store', ignored };
  }
  const [first, ...ignored] = named;
  const store = storeOfKind(first?.kind ?? 'directory', environment, paths, stateDir);
  return { store, chosenBy: first?.variable, ignored };
}

/**
 * The store of this kind; a directory needs no variable.
 *
 * @throws SettingsError as `chooseStore`.
 */
export function storeOfKind(
  kind: StoreSettings['kind'],
  environment: Environment,
  paths: Paths,
  stateDir: string,
): StoreSettings {
  if (kind === 'directory' && lookup(environment, 'LOCALSTORE_PATH') === undefined)
    return { kind, path: join(stateDir, 'store') };
  return READERS[kind](environment, paths);
}

/** Where several are configured, the first is taken. */
export const KINDS_BY_PRIORITY = ['postgres', 's3', 'git', 'directory'] as const;

/** A local path or region alone says nothing about which store is meant. */
function isSign(name: string): boolean {
  return name === 'LOCALSTORE_PATH' || !/_(LOCAL_PATH|REGION)$/.test(name);
}

const READERS: Record<StoreSettings['kind'], (environment: Environment, paths: Paths) => StoreSettings> = {
  postgres(environment) {
    const { PGSTORE_DSN } = required(environment, 'PostgreSQL', ['PGSTORE_DSN']);
    const schema = lookup(environment, 'PGSTORE_SCHEMA');
    if (schema !== undefined && /[\u0000-\u001f\u007f]/.test(schema)) {
      throw new SettingsError(
        'PGSTORE_SCHEMA has control characters or line breaks',
        'Set it to the name of a schema, such as cliproxy, or remove it.',
      );
    }
    // libpq's own variables have no lower-case twins.
    const target = postgresTarget(PGSTORE_DSN, (name) => raw(environment, name));
    return { kind: 'postgres', dsn: PGSTORE_DSN, target, schema };
  },
  s3(environment) {
    const values = required(environment, 'S3', [
      'OBJECTSTORE_ENDPOINT',
      'OBJECTSTORE_BUCKET',
      'OBJECTSTORE_ACCESS_KEY',
      'OBJECTSTORE_SECRET_KEY',
    ]);
    const bucket = checkBucket(values.OBJECTSTORE_BUCKET);
    const endpoint = checkEndpoint(values.OBJECTSTORE_ENDPOINT, bucket);
    const region = lookup(environment, 'OBJECTSTORE_REGION');
    return {
      kind: 's3',
      endpoint,
      bucket,
      region: region === undefined ? (regionOf(endpoint) ?? 'auto') : checkRegion(region),
      accessKey: values.OBJECTSTORE_ACCESS_KEY,
      secretKey: values.OBJECTSTORE_SECRET_KEY,
    };
  },
  git(environment, paths) {
    const { GITSTORE_GIT_URL } = required(environment, 'Git', ['GITSTORE_GIT_URL']);
    const remote = parseGitRemote(GITSTORE_GIT_URL, () => paths.home('GITSTORE_GIT_URL'));
    const token = lookup(environment, 'GITSTORE_GIT_TOKEN') ?? remote.password;
    const branch = lookup(environment, 'GITSTORE_GIT_BRANCH');
    return {
      kind: 'git',
      url: remote.url,
      transport: remote.transport,
      username: checkGitSecret(
        'GITSTORE_GIT_USERNAME',
        lookup(environment, 'GITSTORE_GIT_USERNAME') ?? remote.username ?? 'git',
      ),
      ...(token !== undefined && { token: checkGitSecret('GITSTORE_GIT_TOKEN', token) }),
      ...(branch !== undefined && { branch: checkGitBranch(branch) }),
      program: lookup(environment, 'CLIPROXY_GIT') ?? 'git',
    };
  },
  directory(environment, paths) {
    const { LOCALSTORE_PATH } = required(environment, 'directory', ['LOCALSTORE_PATH']);
    return { kind: 'directory', path: paths.absolute(LOCALSTORE_PATH, 'LOCALSTORE_PATH') };
  },
};

function required<Name extends VariableName>(
  environment: Environment,
  store: string,
  names: readonly Name[],
): Record<Name, string> {
  const found = names.map((name) => [name, lookup(environment, name)] as const);
  const missing = found.filter(([, value]) => value === undefined).map(([name]) => name);
  if (missing.length > 0) {
    const what = `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not set`;
    const isHalf = missing.length < names.length;
    throw new SettingsError(
      `the ${store} store is ${isHalf ? 'half-configured' : 'not configured'}: ${what}`,
      `Set ${missing.join(', ')} in the env file${isHalf ? `, or remove the other variables of this store (${names[0]?.split('_')[0]}_...)` : ''}.`,
    );
  }
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- none is missing, by the check above
  return Object.fromEntries(found) as Record<Name, string>;
}
