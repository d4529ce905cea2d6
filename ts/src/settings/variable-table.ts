/**
 * Every variable that the programs read, with what `docs/reference/variables.md` and the man page say of it.
 * `lookup` takes no name that is not here.
 */
export interface Variable {
  readonly name: string;
  /** Under which heading of the reference it is. */
  readonly group: VariableGroup;
  /** One sentence or two; a program's or file's name in backquotes. */
  readonly meaning: string;
  /** What counts if it is unset, in words. Absent: nothing does. */
  readonly default?: string;
  /**
   * `environment`: of the process alone. `env file`: there too, where the environment does not set it.
   * `set by us`: for a program that ours start; not for people.
   */
  readonly from: 'env file' | 'environment' | 'set by us';
  /** Whether its value must not be seen by others. */
  readonly secret: boolean;
  /** The commands that read it; `all` are those that read settings. */
  readonly readBy: 'all' | readonly string[];
}

export const VARIABLE_GROUPS = {
  postgres: 'PostgreSQL',
  s3: 'S3-compatible storage',
  git: 'Git',
  directory: 'Directory',
  places: 'Where things are',
  proxy: 'The proxy',
  runs: 'Runs',
  messages: 'Messages',
  system: "The system's own",
} as const;
export type VariableGroup = keyof typeof VARIABLE_GROUPS;

const STARTS = ['start', 'exec', 'cliproxyapi', 'doctor'] as const;
const NOTIFIES = ['hydrate', 'backup', 'sync', 'start', 'exec', 'cliproxyapi', 'watch'] as const;

const open = { from: 'env file', secret: false, readBy: 'all' } as const;
const hidden = { from: 'env file', secret: true, readBy: 'all' } as const;
const ownLocalPath = {
  ...open,
  meaning: "CLIProxyAPI's own; without effect here, since `CLIPROXY_HOME` says where its files are.",
} as const;

