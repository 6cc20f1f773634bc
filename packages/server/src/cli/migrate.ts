/** `holdfast store migrate`: brings the tables of an SQL server up to date, or prints how. */

import { type Command, InvalidArgumentError } from 'commander'
import { ClientMissing } from 'holdfast'
import { addSettings } from './command.ts'
import { storeUrl } from './store-url.ts'
import { json, type Terminal } from './terminal.ts'
import { examples } from './tokens.ts'

/** What can be done to the tables of one kind of server. */
interface Tables {
  /** The statements of the steps after the first `after`; empty when there are none. */
  readonly script: (after: number) => string
  /** Takes the steps that are missing. */
  readonly migrate: (url: string) => Promise<Migrated>
}

interface Migrated {
  readonly from: number
  readonly to: number
  readonly applied: readonly string[]
}

interface Flags {
  readonly print?: boolean
  readonly after: number
  readonly json?: boolean
}

/** By the schemes of their URLs. */
const kinds: Readonly<Record<string, () => Promise<Tables>>> = {
  postgres: postgresTables,
  postgresql: postgresTables,
  mysql: mysqlTables,
  mariadb: mysqlTables,
}

/** Adds the command. */
export function addMigrate(parent: Command, terminal: Terminal): void {
  const command = parent
    .command('migrate')
    .description('bring the tables of a store over PostgreSQL, MySQL or MariaDB up to date, or print how')
    .argument('<url>', 'the URL of the store; env:NAME takes it from a variable')
    .option('--print', 'print the statements, for who has the rights; connects to nothing')
    .option('--after <step>', 'with --print: leave out the steps up to this one', step, 0)
    .option('--json', 'print JSON')
    .action(async (argument: string, flags: Flags) => {
      const url = storeUrl(argument, terminal)
      const scheme = /^([a-z][a-z0-9+.-]*):/.exec(url)?.[1] ?? ''
      const tables = Object.hasOwn(kinds, scheme) ? await kinds[scheme]?.() : undefined
      terminal.output.write(await done(url, tables, flags))
    })
  examples(addSettings(command, []), [
    ['holdfast store migrate postgres://owner@localhost/app', 'as a user who may change tables'],
    [
      'holdfast store migrate mysql://localhost/app --print | mysql app',
      'by other means than a connection of ours',
    ],
    [
      'holdfast store migrate postgres://localhost/app --print --after 1',
      'of a store that has taken one step',
    ],
  ])
}

async function done(url: string, tables: Tables | undefined, flags: Flags): Promise<string> {
  if (flags.print) {
    const statements = tables?.script(flags.after) ?? ''
    if (flags.json) return json({ statements })
    return statements === '' ? '-- nothing to migrate\n' : statements
  }
  const migrated = await tables?.migrate(url)
  if (flags.json) return json(migrated ?? { from: 0, to: 0, applied: [] })
  if (!migrated) {
    return (
      'nothing to migrate: only stores over PostgreSQL, MySQL and MariaDB have tables that rights are needed for; ' +
      'every other kind is made and brought up to date by opening it\n'
    )
  }
  const { from, to, applied } = migrated
  if (applied.length === 0) return `up to date: all ${to} steps were taken before\n`
  return applied.map((title, i) => `step ${from + i + 1}: ${title}\n`).join('')
}

async function postgresTables(): Promise<Tables> {
  const { migratePostgres, postgresScript } = await import('holdfast/postgres')
  return { script: postgresScript, migrate: (url) => migratePostgres(url, () => client('pg', 'pg')) }
}

async function mysqlTables(): Promise<Tables> {
  const { migrateMysql, mysqlScript } = await import('holdfast/mysql')
  return {
    script: mysqlScript,
    migrate: (url) => migrateMysql(url, () => client('mysql2/promise', 'mysql2')),
  }
}

/** Loads a client library, which is the user's to install. */
async function client(module: string, name: string): Promise<unknown> {
  try {
    return await import(module)
  } catch (cause) {
    throw new ClientMissing(`this store needs the package ${name}: npm install ${name}`, { cause })
  }
}

function step(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It has to be a whole number of steps.')
}
