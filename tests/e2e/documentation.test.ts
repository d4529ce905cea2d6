/**
 * Every command in a shell block of README.md and docs/ is run as it stands there, on a machine with logins and a
 * real store; or it is in the list of those that cannot be, with the reason.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { CHECKOUT, pages, type Typed, typedOn } from '../support/markdown.ts';
import { commandOnTerminal } from '../support/on-terminal.ts';
import { programsOf } from '../support/person.ts';
import { freePort } from '../support/programs.ts';
import { test as base, credential, done, type Home, KINDS, put, sync, type World } from './world.ts';

/** What is not run here, and why. */
const EXCEPTIONS: readonly (readonly [RegExp, reason: string])[] = [
  [/^make (demo|test|prove|bench|check)\b|^PROVE_SEED=/, 'runs tests itself, this one among them'],
  [
    /\bmake (bundles|build|switch|status|rollback|unswitch)\b/,
    'tests/services and tests/nix run what it does',
  ],
  [
    /\bnix\b|\bnixos-rebuild\b|\bhome-manager\b/,
    'needs the network and a Nix store; tests/nix evaluates the flake',
  ],
  [/^git clone ADDRESS|^sudo git clone/, 'needs the address of the repository'],
  [/^docker compose/, 'needs Docker; tests/e2e/container.test.ts runs the compose file where there is one'],
  [
    /^mkdir -p -m 700 data\/proxy|^\(umask 077; touch sync\.env\)/,
    'prepares the directory for docker compose',
  ],
  [/^sudo(edit)?\b/, 'changes the system'],
  [
    /^mkdir -p ~\/dotfiles && install|^head -c 24 \/dev\/urandom/,
    'makes the files for what is switched to next',
  ],
  [/^mkdir -p ~\/\.config\/home-manager/, 'makes the directory for the configuration of home-manager'],
  [
    /^(systemctl|launchctl|journalctl)\b/,
    "shows a service manager's own words; tests/services talks to a real one",
  ],
  [/^cliproxyapi --[a-z]+-login/, 'opens the browser of a person'],
  [
    /^(cliproxyapi-sync )?start\b|cliproxyapi-sync watch\b|status --watch/,
    'never ends; tests/e2e/start.test.ts, watch.test.ts and everyday.test.ts',
  ],
  [/\bservices (switch|unswitch|rollback|status)\b/, "changes this machine's services; tests/services"],
  [/^echo 'eval |\bcompletion fish\b/, 'changes a shell; tests/docs/completion.test.ts uses the completions'],
  [/^ls ~/, 'shows file names'],
  [
    /--version ID --store local$/,
    'needs versions that only this host has; tests/scenarios/choices/restore.test.ts',
  ],
  [/\| jq\b/, 'needs jq'],
  [/^cd ts$|^npm (audit|view|outdated)\b/, 'asks a registry'],
  [/\bmigrate\b.*--to\b/, 'needs a second store; tests/migrate goes from each to each'],
];

/** Lines of the env file: that the variable exists is all that can be tried. */
const VARIABLE = /^#?(?<name>[A-Z][A-Z0-9_]*)=/;

/** What runs by itself: our own programs. Anything else is an exception, or is added here. */
const RUN = /^(cliproxyapi-sync|hydrate|backup|ts\/dist\/[a-z-]+\.mjs) ?/;

const LOGIN = 'claude-me@example.com.json';

interface Prepared {
  readonly home: Home;
  /** What a person puts in the place of what stands for something. */
  readonly fills: readonly (readonly [RegExp, string])[];
}

/** How the machine is prepared for the commands of a page; `usual` where it does not say otherwise. */
const PREPARED: Readonly<Record<string, (world: World) => Promise<Prepared>>> = {};

/** Logins in step, one of them with an earlier version, and one that was deleted. */
async function usual(world: World): Promise<Prepared> {
  const home = await world.home('laptop', { template: `port: ${await freePort()}\n` });
  const names = [
    LOGIN,
    'codex-work@example.com.json',
    'claude-old@example.com.json',
    'gemini-old@example.com.json',
  ];
  const accountOf = (name: string) => name.replace(/^[a-z]+-/, '').replace(/\.json$/, '');
  for (const name of names) await put(home.authDir, { [name]: credential(accountOf(name)) });
  await done(sync(home));
  // History's times are to the second in some stores.
  await sleep(1_100);
  const then = new Date().toISOString();
  await sleep(1_100);
  await put(home.authDir, { [LOGIN]: credential(accountOf(LOGIN), 5) });
  await rm(join(home.authDir, 'gemini-old@example.com.json'));
  await done(sync(home));
  const bin = await programsOf(home);
  const history = await commandOnTerminal(home, [join(bin, 'cliproxyapi-sync'), 'history', '--json', LOGIN], {
    columns: 80,
  });
  const { versions } = JSON.parse(history.shown).credentials[0];
  return {
    home,
    fills: [
      [/ \[NAME\.\.\.\]/g, ''],
      [/\bNAME\.\.\./g, LOGIN],
      [/\bNAME\b/g, LOGIN],
      [/\b3f2a9c\b/g, versions[0].id.slice(0, 8)],
      [/--at 2d\b/g, `--at ${then}`],
    ],
  };
}

const test = base.override('kind', KINDS.at(-1) ?? 'directory');

/** What is done with a line; undefined if nobody has said so. */
function fate({ line }: Typed): 'run' | 'variable' | 'exception' | undefined {
  if (EXCEPTIONS.some(([pattern]) => pattern.test(line))) return 'exception';
  if (VARIABLE.test(line)) return 'variable';
  return RUN.test(line) ? 'run' : undefined;
}

describe('the commands of the documentation', () => {
  const all = pages().flatMap(typedOn);

  base('are each run here, or it is said why not', () => {
    expect(all.length).toBeGreaterThan(30);
    const unknown = all.filter((typed) => fate(typed) === undefined);
    const said = unknown.map(({ page, line }) => `${page}: \`${line}\` is neither run nor an exception`);
    expect(said, 'see RUN and EXCEPTIONS in tests/e2e/documentation.test.ts').toEqual([]);
    const idle = EXCEPTIONS.filter(([pattern]) => !all.some(({ line }) => pattern.test(line)));
    expect(
      idle.map(([pattern]) => String(pattern)),
      'exceptions for what no page has',
    ).toEqual([]);
  });

  base('name variables that there are', () => {
    const sources = readdirSync(join(CHECKOUT, 'ts/src'), { recursive: true, encoding: 'utf8' });
    const text = sources
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(CHECKOUT, 'ts/src', name), 'utf8'))
      .join('\n');
    for (const typed of all) {
      const name = fate(typed) === 'variable' ? VARIABLE.exec(typed.line)?.groups?.name : undefined;
      if (name !== undefined) expect(text, `${typed.page}: ${name}`).toContain(name);
    }
  });

  const withCommands = pages().filter((page) => typedOn(page).some((typed) => fate(typed) === 'run'));
  test.for(withCommands)(
    '%s: each does what the page says, and ends with 0',
    { timeout: 180_000 },
    async (page, { world }) => {
      const { home, fills } = await (PREPARED[page] ?? usual)(world);
      const path = `${await programsOf(home)}:${home.env.PATH}`;
      for (const { line } of typedOn(page).filter((typed) => fate(typed) === 'run')) {
        const filled = fills.reduce((text, [pattern, value]) => text.replaceAll(pattern, value), line);
        // What a page redirects into a file stays in the home.
        const command = filled.replaceAll(/\bts\/dist\//g, join(CHECKOUT, 'ts/dist/'));
        const { code, shown } = await commandOnTerminal(home, ['sh', '-c', `cd; ${command}`], {
          columns: 120,
          env: { PATH: path },
          type: ['[y/N]', 'y\n'],
          seconds: 60,
        });
        expect(code, `${page}: \`${line}\`, run as \`${filled}\`:\n${shown}`).toBe(0);
      }
    },
  );
});
