import { rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { describe, expect } from 'vitest';
import {
  type BundleName,
  baseOf,
  bundlePath,
  command,
  credential,
  credentials,
  decent,
  done,
  findProgram,
  type Home,
  held,
  nodes,
  put,
  run,
  stored,
  sync,
  test,
  texts,
  tree,
  type World,
} from './world.ts';

/** All ways to type a command. */
const COMMANDS: readonly (readonly [string, BundleName, readonly string[]])[] = [
  ['hydrate', 'hydrate', []],
  ['backup', 'backup', []],
  ['start', 'start', []],
  ...(['hydrate', 'backup', 'sync', 'start', 'exec'] as const).map(
    (name) => [`cliproxyapi-sync ${name}`, 'cliproxyapi-sync', [name]] as const,
  ),
];
/** Those that sync and end. */
const RUNS = COMMANDS.filter(([name]) => !/start|exec/.test(name));

describe('help', () => {
  test.for([...COMMANDS, ['cliproxyapi-sync', 'cliproxyapi-sync', []] as const])(
    '%s --help explains itself with examples, on stdout',
    async ([title, program, words], { world }) => {
      const home = await world.home();
      const before = await tree(home.path);
      for (const flag of ['--help', '-h']) {
        const { code, stdout, stderr } = await run(home, program, [...words, flag]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        expect(stdout).toMatch(/^Usage: /);
        expect(stdout).toMatch(new RegExp(`\nExamples:\n  ${title}`));
      }
      expect(await tree(home.path)).toEqual(before);
    },
  );

  test("the wrapper's arguments are the proxy's, --help and --version too, for which nothing is synced", async ({
    world,
  }) => {
    const home = await world.home('laptop', { proxy: await script(world, 'echo "proxy $*"') });
    const before = await tree(home.path);
    for (const [program, args] of [
      ['wrapper', ['--help']],
      ['wrapper', ['--version']],
      ['cliproxyapi-sync', ['exec', '--', '--help']],
    ] as const) {
      expect(await run(home, program, args)).toMatchObject({
        code: 0,
        stdout: `proxy ${args.at(-1)}\n`,
        stderr: '',
      });
    }
    expect(await tree(home.path)).toEqual(before);
  });
});

describe.each(nodes('the programs'))('on %s', (_, node) => {
  test('each program prints its name and version, on stdout', async ({ world }) => {
    const home = await world.home();
    for (const program of ['hydrate', 'backup', 'start', 'cliproxyapi-sync'] as const)
      for (const flag of ['--version', '-V'])
        expect(await run(home, program, [flag], { node })).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(new RegExp(`^${program} \\d+\\.\\d+\\.\\d+\n$`)),
          stderr: '',
        });
  });

  test('each program does its work, with people’s output on stderr', async ({ world }) => {
    const home = await world.home();
    const files = credentials('a');
    await put(home.authDir, files);
    for (const [, program, words] of RUNS)
      expect(await run(home, program, words, { node })).toMatchObject({
        code: 0,
        stdout: '',
        stderr: expect.stringMatching(/1 credential/),
      });
    expect(await stored(world.store, 'auths/')).toEqual(texts(files));
  });
});

