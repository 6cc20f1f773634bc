/**
 * Checks imports against the tables in `packages/holdfast/src/README.md`. Modules are named by their path below the
 * package's `src`, without an extension: `store/guard`.
 */
import { posix } from 'node:path'
import ts from 'typescript'

/** One row of a table: what files of a name may import. */
export interface Row {
  readonly of: string
  readonly mayImport: readonly string[]
}

export interface Package {
  readonly rows: readonly Row[]
  /** The source of each module, by its name. */
  readonly modules: ReadonlyMap<string, string>
  /** The exports map of `holdfast`: what may be imported by name, such as `holdfast/redis`. */
  readonly publicEntries: ReadonlySet<string>
}

/** Reads the table below a heading. Only names in backticks count; the other words are for people. */
export function parseTable(page: string, heading: string): readonly Row[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`There is no heading ${heading}`)
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  const rows = lines.slice(2).flatMap((line) => {
    const [, of = '', mayImport = ''] = line.split('|')
    return namesIn(of).map((name) => ({ of: name, mayImport: namesIn(mayImport) }))
  })
  if (rows.length === 0) throw new Error(`There is no table below ${heading}`)
  return rows
}

function namesIn(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
}

/** Everything that is wrong with the imports of a package, one sentence each. */
export function checkImports(checked: Package): readonly string[] {
  const faults: string[] = []
  const graph = new Map<string, Set<string>>()
  for (const [module, source] of checked.modules) {
    for (const specifier of importsOf(source)) {
      const target = targetOf(module, specifier)
      if (!isAllowed(checked, module, target)) faults.push(`${module} may not import ${target}`)
      const [from, to] = [kinOf(checked.rows, module), kinOf(checked.rows, target)]
      if (isOurs(target) && from !== to) graph.set(from, (graph.get(from) ?? new Set()).add(to))
    }
    if (posix.basename(module) === 'index' && !exportsOnly(source))
      faults.push(`${module} does more than export`)
  }
  const cycle = findCycle(graph)
  if (cycle) faults.push(`imports run in a circle: ${cycle.join(' → ')}`)
  return faults
}

/**
 * Every module that a source names: imports and exports, types too, dynamic imports, and files beside it that it
 * gives to a worker. A name that is computed could be any package, and is given as `*`.
 */
export function importsOf(source: string): readonly string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    found.push(...namedBy(node))
    ts.forEachChild(node, visit)
  }
  visit(parse(source))
  return found
}

function namedBy(node: ts.Node): readonly string[] {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return literals(node.moduleSpecifier)
  if (ts.isImportTypeNode(node)) return literals(node.argument)
  if (ts.isExternalModuleReference(node)) return literals(node.expression)
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [name] = node.arguments
    return name && ts.isStringLiteralLike(name) ? [name.text] : ['*']
  }
  if (ts.isNewExpression(node) && node.expression.getText() === 'URL' && isBesideThisFile(node)) {
    return literals(node.arguments?.[0]).filter((name) => /^\.{1,2}\/.*\.(ts|js)$/.test(name))
  }
  return []
}

function isBesideThisFile(node: ts.NewExpression): boolean {
  return node.arguments?.[1]?.getText() === 'import.meta.url'
}

function literals(node: ts.Node | undefined): readonly string[] {
  if (node === undefined) return []
  if (ts.isStringLiteralLike(node)) return [node.text]
  const found: string[] = []
  ts.forEachChild(node, (child) => void found.push(...literals(child)))
  return found
}

function exportsOnly(source: string): boolean {
  return parse(source).statements.every((statement) => ts.isExportDeclaration(statement))
}

function parse(source: string): ts.SourceFile {
  return ts.createSourceFile('module.ts', source, ts.ScriptTarget.Latest, true)
}

/** `errors`, `node:crypto`, `npm:redis`, `holdfast/redis`; `../errors` for what lies outside the package. */
function targetOf(module: string, specifier: string): string {
  if (specifier.startsWith('.')) {
    return posix.normalize(posix.join(posix.dirname(module), specifier)).replace(/\.(ts|js)$/, '')
  }
  if (specifier.startsWith('node:') || specifier === 'holdfast' || specifier.startsWith('holdfast/'))
    return specifier
  return `npm:${specifier}`
}

function isOurs(target: string): boolean {
  return !target.includes(':') && target !== 'holdfast' && !target.startsWith('holdfast/')
}

function isAllowed({ rows, modules, publicEntries }: Package, module: string, target: string): boolean {
  const kin = kinOf(rows, module)
  if (isOurs(target) && !modules.has(target)) return false
  if (isOurs(target) && kin === kinOf(rows, target)) return true
  if (target.startsWith('holdfast') && !isOurs(target) && !publicEntries.has(target)) return false
  return rows
    .filter(({ of }) => matchOf(of, module) !== undefined)
    .some(({ mayImport }) => mayImport.some((name) => allows(name, target)))
}

function allows(name: string, target: string): boolean {
  if (name.endsWith(':*')) return target.startsWith(name.slice(0, -1))
  if (name === 'holdfast') return target === name || target.startsWith('holdfast/')
  if (!isOurs(name) || !isOurs(target)) return name === target
  return matchOf(name, target) !== undefined
}

/** Files are kin that the same most particular row speaks of: a folder, or one driver with its folder. */
function kinOf(rows: readonly Row[], module: string): string {
  const matches = rows.map(({ of }) => matchOf(of, module)).filter((match) => match !== undefined)
  return matches.reduce((best, match) => (match.length > best.length ? match : best), '')
}

/** The part of a module's name that a name out of a table stands for. */
function matchOf(name: string, module: string): string | undefined {
  const escaped = name.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]+')
  const pattern = name.endsWith('/') ? `^${escaped}(?=.)` : `^${escaped}(?=/|$)`
  return new RegExp(pattern).exec(module)?.[0]
}

function findCycle(graph: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] | undefined {
  const done = new Set<string>()
  const search = (name: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
    if (done.has(name)) return undefined
    for (const next of graph.get(name) ?? []) {
      const cycle = search(next, [...path, name])
      if (cycle) return cycle
    }
    done.add(name)
    return undefined
  }
  for (const name of graph.keys()) {
    const cycle = search(name, [])
    if (cycle) return cycle
  }
  return undefined
}
