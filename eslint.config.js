// Rules about what code means. How it looks is Prettier's business, so no stylistic rule is switched on.
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

const nodeTest = ['test', 'it', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach']

export default defineConfig(
  globalIgnores([
    '**/dist/',
    '**/node_modules/',
    'packages/server/dashboard/',
    // What frameworks make in their examples.
    'examples/*/{.next,.svelte-kit,.output,build}/',
    'examples/nextjs/next-env.d.ts',
  ]),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: nodeTest }],
        },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      // Numbers belong into messages; everything else has to be made a string on purpose.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // An `async` method without `await` is how a synchronous driver meets an asynchronous contract: what it
      // throws becomes a rejection.
      '@typescript-eslint/require-await': 'off',
      // `() => log(line)` reads better than a block around it.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // Where an index has just been found or counted, saying so is more honest than a branch that can't be taken.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // What a session holds is a JSON object, with keys that its user chose.
      '@typescript-eslint/no-dynamic-delete': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    // The first lines of a process, the command line and scripts talk to a terminal.
    files: ['packages/server/src/cli/**', 'scripts/**', 'bench/**', 'examples/**'],
    rules: { 'no-console': 'off' },
  },
  {
    // The types of their frameworks are not installed here; `npm run test:frameworks` checks types there.
    files: ['examples/{nextjs,nitro,sveltekit}/**/*.{ts,tsx}'],
    extends: [tseslint.configs.strict, tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { projectService: false } },
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    // A `describe` block is as long as the list of its tests, and a conformance suite is one such block.
    files: ['test/**', 'packages/holdfast/src/testing/**'],
    rules: {
      'max-lines': ['error', { max: 600, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': 'off',
    },
  },
  {
    // It has to tell the users of an old Node.js what is wrong, so that Node.js 14 must be able to read it.
    files: ['packages/server/bin/**'],
    languageOptions: { ecmaVersion: 2020, sourceType: 'module' },
  },
)
