import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Nothing of the user's own configuration is written or needed. */
const NIX_CONFIG = [
  'experimental-features = nix-command flakes',
  'build-users-group =',
  'sandbox = false',
  'substitute = false',
  'warn-dirty = false',
].join('\n');

const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;

export const tools = {
  nix: has('nix-instantiate', '--version'),
  systemdAnalyze: has('systemd-analyze', '--version'),
  python: has('python3', '--version'),
  man: has('man', '--version'),
};

/** A nixpkgs, with home-manager and nix-darwin in it or beside it. */
export const tree = process.env.NIXPKGS_TREE;

for (const [missing, what] of [
  [!tools.nix, 'all tests of Nix code: nix-instantiate is not installed (Debian: apt-get install nix-bin)'],
  [
    tools.nix && !tree,
    'the modules under NixOS, home-manager and nix-darwin, and the flake: NIXPKGS_TREE names no nixpkgs',
  ],
  [!tools.systemdAnalyze, 'systemd-analyze on the units: it is not installed'],
] as const) {
  if (missing) console.warn(`\nSKIPPED: ${what}\n`);
}

/** The value of a Nix expression over `builtins` alone, with no Nix store. */
export function evaluatePure(expression: string): unknown {
  return JSON.parse(
    execFileSync('nix-instantiate', ['--eval', '--strict', '--json', '--expr', expression], {
      encoding: 'utf8',
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NIX_CONFIG, NIX_REMOTE: 'dummy://' },
    }),
  );
}

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function nix(program: 'nix' | 'nix-instantiate', args: readonly string[], env = {}): Finished {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, NIX_CONFIG, ...env },
  });
  return { status, stdout, stderr };
}

/** A JavaScript value as a Nix expression; what is Nix already is `raw`. */
export function toNix(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[ ${value.map((item) => `(${toNix(item)})`).join(' ')} ]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)} = ${toNix(item)};`);
    return `{ ${entries.join(' ')} }`;
  }
  // What follows $ is Nix's own interpolation.
  return JSON.stringify(value).replaceAll('${', '\\${');
}

class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
export const raw = (text: string): unknown => new Raw(text);

/** A repository that lies in the tree, or beside it. */
export function inTree(name: 'home-manager' | 'nix-darwin'): string {
  const inside = join(tree ?? '', name);
  return existsSync(inside) ? inside : join(tree ?? '', '..', name);
}
