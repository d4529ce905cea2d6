/** Settings for modules/services.nix, one per kind of machine; the golden texts are named after them. */
export const bare = {
  bin: '/nix/store/sync/bin',
  proxy: '/nix/store/proxy/bin/cli-proxy-api',
  path: ['/nix/store/git/bin', '/nix/store/openssh/bin'],
};

export const table = {
  /** home-manager on Linux, nothing set. */
  'user-bare': {
    ...bare,
    dataDir: '/home/ada/.cli-proxy-api',
    ccsDir: '/home/ada/.ccs/cliproxy/auth',
    template: '/nix/store/template.yaml',
    templateIsDefault: true,
  },
  /** home-manager on Linux, as much as can be, with names that have to be quoted. */
  'user-full': {
    ...bare,
    dataDir: '/home/ada/100% proxy',
    ccsDir: null,
    environment: { OBJECTSTORE_BUCKET: 'a "quoted" $bucket' },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's variable, as agenix writes it
    environmentFiles: ['${XDG_RUNTIME_DIR}/agenix/store', '/run/secrets/more env'],
    secrets: [{ name: 'CLIPROXY_SECRET_0', path: '/run/secrets/key' }],
    template: '/nix/store/template.yaml',
    extraArgs: ['-local-model', '-flag=$x y'],
    interval: 60,
    nativeStore: 'postgres',
    systemdVersion: 256,
  },
  /** Only the proxy, on a config that is a user's own. */
  'user-proxy-only': {
    ...bare,
    dataDir: '/home/ada/.cli-proxy-api',
    environmentFiles: [],
    configFile: '/home/ada/config.yaml',
    backup: false,
    sync: false,
  },
  /** NixOS, as its module calls it. */
  'system-bare': {
    ...bare,
    scope: 'system',
    user: 'cliproxyapi',
    group: 'cliproxyapi',
    dataDir: '/var/lib/cliproxyapi',
    environmentFiles: [],
    template: '/nix/store/template.yaml',
    beforeProxy: ['/nix/store/adopt-logins'],
    afterProxy: ['/nix/store/await-port'],
    systemdVersion: 252,
  },
  /** NixOS, for a login user and CCS in that user's home. */
  'system-full': {
    ...bare,
    scope: 'system',
    user: 'ada',
    group: 'users',
    dataDir: '/srv/proxy',
    ccsDir: '/home/ada/.ccs/cliproxy/auth',
    environmentFile: '/run/secrets/first.env',
    environmentFiles: ['/run/secrets/second.env'],
    secrets: [{ name: 'CLIPROXY_SECRET_0', path: '/run/secrets/key' }],
    template: '/nix/store/template.yaml',
    before: ['+/nix/store/check-files'],
    beforeProxy: ['/nix/store/adopt-logins'],
    environment: { LOCALSTORE_PATH: '/mnt/logins' },
  },
  /** A Mac. */
  macos: {
    ...bare,
    dataDir: '/Users/ada/.cli-proxy-api',
    ccsDir: '/Users/ada/.ccs/cliproxy/auth',
    logDir: '/Users/ada/Library/Logs',
    labelPrefix: 'org.example',
    environment: { NOTE: '<a> & "b"' },
  },
} as const;
