import type { VariableName } from './variable-table.ts';

/**
 * Where variables come from, the one that wins first: the process's own environment, then the env files, the
 * last named first. Holds secrets: never printed.
 */
export type Environment = readonly VariableSource[];

export interface VariableSource {
  readonly values: Readonly<Record<string, string | undefined>>;
}

/**
 * The value of a variable of ours, trimmed; undefined if it is set nowhere or only to nothing. In each source
 * the upper-case name wins over its lower-case twin, as in CLIProxyAPI (`lookupEnv` in cmd/server/main.go).
 */
export function lookup(environment: Environment, name: VariableName): string | undefined {
  return raw(environment, name)?.trim();
}

/**
 * As `lookup`, but byte for byte as it was set, and of any name: for secrets that go into the proxy's config, and
 * for what other programs' variables say.
 */
export function raw(environment: Environment, name: string): string | undefined {
  for (const { values } of environment) {
    for (const spelling of spellings(name)) {
      const value = own(values, spelling);
      if (value !== undefined && value.trim() !== '') return value;
    }
  }
  return undefined;
}

/**
 * Like `lookup`, for the variables where empty means off: the first source that sets it in any form decides,
 * and gives `''` if it sets it to nothing.
 */
export function lookupWithEmpty(environment: Environment, name: VariableName): string | undefined {
  for (const { values } of environment) {
    for (const spelling of spellings(name)) {
      const value = own(values, spelling);
      if (value !== undefined) return value.trim();
    }
  }
  return undefined;
}

/**
 * All sources as one record, for a child process. A variable that is empty in one source keeps the value it has
 * in the next.
 */
export function merged(environment: Environment): Record<string, string> {
  // No prototype: `__proto__` and `constructor` are names like any other.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-assignment -- `Object.create` knows no types
  const result: Record<string, string> = Object.create(null);
  for (const { values } of [...environment].reverse()) {
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined && (value.trim() !== '' || !(name in result))) result[name] = value;
    }
  }
  return result;
}

/** The names under which a variable is read, the one that wins first. */
export function spellings(name: string): readonly string[] {
  return [name, name.toLowerCase()];
}

function own(values: VariableSource['values'], name: string): string | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}
