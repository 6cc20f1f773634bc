/** The pages about the doors: their programs are checked by the compiler, their tables against the sources. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import * as refusals from '../../packages/holdfast/src/web/refusal.ts'
import * as holdfast from '../../packages/holdfast/src/index.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const overview = readFileSync(join(root, 'docs/web.md'), 'utf8')
const pages = [
  { name: 'web', text: overview },
  ...readdirSync(join(root, 'docs/web')).map((file) => ({
    name: file.replace('.md', ''),
    text: readFileSync(join(root, 'docs/web', file), 'utf8'),
  })),
]

/** Its way to the doors. */
const migration = { name: 'migration', text: readFileSync(join(root, 'docs/migration.md'), 'utf8') }

/** What the pages use of frameworks that are not installed here, as far as they use it. */
const strangers = `
declare module 'next/headers' {
  interface Cookies {
    get(name: string): { name: string; value: string } | undefined
    set(name: string, value: string, options?: object): this
  }
  export function cookies(): Promise<Cookies>
}
declare module 'next/navigation' {
  export function redirect(url: string): never
}
declare module '@sveltejs/kit' {
  export function redirect(status: number, location: string): never
}
declare namespace App {
  interface Locals {}
}
`

const svelteTypes = `
interface Event { request: Request; locals: App.Locals }
export type PageServerLoad = (event: Event) => object
export type Actions = Record<string, (event: Event) => unknown>
`

/** Every program of the pages, by the path that it would have in a project of its own. */
function programs(): Map<string, string> {
  const found = new Map<string, string>()
  for (const { name, text } of [...pages, migration]) {
    for (const [index, [, source = '']] of [...text.matchAll(/^```ts\n(.*?)^```$/gms)].entries()) {
      const [, path = `snippet-${index}.ts`] = /^\/\/ (\S+\.tsx?)$/m.exec(source) ?? []
      const module = /^(import|export) /m.test(source) ? source : `${source}\nexport {}\n`
      found.set(join(root, 'docs/web', name, path), module)
    }
  }
  found.set(join(root, 'docs/web/strangers.d.ts'), strangers)
  found.set(join(root, 'docs/web/sveltekit/src/routes/$types.ts'), svelteTypes)
  return found
}

/** What the compiler has to say about files that are nowhere but in memory. */
function complaints(files: ReadonlyMap<string, string>): readonly string[] {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2024.d.ts'],
    types: ['node'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    customConditions: ['holdfast-source'],
    allowImportingTsExtensions: true,
    experimentalDecorators: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
    jsx: ts.JsxEmit.Preserve,
  }
  const disk = ts.createCompilerHost(options)
  const host = { ...disk }
  host.fileExists = (path) => files.has(path) || disk.fileExists(path)
  host.directoryExists = (path) =>
    [...files.keys()].some((file) => file.startsWith(`${path}/`)) || disk.directoryExists?.(path) === true
  host.readFile = (path) => files.get(path) ?? disk.readFile(path)
  host.getSourceFile = (path, ...rest) => {
    const text = files.get(path)
    if (text === undefined) return disk.getSourceFile(path, ...rest)
    return ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  return [...files.keys()].flatMap((path) => {
    const source = program.getSourceFile(path)
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    return found.map(({ messageText, start = 0 }) => {
      const line = source ? source.getLineAndCharacterOfPosition(start).line + 1 : 0
      return `${path.slice(root.length)}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
  })
}

/** The names of an interface's properties. */
function properties(file: string, name: string): readonly string[] {
  const source = readFileSync(join(root, 'packages/holdfast/src/web', file), 'utf8')
  const [, body = ''] = new RegExp(`interface ${name} .*?\\{\\n(.*?)\\n\\}`, 's').exec(source) ?? []
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1]!)
}

/** The first column of the table under a head. */
function rows(head: string): readonly string[] {
  const [, table = ''] = new RegExp(`^\\| ${head} .*?\\n(.*?)\\n\\n`, 'ms').exec(overview) ?? []
  return [...table.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1]!)
}

describe('the pages about the doors', () => {
  it('have programs that the compiler takes', () => {
    const files = programs()
    assert.ok(files.size > 20)
    assert.deepEqual(complaints(files), [])
  })

  it('describe every option, and none that is not there', () => {
    assert.deepEqual(rows('option'), [...properties('exchange.ts', 'WebOptions'), 'trustProxy'])
    assert.deepEqual(rows('option of `cookie`'), properties('cookie.ts', 'CookieOptions'))
  })

  it('say of every error with which status it is answered', () => {
    const said = [...overview.matchAll(/^\| (\d{3}) +\| (`HOLDFAST_.*?) +\|/gm)].flatMap(
      ([, status, codes = '']) =>
        [...codes.matchAll(/HOLDFAST_\w+/g)].map(([code]) => [code, Number(status)] as const),
    )
    const answered = Object.values(holdfast).flatMap((exported) => {
      if (typeof exported !== 'function' || !(exported.prototype instanceof holdfast.HoldfastError)) return []
      const made = Reflect.construct(exported, ['message', []]) as holdfast.HoldfastError
      const { status } = refusals.refusal(made)
      return status === 500 ? [] : [[made.code, status] as const]
    })
    assert.deepEqual(said.toSorted(), answered.toSorted())
  })

  it('are one for each door', () => {
    const manifest = readFileSync(join(root, 'packages/holdfast/package.json'), 'utf8')
    for (const { name } of pages.slice(1)) {
      assert.ok(manifest.includes(`"./${name}": {`), `there is no holdfast/${name}`)
      assert.ok(overview.includes(`](web/${name}.md)`), `docs/web.md does not list ${name}`)
    }
    assert.equal(pages.length - 1, [...overview.matchAll(/^\| \[.*?\]\(web\//gm)].length)
  })
})
