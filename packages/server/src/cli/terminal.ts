/** What a command talks to: the streams and surroundings of its process, or a test's. */

import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Misused } from './failure.ts'

/** Where a command reads and writes. */
export interface Terminal {
  readonly input: Readable
  readonly output: { write(text: string): unknown; readonly isTTY?: boolean }
  readonly errors: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly folder: string
}

/** The process's own. */
export function processTerminal(): Terminal {
  return {
    input: process.stdin,
    output: process.stdout,
    errors: process.stderr,
    environment: process.env,
    folder: process.cwd(),
  }
}

/** Takes `-` to mean standard input, so that a secret need not be in the process list or the shell's history. */
export async function argumentOrInput(argument: string, { input }: Terminal): Promise<string> {
  if (argument !== '-') return argument
  const given = (await text(input)).trim()
  if (given === '') throw new Misused('nothing came through standard input, where - asks for it')
  return given
}

/** Columns for people. Ends each line without trailing spaces. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows].map((cells) => cells.map(printable))
  const widths = headings.map((_, column) => Math.max(...lines.map((cells) => (cells[column] ?? '').length)))
  return lines
    .map(
      (cells) =>
        `${cells
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Names and values, one pair a line. */
export function pairs(values: Readonly<Record<string, unknown>>): string {
  const width = Math.max(...Object.keys(values).map((name) => name.length))
  return Object.entries(values)
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(shown(value))}\n`)
    .join('')
}

/** One JSON document. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** A value in a cell. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(shown).join(' ')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** What users are called is other people's text: it must not move the cursor or colour the terminal. */
function printable(cell: string): string {
  return cell.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}
