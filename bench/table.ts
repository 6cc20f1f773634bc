/**
 * `node bench/table.ts`: writes the figures of `bench/results.jsonl` into `docs/performance.md`. The file holds what
 * `npm run bench -- … --json` printed, run after run; of several lines of one name the last counts. Of the growth of a
 * store the lines of its last run count, which were measured together.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import type { Result } from './measure.ts'

const resultsFile = new URL('results.jsonl', import.meta.url)
const pageFile = new URL('../docs/performance.md', import.meta.url)
const begin = '<!-- Measured: written by bench/table.ts from bench/results.jsonl. -->'
const end = '<!-- End of what was measured. -->'

type Line = { readonly name: string; readonly run?: string } & Result

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(pageFile, await renderedPage())

/** The page as it should be. */
export async function renderedPage(): Promise<string> {
  const page = readFileSync(pageFile, 'utf8')
  const before = page.slice(0, page.indexOf(begin) + begin.length)
  const after = page.slice(page.indexOf(end))
  const tables = tablesOf(linesOf(readFileSync(resultsFile, 'utf8')))
  const path = fileURLToPath(pageFile)
  const style = await resolveConfig(path)
  return await format(`${before}\n\n${tables}\n${after}`, { ...style, filepath: path })
}

/** Other lines, such as those of npm, are no results. */
function linesOf(text: string): readonly Line[] {
  const lines = text.split('\n').filter((line) => line.startsWith('{'))
  const results = lines.map((line) => JSON.parse(line) as Line)
  return [...new Map(results.map((result) => [result.name, result])).values()]
}

function tablesOf(lines: readonly Line[]): string {
  const whole = lines.filter(({ name }) => !name.includes(' '))
  const stores = ['store-read', 'store-save', 'store-list'].map((group) => groupOf(lines, group))
  const doors = ['express', 'express-redis', 'express-write', 'fastify'].map((group) => groupOf(lines, group))
  const sessions = groupOf(lines, 'session-bytes').found
  const parts = [
    part(
      'What the library and the service add',
      ['what', 'ours', 'theirs', 'ratio'],
      whole.map(compared),
      whole,
    ),
    ...stores.map(({ group, found }) => {
      return part(`\`${group}\``, ['store', 'ours', 'raw client', 'ratio'], found.map(compared), found)
    }),
    ...doors.map(({ group, found }) => {
      return part(`\`${group}\``, ['sessions', 'ours', 'theirs', 'ratio'], found.map(compared), found)
    }),
    growthOf(groupOf(lines, 'store-growth').found),
    sweepOf(groupOf(lines, 'sweep').found),
    lagOf(groupOf(lines, 'revocation-lag').found),
    bytesOf(groupOf(lines, 'bytes').found),
    part(
      '`session-bytes`',
      ['live sessions', 'measured'],
      sessions.map(({ name, ours, unit }) => [columnTitle(name), `${figure(ours)} ${unit}`]),
      sessions,
    ),
  ]
  return parts.filter((each) => each !== '').join('\n')
}

interface Group {
  readonly group: string
  /** Without the group in their names. */
  readonly found: readonly Line[]
}

function groupOf(lines: readonly Line[], group: string): Group {
  const found = lines.filter(({ name }) => name.startsWith(`${group} `))
  return { group, found: found.map((line) => ({ ...line, name: line.name.slice(group.length + 1) })) }
}

function compared({ name, ours, theirs, ratio, unit }: Line): readonly string[] {
  return [name, `${figure(ours)} ${unit}`, theirs === null ? '' : figure(theirs), shownRatio(ratio)]
}

/** A table with, below it, how its rows were made. */
function part(
  title: string,
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  notes: readonly Line[],
): string {
  if (rows.length === 0) return ''
  const said = notes.map(({ name, note }) => `- ${name}: ${note}.\n`).join('')
  return `### ${title}\n\n${tableOf(heading, rows)}\n${said}`
}

