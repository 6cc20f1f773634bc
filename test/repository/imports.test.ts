import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { checkImports, importsOf, parseTable } from '../../scripts/imports.ts'
import type { Row } from '../../scripts/imports.ts'

const library = new URL('../../packages/holdfast/', import.meta.url)
const server = new URL('../../packages/server/', import.meta.url)
const page = readFileSync(new URL('src/README.md', library), 'utf8')

function modulesOf(folder: URL): ReadonlyMap<string, string> {
  const source = new URL('src/', folder)
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  return new Map(
    files.map((file) => [
      file.replaceAll('\\', '/').replace(/\.ts$/, ''),
      readFileSync(new URL(file, source), 'utf8'),
    ]),
  )
}

function publicEntries(): ReadonlySet<string> {
  const manifest = JSON.parse(readFileSync(new URL('package.json', library), 'utf8')) as { exports: object }
  return new Set(Object.keys(manifest.exports).map((entry) => entry.replace('.', 'holdfast')))
}

describe('imports', () => {
  it('are those that the table of the library allows', () => {
    const rows = parseTable(page, 'holdfast')
    const modules = modulesOf(library)
    assert.ok(modules.has('index') && modules.has('store/contract'))
    assert.deepEqual(checkImports({ rows, modules, publicEntries: new Set() }), [])
  })

  it('are those that the table of the server allows', () => {
    const rows = parseTable(page, 'holdfast-server')
    const modules = modulesOf(server)
    assert.ok(modules.has('cli/main'))
    assert.deepEqual(checkImports({ rows, modules, publicEntries: publicEntries() }), [])
  })

  it('fit the page on which they are drawn', () => {
    assert.ok(page.trimEnd().split('\n').length <= 60, 'the page has more than 60 lines')
  })
})

describe('the check of imports', () => {
  const rows: readonly Row[] = parseTable(
    [
      '# A page',
      '## elsewhere',
      '## here',
      '| of | may import |',
      '| --- | --- |',
      '| `*/` | `errors` |',
      '| `store/` | `node:crypto` (for stamps) |',
      '| `store/open` | `drivers/*`, `npm:*` |',
      '| `drivers/*` | `store/contract`, `node:*` |',
      '| `drivers/one`, `drivers/two` | `drivers/sql/` |',
      '| `records/`, `sessions/` | `store/`, `holdfast` |',
      '| `index` | `*`, `*/` |',
    ].join('\n'),
    'here',
  )

  const base = {
    errors: '',
    index: '',
    'store/contract': '',
    'store/guard': '',
    'store/open': '',
    'drivers/one': '',
    'drivers/one/worker': '',
    'drivers/two': '',
    'drivers/three': '',
    'drivers/sql/dialect': '',
    'records/records': '',
    'sessions/session': '',
  }

  function faultsOf(changed: Partial<typeof base>): readonly string[] {
    const modules = new Map(Object.entries({ ...base, ...changed }))
    return checkImports({ rows, modules, publicEntries: new Set(['holdfast', 'holdfast/redis']) })
  }

  it('finds nothing wrong with what the table allows', () => {
    assert.deepEqual(
      faultsOf({
        index: "export * from './errors.ts'\nexport type { X } from './store/contract.ts'",
        'store/guard':
          "import { randomBytes } from 'node:crypto'\nimport './contract.ts'\nimport '../errors.ts'",
        'store/open': "await import('../drivers/one.ts')\nawait import(name)",
        'drivers/one': "import './one/worker.ts'\nimport './sql/dialect.ts'\nimport '../store/contract.ts'",
        'drivers/one/worker': "import 'node:fs'\nnew URL('../../package.json', import.meta.url)",
        'records/records': "import '../store/guard.ts'\nimport 'holdfast'\nimport 'holdfast/redis'",
      }),
      [],
    )
  })

  const refused: readonly (readonly [string, keyof typeof base, string, string])[] = [
    ['a layer above', 'store/guard', "import '../records/records.ts'", 'records/records'],
    [
      'a layer above, for its types',
      'store/guard',
      "import type { A } from '../records/records.ts'",
      'records/records',
    ],
    ['a type in passing', 'store/guard', "type A = import('../records/records.ts').A", 'records/records'],
    ['by exporting it', 'store/guard', "export { a } from '../records/records.ts'", 'records/records'],
    ['dynamically', 'store/guard', "await import('../records/records.ts')", 'records/records'],
    [
      'as a worker',
      'store/guard',
      "new Worker(new URL('../records/records.ts', import.meta.url))",
      'records/records',
    ],
    [
      'as one of two workers',
      'store/guard',
      "new URL(a ? './b.ts' : '../records/records.js', import.meta.url)",
      'records/records',
    ],
    ['a peer', 'drivers/one', "import './two.ts'", 'drivers/two'],
    ["a peer's folder", 'drivers/two', "import './one/worker.ts'", 'drivers/one/worker'],
    ['what only its peers share', 'drivers/three', "import './sql/dialect.ts'", 'drivers/sql/dialect'],
    ['another file of an allowed folder', 'drivers/one', "import '../store/guard.ts'", 'store/guard'],
    ['a sibling of its layer', 'records/records', "import '../sessions/session.ts'", 'sessions/session'],
    ['a client library', 'drivers/one', "import type { Client } from 'redis'", 'npm:redis'],
    ['a client library by a computed name', 'drivers/one', 'await import(name)', 'npm:*'],
    ['another built-in', 'store/guard', "import 'node:fs'", 'node:fs'],
    [
      'a file of another package',
      'records/records',
      "import '../../../holdfast/src/errors.ts'",
      '../../holdfast/src/errors',
    ],
    ['a hidden entry', 'records/records', "import 'holdfast/store/guard'", 'holdfast/store/guard'],
    ['what is not there', 'records/records', "import '../store/missing.ts'", 'store/missing'],
    ['anything at the bottom', 'errors', "import './store/contract.ts'", 'store/contract'],
  ]

  for (const [what, module, source, target] of refused) {
    it(`refuses to import ${what}`, () => {
      assert.ok(faultsOf({ [module]: source }).includes(`${module} may not import ${target}`))
    })
  }

  it('refuses a circle between folders, although each import is allowed', () => {
    const circle = parseTable(
      '## here\n| of | may import |\n|-|-|\n| `a/` | `b/` |\n| `b/` | `c/` |\n| `c/` | `a/` |',
      'here',
    )
    const modules = new Map([
      ['a/x', "import '../b/x.ts'"],
      ['b/x', "import '../c/x.ts'"],
      ['c/x', "import '../a/x.ts'"],
    ])
    assert.deepEqual(checkImports({ rows: circle, modules, publicEntries: new Set() }), [
      'imports run in a circle: a/ → b/ → c/ → a/',
    ])
  })

  it('refuses an index that does more than export', () => {
    assert.deepEqual(faultsOf({ index: "export * from './errors.ts'\nexport const a = 1" }), [
      'index does more than export',
    ])
  })

  it('takes no word of a comment or a string for an import', () => {
    assert.deepEqual(importsOf('// import "a"\nconst text = `import "b"`\n/** from "c" */'), [])
  })

  it('refuses a page without its table', () => {
    assert.throws(() => parseTable('## there\n', 'here'), /no heading/)
    assert.throws(() => parseTable('## here\n', 'here'), /no table/)
  })
})
