/** A statement is written once for all dialects, with `:names` where values belong. */

import { hash } from 'node:crypto'
import type { Dialect } from './dialect.ts'

/** What can be bound to a name. */
export type SqlValue = string | number | boolean | Uint8Array | null

/** The values of a statement, by name. */
export type SqlValues = Readonly<Record<string, SqlValue>>

/** A statement in the words of one dialect. */
export interface Statement {
  /** Names the text: equal texts have equal names, other texts have others. For servers that keep it prepared. */
  readonly name: string
  readonly text: string
  /** The names of the values, in the order of the placeholders. */
  readonly parameters: readonly string[]
}

const noValues: readonly SqlValue[] = []

/** Makes a statement of a text with `:names`. */
export function statement(dialect: Dialect, source: string): Statement {
  const parameters: string[] = []
  const text = source.replace(/\s+/g, ' ').replace(/(?<![:\w]):([a-zA-Z]\w*)/g, (_, parameter: string) => {
    const known = dialect.numbered ? parameters.indexOf(parameter) + 1 : 0
    return dialect.placeholder(known > 0 ? known : parameters.push(parameter))
  })
  return { name: `holdfast_${hash('sha256', text, 'hex').slice(0, 24)}`, text, parameters }
}

/** The values in the order of the statement's placeholders. */
export function ordered({ text, parameters }: Statement, values: SqlValues): readonly SqlValue[] {
  if (parameters.length === 0) return noValues
  return parameters.map((name) => {
    const value = values[name]
    if (value === undefined) throw new TypeError(`no value for :${name} of ${text}`)
    return value
  })
}

/** Makes statements of a dialect, each text once. */
export class Statements {
  readonly dialect: Dialect
  readonly #made = new Map<string, Statement>()

  constructor(dialect: Dialect) {
    this.dialect = dialect
  }

  of(source: string): Statement {
    let made = this.#made.get(source)
    if (!made) {
      made = statement(this.dialect, source)
      this.#made.set(source, made)
    }
    return made
  }
}