/** Operations down, sizes across: a ratio of 0.5 is half as fast as in the smallest store. */
function growthOf(lines: readonly Line[]): string {
  if (lines.length === 0) return ''
  const all = lines.flatMap((line) => {
    const parts = /^(\S+) ((?:user of )?\d+(?:\/\d+)?) (.+)$/.exec(line.name)
    const [, store = '', column = '', operation = ''] = parts ?? []
    return operation === '' ? [] : [{ line, store, column, operation }]
  })
  const lastRun = (of: string): string =>
    all.reduce((last, { store, line: { run = '' } }) => (store === of && run > last ? run : last), '')
  const cells = all.filter(({ store, line: { run = '' } }) => run === lastRun(store))
  const stores = [...new Set(cells.map(({ store }) => store))]
  const tables = stores.map((store) => {
    const ofStore = cells.filter((cell) => cell.store === store)
    const columns = [...new Set(ofStore.map(({ column }) => column))]
    const operations = [...new Set(ofStore.map(({ operation }) => operation))]
    const rows = operations.map((operation) => [
      operation,
      ...columns.map((column) => {
        const found = ofStore.find((cell) => cell.column === column && cell.operation === operation)
        return shownRatio(found?.line.ratio ?? null)
      }),
    ])
    const notes = [...new Set(ofStore.map(({ line }) => line.note))].map((note) => `- ${note}.\n`).join('')
    return `${tableOf([store, ...columns.map(columnTitle)], rows)}\n${notes}`
  })
  return `### \`store-growth\`\n\n${tables.join('\n')}`
}

function columnTitle(column: string): string {
  return column.replace('/', ' against ').replace(/\d+/g, (count) => Number(count).toLocaleString('en'))
}

function sweepOf(lines: readonly Line[]): string {
  const rows = lines.map(({ name, ours, theirs, unit }) => [
    name,
    `${figure(ours)} ${unit}`,
    theirs === null ? '' : `${figure(theirs)} when idle`,
  ])
  return part('`sweep`', ['what', 'measured', 'beside'], rows, lines)
}

/** Stores down, figures across: each store's figures are of the same revocations. */
function lagOf(lines: readonly Line[]): string {
  const cells = lines.map((line) => {
    const [store = '', ...figure] = line.name.split(' ')
    return { line, store, column: figure.join(' ') }
  })
  const columns = [...new Set(cells.map(({ column }) => column))]
  const stores = [...new Set(cells.map(({ store }) => store))]
  const rows = stores.map((store) => [
    store,
    ...columns.map((column) => {
      const found = cells.find((cell) => cell.store === store && cell.column === column)
      return found ? `${figure(found.line.ours)} ${found.line.unit}` : ''
    }),
  ])
  const notes = stores.flatMap((store) => {
    const found = cells.find((cell) => cell.store === store)
    return found ? [{ ...found.line, name: store }] : []
  })
  return part('`revocation-lag`', ['store', ...columns], rows, notes)
}

/** What was measured beside what the memory itself counts. */
function bytesOf(lines: readonly Line[]): string {
  const rows = lines.map(({ name, ours, theirs, unit, ratio }) => [
    columnTitle(name),
    `${figure(ours)} ${unit}`,
    theirs === null ? '' : figure(theirs),
    shownRatio(ratio),
  ])
  const notes = [...new Set(lines.map(({ note }) => note))].map((note) => `- ${note}.\n`).join('')
  const heading = ['what', 'measured', 'estimated', 'estimate : measured']
  return rows.length === 0 ? '' : `### \`bytes\`\n\n${tableOf(heading, rows)}\n${notes}`
}

function tableOf(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heading, heading.map(() => '---'), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function figure(value: number): string {
  return Math.abs(value) < 100 ? value.toPrecision(2) : Math.round(value).toLocaleString('en')
}

function shownRatio(ratio: number | null): string {
  return ratio === null ? '' : ratio.toFixed(2)
}
