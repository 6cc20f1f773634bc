/**
 * The page that says which test covers which row of the behaviours that Holdfast promises. A test names its rows in
 * its title: `it('does not resurrect a destroyed session [D29 D44]')`; a schedule of a race as `[races: A1]`.
 */
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import ts from 'typescript'
import { root } from './root.ts'

/** Where the behaviours come from: the letter of their rows, and how many there are. */
const systems = [
  { letter: 'K', name: "Keystone's token persistence", rows: 72 },
  { letter: 'D', name: "Django's sessions", rows: 60 },
  { letter: 'G', name: "Gafaelfawr's token cache", rows: 46 },
  { letter: 'C', name: "Keycloak's offline sessions", rows: 50 },
  { letter: 'T', name: 'The Tornado sessions module', rows: 26 },
] as const

/** Tests, and the suites that are published for other people's drivers. */
const places = ['test/**/*.test.ts', 'packages/holdfast/src/testing/**/*.ts']

const testFunctions = new Set(['test', 'it', 'itWith', 'itSweeping', 'describe', 'suite'])

/** Names of rows (`D29`) and of races (`races: A1`), each with the files whose tests name it. */
export type Coverage = ReadonlyMap<string, readonly string[]>

export const pagePath = join(root, 'docs/behaviours.md')

export async function readCoverage(): Promise<Coverage> {
  const coverage = new Map<string, Set<string>>()
  for await (const found of glob(places, { cwd: root })) {
    const file = found.replaceAll('\\', '/')
    for (const row of rowsIn(await readFile(join(root, file), 'utf8'))) {
      coverage.set(row, (coverage.get(row) ?? new Set()).add(file))
    }
  }
  return new Map([...coverage].map(([row, files]) => [row, [...files].sort()]))
}

/** The rows that the titles of a file's tests name. */
export function rowsIn(source: string): ReadonlySet<string> {
  const rows = new Set<string>()
  const visit = (node: ts.Node): void => {
    for (const row of ts.isCallExpression(node) && isTest(node.expression) ? rowsInTitle(node) : [])
      rows.add(row)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('test.ts', source, ts.ScriptTarget.Latest))
  return rows
}

/** `it`, `stage.it`, `describe.skip`. */
function isTest(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) return testFunctions.has(callee.text)
  if (!ts.isPropertyAccessExpression(callee)) return false
  return testFunctions.has(callee.name.text) || isTest(callee.expression)
}

/** The title comes first; with `itWith` the capability that the test needs stands before it. */
function rowsInTitle(call: ts.CallExpression): readonly string[] {
  return call.arguments.slice(0, 2).flatMap(rowsInText)
}

function rowsInText(title: ts.Expression): readonly string[] {
  const pieces = ts.isTemplateExpression(title)
    ? [title.head.text, ...title.templateSpans.map((span) => span.literal.text)]
    : [ts.isStringLiteralLike(title) ? title.text : '']
  return pieces.flatMap((piece) =>
    [...piece.matchAll(/\[([^\]]*)\]/g)].flatMap(([, group = '']) => rowsInGroup(group)),
  )
}

function rowsInGroup(group: string): readonly string[] {
  const races = /^races: (.+)$/.exec(group)
  const names = (races?.[1] ?? group).split(/[ ,]+/)
  if (!names.every((name) => /^[A-Z]\d+$/.test(name))) return []
  return races ? names.map((name) => `races: ${name}`) : names
}

/** Rows that tests name although there are no such rows. */
export function unknownRows(coverage: Coverage): readonly string[] {
  const known = new Set(systems.flatMap(namesOf))
  return [...coverage.keys()].filter((row) => !row.startsWith('races: ') && !known.has(row))
}

export function renderPage(coverage: Coverage): string {
  const races = [...coverage.keys()].filter((row) => row.startsWith('races: ')).sort(inNaturalOrder)
  const sections = systems.map((system) => {
    const names = namesOf(system)
    const covered = names.filter((name) => coverage.has(name)).length
    return [`## ${system.name}: ${covered} of ${system.rows}`, ...tableOf(names, coverage)].join('\n')
  })
  return [
    '# Behaviours',
    [
      'Which test covers which of the behaviours that Holdfast took over from the systems it follows. A test names the',
      'rows that it covers at the end of its title. `npm run rows` writes this page out of the titles, and a test',
      'fails when the two differ. A row without a test is not covered yet.',
    ].join('\n'),
    ...sections,
    ['## Schedules of races', ...tableOf(races, coverage)].join('\n'),
  ]
    .join('\n\n')
    .concat('\n')
}

function namesOf({ letter, rows }: (typeof systems)[number]): readonly string[] {
  return Array.from({ length: rows }, (_, index) => `${letter}${index + 1}`)
}

function tableOf(names: readonly string[], coverage: Coverage): readonly string[] {
  const rows = names.map((name) => {
    const links = (coverage.get(name) ?? []).map((file) => `[${shorten(file)}](../${file})`)
    return `| ${name.replace('races: ', '')} | ${links.join(', ')} |`
  })
  return ['', '| row | tests |', '| --- | --- |', ...rows]
}

function shorten(file: string): string {
  return file
    .replace('packages/holdfast/src/', '')
    .replace(/^test\//, '')
    .replace(/(\.test)?\.ts$/, '')
}

function inNaturalOrder(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}
