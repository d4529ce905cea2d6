/** docs/dependencies.md says what of others is in the bundles: it must be true. */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { bundledPackages, table, writtenTable } from '../../ts/dependencies.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

let bundled: Awaited<ReturnType<typeof bundledPackages>>;
beforeAll(async () => {
  bundled = await bundledPackages();
});

/** All let anyone use, change and pass on, also within other programs. */
const LICENCES = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
]);

/** Without the shares, which each change of our own code may move. */
const withoutShares = (text: string) => text.replaceAll(/\| (?:< )?\d+ % \|/g, '|');

test('the page lists each package that is bundled, in its version', async () => {
  expect(withoutShares(await writtenTable()), 'run `make dependencies`').toBe(
    withoutShares(table(bundled.packages, bundled.total)),
  );
});

test('each is pinned by its hash, runs no script when it is installed, and may be passed on', () => {
  expect(bundled.packages.length).toBeGreaterThan(10);
  for (const { name, isPinned, hasInstallScript, license } of bundled.packages) {
    expect({ name, isPinned, hasInstallScript }).toEqual({ name, isPinned: true, hasInstallScript: false });
    expect(LICENCES, name).toContain(license);
  }
});

test('each dependency of package.json is bundled, and its reason told', () => {
  const { dependencies } = JSON.parse(read('ts/package.json'));
  const names = bundled.packages.map(({ name }) => name);
  const page = read('docs/dependencies.md').split('## What is in')[0];
  for (const name of Object.keys(dependencies)) {
    expect(names).toContain(name);
    expect(page).toContain(name);
  }
});

test('of all that development installs, esbuild alone runs a script', () => {
  const { packages } = JSON.parse(read('ts/package-lock.json'));
  const scripts = Object.keys(packages).filter((folder) => packages[folder].hasInstallScript);
  expect(scripts.map((folder) => folder.replace('node_modules/', '')).sort()).toEqual(['esbuild']);
});