describe('a mistake in the arguments', () => {
  const mistakes: (readonly [string, BundleName, readonly string[], RegExp])[] = [
    ...RUNS.flatMap(([name, program, words]) => [
      [`${name} --bogus`, program, [...words, '--bogus'], /unknown option '--bogus'/] as const,
      [`${name} with a word too many`, program, [...words, 'extra'], /too many arguments/] as const,
    ]),
    ['an unknown command', 'cliproxyapi-sync', ['snyc'], /unknown command 'snyc'/],
    ['no command', 'cliproxyapi-sync', [], /Usage: cliproxyapi-sync/],
    ['an unknown option before the command', 'cliproxyapi-sync', ['--bogus', 'sync'], /option '--bogus'/],
    ['--quiet with --verbose', 'backup', ['--quiet', '--verbose'], /cannot be used with/],
    ['--env-file without a path', 'start', ['--env-file'], /argument missing/],
    ['--allow-delete without a name', 'backup', ['--allow-delete'], /argument missing/],
    ['--allow-delete with a path', 'backup', ['--allow-delete', '../a.json'], /"\.\.\/a\.json" is no cred/],
    ['--allow-delete with an escape', 'backup', ['--allow-delete', '\u001b[2J.json'], /\\u001b\[2J/],
  ];

  test.for(mistakes)(
    '(%s) is exit 2 and said on stderr alone, with the way on, and nothing is done',
    async ([, program, args, said], { world }) => {
      const home = await world.home();
      await put(home.authDir, credentials('a'));
      const before = await tree(home.path);
      const { code, stdout, stderr } = await run(home, program, args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(said);
      expect(stderr).toMatch(/--help|give it as/);
      expect(await tree(home.path)).toEqual(before);
    },
  );

  test('with --json is one JSON document too', async ({ world }) => {
    const home = await world.home();
    for (const args of [
      ['--json', '--bogus'],
      ['--json', 'extra'],
      ['--json', '--allow-delete', '../a.json'],
    ])
      expectDocument(await run(home, 'backup', args), 2);
  });
});

describe('--json', () => {
  interface Situation {
    readonly title: string;
    readonly code: number;
    readonly prepare?: (home: Home, world: World) => Promise<void>;
    readonly args?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly document: Readonly<Record<string, unknown>>;
  }
  const s3 = { OBJECTSTORE_ENDPOINT: 'http://127.0.0.1:1', OBJECTSTORE_ACCESS_KEY: 'S3CR3T-key' };
  const keys = { ...s3, OBJECTSTORE_BUCKET: 'credentials', OBJECTSTORE_SECRET_KEY: 'S3CR3T' };
  const situations: readonly Situation[] = [
    {
      title: 'a success',
      code: 0,
      document: { credentials: 1, error: null, results: [{ name: 'a.json', outcome: 'done' }] },
    },
    {
      title: 'a success, verbose',
      code: 0,
      args: ['--verbose'],
      document: { results: [{ name: 'a.json' }] },
    },
    {
      title: 'a dry run',
      code: 0,
      args: ['--dry-run'],
      document: { dryRun: true, results: [{ name: 'a.json', outcome: 'planned' }] },
    },
    {
      title: 'a file that is no credential',
      code: 1,
      prepare: ({ authDir }) =>
        put(authDir, { 'bad.json': Buffer.from('{"type":"claude","access_token":"S3CR3T') }),
      document: { problems: [{ subject: 'bad.json', place: 'auth' }], results: [{ name: 'a.json' }] },
    },
    {
      title: 'a half-configured store',
      code: 78,
      env: s3,
      document: {
        error: { message: expect.stringContaining('OBJECTSTORE_BUCKET'), remedy: expect.any(String) },
      },
    },
    {
      title: 'a store that is out of reach',
      code: 75,
      env: keys,
      document: { error: { message: expect.stringContaining('127.0.0.1:1'), remedy: expect.any(String) } },
    },
    {
      title: 'a state that a newer program wrote',
      code: 1,
      async prepare(home) {
        await done(sync(home));
        await writeFile(await baseOf(home), '{"format":99}');
      },
      document: { error: { message: expect.stringMatching(/newer cliproxyapi-sync/) } },
    },
    {
      title: 'another run under way',
      code: 75,
      env: { CLIPROXY_LOCK_WAIT: '0' },
      async prepare({ stateDir }, { root }) {
        await put(root, {});
        await command({ env: {}, path: root } as Home, ['/bin/mkdir', '-p', join(stateDir, 'lock')]);
      },
      document: { stopped: expect.stringMatching(/another run/) },
    },
  ];

  test.for(situations)(
    'of $title is one document on stdout and nothing else, with exit code $code',
    async ({ code, prepare, args = [], env = {}, document }, { world }) => {
      const home = await world.home();
      await put(home.authDir, credentials('a'));
      await prepare?.(home, world);
      const ended = await run(home, 'backup', ['--json', ...args], { env });
      expect(expectDocument(ended, code)).toMatchObject(document);
    },
  );
});

describe.each(nodes('--env-file'))('--env-file, with a program run as a file on %s', (_, node) => {
  // Node takes it for its own wherever it stands, but for what comes after `--`: so their first line has that.
  const backup = (home: Home, ...args: string[]) =>
    command(home, [bundlePath('backup'), '--json', ...args], {
      env: { PATH: [dirname(node), home.env.PATH].join(delimiter) },
    });

  test('that is missing is exit 78, and one that is there is read', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    expect(expectDocument(decent(await backup(home, '--env-file', '/nowhere/.env')), 78)).toMatchObject({
      error: {
        message: expect.stringContaining('/nowhere/.env'),
        remedy: expect.stringContaining('--env-file'),
      },
    });
    const path = join(world.root, 'other store');
    await writeFile(join(home.path, 'other.env'), `export LOCALSTORE_PATH="${path}" # as in a shell\r\n`);
    expectDocument(decent(await backup(home, '--env-file', 'other.env')), 0);
    expect(Object.keys(held(join(path, 'auths')))).toEqual(['a.json']);
  });

  test.for<[BundleName, ...string[]]>([
    ['hydrate', '--env-file', '/nowhere/.env'],
    ['start', '--env-file=/nowhere/.env', '-local-model'],
    ['cliproxyapi-sync', 'sync', '--env-file', '/nowhere/.env'],
    ['cliproxyapi-sync', 'exec', '--env-file', '/nowhere/.env', '--claude-login'],
  ])('that is missing is exit 78: %s', async ([name, ...args], { world }) => {
    const home = await world.home();
    const env = { PATH: [dirname(node), home.env.PATH].join(delimiter) };
    const ended = decent(await command(home, [bundlePath(name), ...args], { env }));
    expect(ended).toMatchObject({ code: 78, stderr: expect.stringContaining('/nowhere/.env') });
  });
});

/** Looks whether stdout is one JSON document that tells the exit code. */
function expectDocument(
  { code, stdout }: { code: number | null; stdout: string },
  expected: number,
): unknown {
  expect(code).toBe(expected);
  expect(stdout).toMatch(/^\{.*\}\n$/);
  const document: unknown = JSON.parse(stdout);
  expect(document).toMatchObject({ exitCode: expected });
  return document;
}

describe('--dry-run', () => {
  test.for(['hydrate', 'backup', 'sync'])(
    '%s changes nothing, state included, and prints the plan that then runs',
    async (name, { world }) => {
      const home = await world.home('laptop', { ccs: true });
      const files = credentials('a', 'b', 'c', 'd', 'e');
      await put(home.authDir, files);
      await done(sync(home));
      // New here, rotated here, deleted here, new there, rotated there.
      await put(home.authDir, { 'new.json': credential('new'), 'a.json': credential('a@example.com', 5) });
      await rm(join(home.authDir, 'b.json'));
      await world.store.write('auths/there.json', credential('there'));
      await world.store.write('auths/c.json', credential('c@example.com', 6));
      const before = [await tree(home.path), await tree(world.root)];

      const plan = async (...args: string[]) => {
        const { stdout } = await done(run(home, 'cliproxyapi-sync', [name, '--json', ...args]));
        const { results, pending } = JSON.parse(stdout) as {
          results: { name: string; reason: string; actions: unknown }[];
          pending: unknown;
        };
        return { pending, results: results.map(({ name, reason, actions }) => ({ name, reason, actions })) };
      };
      const planned = await plan('--dry-run');
      const words = await done(run(home, 'cliproxyapi-sync', [name, '--dry-run']));
      expect([await tree(home.path), await tree(world.root)]).toEqual(before);
      for (const { name } of planned.results) expect(words.stderr).toContain(`${name}: `);
      expect(words.stderr).toMatch(/new in the/);

      // A deletion names the moment at which it was found.
      expect(await plan()).toEqual(planned);
    },
  );

  test('on a machine where nothing was ever run makes nothing', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    const before = await tree(world.root);
    for (const [, program, words] of RUNS) await done(run(home, program, [...words, '--dry-run']));
    expect(await tree(world.root)).toEqual(before);
  });
});

