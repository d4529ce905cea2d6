// The rules that need types, and no others: the rest of lint is Biome's (biome.json). Run from the project's root:
// `make lint`.
import tseslint from 'typescript-eslint';

const rules = (...names) => Object.fromEntries(names.map((name) => [`@typescript-eslint/${name}`, 'error']));

export default [
  { ignores: ['**/node_modules/', 'ts/dist/'] },
  {
    files: ['**/*.ts'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: {
      parser: tseslint.parser,
      // One program for sources and tests: two would check the libraries' types twice.
      parserOptions: {
        project: ['tests/tsconfig.json'],
        tsconfigRootDir: new URL('..', import.meta.url).pathname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      ...rules(
        'no-floating-promises',
        'no-misused-promises',
        'await-thenable',
        'only-throw-error',
        'no-unnecessary-type-assertion',
      ),
      // A `default` is a decision, too.
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // In a `try`, a promise that is returned and not awaited fails outside of it.
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
    },
  },
  {
    // Not for tests: what they read was written by the programs, and a wrong form fails the test.
    files: ['ts/**/*.ts'],
    rules: rules(
      'no-unsafe-argument',
      'no-unsafe-assignment',
      'no-unsafe-call',
      'no-unsafe-member-access',
      'no-unsafe-return',
      'no-unsafe-type-assertion',
    ),
  },
];