export const VARIABLES = [
  {
    ...hidden,
    name: 'PGSTORE_DSN',
    group: 'postgres',
    meaning: 'Where the database is and how to log in, in any form that libpq reads. Chooses this store.',
  },
  {
    ...open,
    name: 'PGSTORE_SCHEMA',
    group: 'postgres',
    meaning: 'The schema of the tables; made if it is missing.',
    default: "what the user's `search_path` gives, usually `public`",
  },
  { ...ownLocalPath, name: 'PGSTORE_LOCAL_PATH', group: 'postgres' },
  {
    ...open,
    name: 'OBJECTSTORE_ENDPOINT',
    group: 's3',
    meaning:
      'Host or URL of the provider, without the bucket. Chooses this store; the next three belong to it.',
  },
  {
    ...open,
    name: 'OBJECTSTORE_BUCKET',
    group: 's3',
    meaning: 'The bucket; made if it is missing and the key may.',
  },
  { ...hidden, name: 'OBJECTSTORE_ACCESS_KEY', group: 's3', meaning: 'The access key.' },
  { ...hidden, name: 'OBJECTSTORE_SECRET_KEY', group: 's3', meaning: 'The secret key.' },
  {
    ...open,
    name: 'OBJECTSTORE_REGION',
    group: 's3',
    meaning: "The provider's name for the region, where it is part of the signature.",
    default: 'the one in an AWS endpoint, else `auto`',
  },
  { ...ownLocalPath, name: 'OBJECTSTORE_LOCAL_PATH', group: 's3' },
  {
    ...hidden,
    name: 'GITSTORE_GIT_URL',
    group: 'git',
    meaning:
      'The repository, as its provider shows it for cloning; secret if it has a password in it. Chooses this store.',
  },
  {
    ...open,
    name: 'GITSTORE_GIT_USERNAME',
    group: 'git',
    meaning: 'What goes with the token over HTTP.',
    default: 'the one in the URL, else `git`',
  },
  {
    ...hidden,
    name: 'GITSTORE_GIT_TOKEN',
    group: 'git',
    meaning: 'The token; HTTP only.',
    default: 'the password in the URL',
  },
  {
    ...open,
    name: 'GITSTORE_GIT_BRANCH',
    group: 'git',
    meaning: 'The branch of the credentials.',
    default: "the repository's default branch; `master` in an empty one",
  },
  { ...ownLocalPath, name: 'GITSTORE_LOCAL_PATH', group: 'git' },
  {
    ...open,
    name: 'CLIPROXY_GIT',
    group: 'git',
    meaning: 'The git program, as a path or a name.',
    default: '`git` in `PATH`',
  },
  {
    ...open,
    name: 'LOCALSTORE_PATH',
    group: 'directory',
    meaning: 'The directory of the store. Chooses this store.',
    default: '`~/.local/state/cliproxyapi-sync/store`',
  },
  {
    name: 'CLIPROXY_ENV_FILE',
    group: 'places',
    meaning:
      'The env file; several with `:` between them, the last of which wins. `--env-file` wins over it.',
    default: '`~/dotfiles/.env`, which may be missing',
    from: 'environment',
    secret: false,
    readBy: 'all',
  },
  {
    ...open,
    name: 'CLIPROXY_HOME',
    group: 'places',
    meaning: "The proxy's directory: its config, and the auth dir `objectstore/auths` below.",
    default: '`~/.cli-proxy-api`',
  },
  {
    ...open,
    name: 'CLIPROXY_CCS_DIR',
    group: 'places',
    meaning: 'The CCS dir. Set to nothing: CCS is off.',
    default: '`~/.ccs/cliproxy/auth`',
  },
  {
    ...open,
    name: 'XDG_STATE_HOME',
    group: 'places',
    meaning: 'The state directory is `cliproxyapi-sync` below it.',
    default: '`~/.local/state`',
  },
  {
    name: 'XDG_CACHE_HOME',
    group: 'places',
    meaning: 'Compiled code is kept in `cliproxyapi-sync` below it, for a faster start.',
    default: '`~/.cache`',
    from: 'environment',
    secret: false,
    readBy: 'all',
  },
  {
    name: 'XDG_CONFIG_HOME',
    group: 'places',
    meaning: "systemd's units for this user are in `systemd/user` below it.",
    default: '`~/.config`',
    from: 'environment',
    secret: false,
    readBy: ['services', 'status', 'doctor'],
  },
  {
    ...open,
    name: 'CLIPROXY_BIN',
    group: 'proxy',
    meaning: "The proxy's program, as a path or a name.",
    default: '`cliproxyapi` in `PATH` that is not our wrapper',
    readBy: STARTS,
  },
  {
    ...open,
    name: 'CLIPROXY_STORE_MODE',
    group: 'proxy',
    meaning:
      '`managed`: only our programs talk to the store. `native`: the proxy does too, and they guard it.',
    default: '`managed`',
  },
  {
    ...open,
    name: 'CLIPROXY_CONFIG_TEMPLATE',
    group: 'proxy',
    meaning: 'The config template.',
    default: '`config.template.yaml` in `CLIPROXY_HOME`',
    readBy: STARTS,
  },
  {
    ...open,
    name: 'CLIPROXY_CONFIG_DEFAULT',
    group: 'proxy',
    meaning: 'The template where there is no other, no config here and none in the store.',
    readBy: STARTS,
  },
  {
    ...open,
    name: 'CLIPROXY_HOST_NAME',
    group: 'runs',
    meaning: 'What history and deletions call this host.',
    default: "this machine's name",
  },
  {
    ...open,
    name: 'CLIPROXY_HISTORY_KEEP',
    group: 'runs',
    meaning:
      'What history keeps of each credential: so many versions, and all that are younger than so many days. One of the two alone will do; `all` keeps everything.',
    default: '`20,90d`',
    readBy: ['backup', 'sync', 'watch'],
  },
  {
    ...open,
    name: 'CLIPROXY_LOCK_WAIT',
    group: 'runs',
    meaning: 'Seconds to wait for another run on this host, from 0 to 3600.',
    default: '`30`',
  },
  {
    name: 'CLIPROXY_LOG_FORMAT',
    group: 'messages',
    meaning: '`human`, or `json` for one JSON object a line. `--log-format` wins over it.',
    default: '`human`',
    from: 'environment',
    secret: false,
    readBy: 'all',
  },
  {
    ...open,
    name: 'CLIPROXY_NOTIFY_COMMAND',
    group: 'messages',
    meaning: 'A command for `sh -c` that is told of failures and conflicts, in JSON on standard input.',
    readBy: NOTIFIES,
  },
  {
    ...open,
    name: 'CLIPROXY_NOTIFY_INTERVAL',
    group: 'messages',
    meaning: 'Seconds between two messages about the same problem.',
    default: '`3600`',
    readBy: NOTIFIES,
  },
  {
    name: 'NO_COLOR',
    group: 'messages',
    meaning: 'Set to anything: no colour.',
    from: 'environment',
    secret: false,
    readBy: 'all',
  },
  {
    name: 'HOME',
    group: 'system',
    meaning: 'What `~` stands for.',
    from: 'environment',
    secret: false,
    readBy: 'all',
  },
  {
    name: 'PATH',
    group: 'system',
    meaning: 'Where `cliproxyapi` and `git` are looked for.',
    from: 'environment',
    secret: false,
    readBy: 'all',
  },
  {
    name: 'CLIPROXY_ENV_FILE_OPTION',
    group: 'system',
    meaning: 'What errors about the env file call it; the Nix modules name their option in it.',
    from: 'set by us',
    secret: false,
    readBy: 'all',
  },
  {
    name: 'CLIPROXY_DEPTH',
    group: 'system',
    meaning: 'How many of our programs run one another, so that a wrapper which finds itself ends.',
    from: 'set by us',
    secret: false,
    readBy: ['start', 'exec', 'cliproxyapi'],
  },
] as const satisfies readonly Variable[];

export type VariableName = (typeof VARIABLES)[number]['name'];

/** What is read below us, by the libraries and programs that reach the stores. */
export const FOREIGN_VARIABLES: readonly { readonly names: readonly string[]; readonly meaning: string }[] = [
  {
    names: [
      'PGHOST',
      'PGPORT',
      'PGUSER',
      'PGPASSWORD',
      'PGPASSFILE',
      'PGDATABASE',
      'PGSSLMODE',
      'PGSSLROOTCERT',
    ],
    meaning: 'and the like: what `PGSTORE_DSN` leaves out, as with libpq; in the env file too.',
  },
  {
    names: ['https_proxy', 'http_proxy', 'no_proxy', 'GIT_SSH', 'GIT_SSH_COMMAND'],
    meaning: 'the way of `git` to its server; from the environment alone.',
  },
  {
    names: ['GIT_SSL_CAINFO', 'SSL_CERT_FILE'],
    meaning: 'the authorities that `git` trusts; from the environment alone.',
  },
  {
    names: ['NODE_EXTRA_CA_CERTS'],
    meaning: 'further authorities that S3 and PostgreSQL stores trust; from the environment alone.',
  },
];