describe('--quiet', () => {
  test('prints nothing on success, whatever was done', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, credentials('a'));
    for (const [, program, words] of RUNS)
      expect(await run(home, program, [...words, '--quiet'])).toMatchObject({
        code: 0,
        stdout: '',
        stderr: '',
      });
    const proxy = { CLIPROXY_BIN: await script(world, 'exit 0') };
    for (const [program, words] of [
      ['start', []],
      ['cliproxyapi-sync', ['start']],
      ['cliproxyapi-sync', ['exec']],
    ] as const)
      expect(await run(home, program, [...words, '--quiet'], { env: proxy })).toMatchObject({
        code: 0,
        stdout: '',
        stderr: '',
      });
  });

  test('still says what is wrong', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, { ...credentials('a'), 'bad.json': Buffer.from('[]') });
    const { code, stderr } = await run(home, 'backup', ['--quiet']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/bad\.json .*is not a JSON object/);
    expect(stderr).not.toContain('a.json');
  });
});

describe('a reader that goes away', () => {
  test.for([
    ['--help', ['--help'], 0],
    ['--json longer than a pipe, with an error at its end', ['--json', '--dry-run'], 1],
  ] as const)('(%s | head) leaves the exit code as it is', async ([, args, code], { world }) => {
    const home = await world.home();
    await put(home.authDir, { 'bad.json': Buffer.from('[]') });
    const many = Array.from({ length: 400 }, (_, index) => [
      `${index}.json`,
      credential(`${index}@example.com`),
    ]);
    await put(home.authDir, Object.fromEntries(many));
    const shell = '"$@" | head -c 1 >/dev/null; exit $PIPESTATUS';
    const program = [process.execPath, bundlePath('backup'), ...args];
    const ended = decent(await command(home, ['bash', '-c', shell, '-', ...program]));
    expect(ended, ended.stderr).toMatchObject({ code });
  });

  test.for([['--json', '--dry-run'], ['--version']])(
    'a disk that is full is told in one line, and is exit 1 (%s)',
    async (args, { world }) => {
      const home = await world.home();
      await put(home.authDir, credentials('a'));
      const program = [process.execPath, bundlePath('backup'), ...args];
      const ended = decent(await command(home, ['sh', '-c', '"$@" >/dev/full', '-', ...program]));
      expect(ended).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^error: the output could not be written: ENOSPC.*$/m),
      });
      expect(ended.stderr).not.toMatch(/Node\.js v/);
    },
  );
});

const SCRIPT = findProgram('script');
if (SCRIPT === undefined)
  console.warn('\nSKIPPED: output on a terminal, since `script` (util-linux) is missing.\n');

describe.skipIf(SCRIPT === undefined)('on a terminal', () => {
  const onTerminal = async (home: Home, env: Record<string, string>) => {
    const typed = `'${process.execPath}' '${bundlePath('backup')}'`;
    return command(home, [SCRIPT ?? '', '-qec', typed, '/dev/null'], { env: { TERM: 'xterm', ...env } });
  };
  test('an error is red, unless NO_COLOR is set or the terminal is dumb', async ({ world }) => {
    const home = await world.home();
    await put(home.authDir, { 'bad.json': Buffer.from('[]') });
    const coloured = await onTerminal(home, {});
    expect(coloured.code).toBe(1);
    expect(coloured.stdout).toContain('\u001b[3');
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      const plain = await onTerminal(home, env);
      expect(plain.code).toBe(1);
      expect(plain.stdout).toContain('bad.json');
      expect(plain.stdout).not.toContain('\u001b');
    }
  });
});

/** A program in the place of the proxy. */
async function script(world: World, body: string): Promise<string> {
  const path = join(world.root, 'script');
  await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}
