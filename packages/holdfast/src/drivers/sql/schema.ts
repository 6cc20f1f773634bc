/** Whether the tables are what this release works on, and bringing them there. */

import { StoreMisconfigured } from '../../errors.ts'
import type { Session } from './database.ts'
import type { Dialect } from './dialect.ts'
import { type Migration, noted, schemaTable } from './migrations.ts'
import { isMissing, numberOf } from './rows.ts'
import { statement } from './statement.ts'

/** What a store has taken. */
export interface Taken {
  /** The number of its last step; 0 when it has none. */
  readonly step: number
  /** How many steps a release must know to work on it. */
  readonly needs: number
}

/** What a migration did. */
export interface Migrated {
  /** The number of steps before and after. */
  readonly from: number
  readonly to: number
  /** The titles of what was applied. */
  readonly applied: readonly string[]
}

const none: Taken = { step: 0, needs: 0 }

/** Whether the store has to be migrated before this release can work on it. @throws {StoreMisconfigured} */
export function isBehind(taken: Taken, migrations: readonly Migration[], product: string): boolean {
  if (taken.step < migrations.length) return true
  if (taken.needs <= migrations.length) return false
  throw new StoreMisconfigured(
    `the tables in ${product} were changed by a newer Holdfast in a way that this release cannot work with: they have ` +
      `taken step ${taken.step}, which needs a release that knows ${taken.needs} steps; this one knows ` +
      `${migrations.length}. Update holdfast in this process`,
  )
}

/** What the store has taken; the caller has made sure that the table is there. */
export async function takenBy(session: Session, dialect: Dialect): Promise<Taken> {
  const { rows } = await session.run(
    statement(dialect, 'select max(step) as step, max(needs) as needs from holdfast_schema'),
    {},
  )
  const [row] = rows
  if (!row || isMissing(row['step'])) return none
  return { step: numberOf(row['step']), needs: numberOf(row['needs']) }
}

/**
 * Takes the steps that are missing. To be called by one process at a time: under a lock that the dialect's driver
 * holds.
 */
export async function migrate(
  session: Session,
  dialect: Dialect,
  migrations: readonly Migration[],
): Promise<Migrated> {
  const run = (text: string): Promise<unknown> => session.run(statement(dialect, text), {})
  await run(schemaTable(dialect))
  const taken = await takenBy(session, dialect)
  if (!isBehind(taken, migrations, dialect.product)) return { from: taken.step, to: taken.step, applied: [] }
  const missing = migrations.slice(taken.step)
  for (const each of missing) {
    for (const text of each.statements) await run(text)
    await run(noted(each))
  }
  return { from: taken.step, to: migrations.length, applied: missing.map(({ title }) => title) }
}

/** The refusal to work on a store that has to be migrated first. */
export function notMigrated(
  taken: Taken,
  migrations: readonly Migration[],
  why: string,
  cause?: unknown,
): Error {
  const have =
    taken.step === 0 ? 'has no tables of Holdfast' : `has taken ${taken.step} of ${migrations.length} steps`
  return new StoreMisconfigured(
    `the database ${have} and ${why}. Run "holdfast store migrate URL" as a user who may change tables, or hand the ` +
      'output of "holdfast store migrate URL --print" to somebody who may',
    { cause },
  )
}
