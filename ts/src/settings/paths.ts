import { isAbsolute, relative, resolve, sep } from 'node:path';
import { SettingsError } from './settings-error.ts';
import type { VariableName } from './variable-table.ts';
import { type Environment, lookup } from './variables.ts';

/** Directories and files as absolute paths, out of variables. Nothing here looks at the disk. */
export interface Paths {
  /** HOME, if it is set and absolute. */
  readonly homeDir: string | undefined;
  /** `~` as an absolute path. Throws if HOME is of no use, naming `wanted` as what could be set instead. */
  home(wanted: string): string;
  /** A path variable: absolute, a leading `~/` expanded. Undefined if unset; throws if it is relative. */
  variable(name: VariableName): string | undefined;
  /** The same for a value that came from elsewhere, `source` naming it in errors. */
  absolute(value: string, source: string): string;
}

export function pathsFrom(environment: Environment, homeOverride?: string): Paths {
  const value = (homeOverride ?? lookup(environment, 'HOME'))?.trim();
  const homeDir = value !== undefined && isAbsolute(value) ? resolve(value) : undefined;
  const home = (wanted: string): string => {
    if (homeDir !== undefined) return homeDir;
    throw new SettingsError(
      value ? 'HOME is not an absolute path' : `HOME is not set, and neither is ${wanted}`,
      `Set HOME, or ${wanted}, to an absolute path.`,
    );
  };
  const absolute = (value: string, source: string): string => {
    if (value === '~' || value.startsWith('~/')) return resolve(home(source), value.slice(2));
    if (isAbsolute(value)) return resolve(value);
    throw new SettingsError(
      `${source} is not an absolute path`,
      `Set ${source} to a path that starts with / or ~/; other variables in it are not expanded.`,
    );
  };
  return {
    homeDir,
    home,
    absolute,
    variable(name) {
      const value = lookup(environment, name);
      return value === undefined ? undefined : absolute(value, name);
    },
  };
}

/** Whether `inner` is `outer` or below it. Both absolute. */
export function isWithin(inner: string, outer: string): boolean {
  const path = relative(outer, inner);
  return path === '' || (path !== '..' && !path.startsWith(`..${sep}`) && !isAbsolute(path));
}
