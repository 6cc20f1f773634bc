import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mysqlMigrations, mysqlScript } from 'holdfast/mysql'
import { postgresScript } from 'holdfast/postgres'
import { freshDatabase, mysql2, poolFor, sql, targets } from '../drivers/mysql/targets.ts'
import { inTerminal } from './in-terminal.ts'
import { folderFor } from './running.ts'

const [mariadb] = targets

describe('holdfast store migrate', () => {
  it('says that other stores have nothing to be migrated', async (t) => {
    const folder = await folderFor(t)
    for (const url of ['memory:', 'sqlite:new.db', 'redis://localhost']) {
      const { code, out, err } = await inTerminal(['store', 'migrate', url], { folder })
      assert.deepEqual([code, err], [0, ''])
      assert.match(out, /^nothing to migrate: only stores over PostgreSQL, MySQL and MariaDB/)
    }
    const printed = await inTerminal(['store', 'migrate', 'memory:', '--print'], { folder })
    assert.equal(printed.out, '-- nothing to migrate\n')
  })

  it('prints the statements without connecting, all or those after a step', async (t) => {
    const folder = await folderFor(t)
    const print = async (url: string, ...more: readonly string[]): Promise<string> =>
      (await inTerminal(['store', 'migrate', url, '--print', ...more], { folder })).out
    assert.equal(await print('mysql://nowhere.invalid/app'), mysqlScript())
    assert.equal(await print('postgres://nowhere.invalid/app'), postgresScript())
    assert.equal(await print('postgresql://nowhere.invalid/app', '--after', '1'), postgresScript(1))
    const last = String(mysqlMigrations.length)
    assert.equal(await print('mariadb://nowhere.invalid/app', '--after', last), '-- nothing to migrate\n')
    const document = JSON.parse(await print('mariadb://nowhere.invalid/app', '--json')) as unknown
    assert.deepEqual(document, { statements: mysqlScript() })
  })

  it('refuses a step that is none, and fails where nobody is there, never showing the password', async (t) => {
    const folder = await folderFor(t)
    const wrong = await inTerminal(['store', 'migrate', 'mysql://h/a', '--print', '--after', 'x'], { folder })
    assert.equal(wrong.code, 2)
    for (const scheme of ['mysql', 'postgres']) {
      const away = `${scheme}://me:hidden@127.0.0.1:1/app`
      const { code, err } = await inTerminal(['store', 'migrate', away], { folder })
      assert.equal(code, 69, err)
      assert.doesNotMatch(err, /hidden/)
    }
  })

  it('takes the steps that are missing, once', { skip: mariadb?.skip ?? 'no target' }, async (t) => {
    const folder = await folderFor(t)
    const url = await freshDatabase(t, mariadb?.url ?? '')
    const first = await inTerminal(['store', 'migrate', url], { folder })
    assert.deepEqual([first.code, first.err], [0, ''])
    assert.match(first.out, /^step 1: records, and the finder of their labels\n/)
    assert.equal((await sql(poolFor(t, mysql2, url), 'select * from holdfast_records')).length, 0)
    const again = await inTerminal(['store', 'migrate', url], { folder })
    assert.match(again.out, /^up to date: all \d+ steps were taken before\n$/)
    const document = JSON.parse(
      (await inTerminal(['store', 'migrate', url, '--json'], { folder })).out,
    ) as unknown
    assert.deepEqual(document, { from: mysqlMigrations.length, to: mysqlMigrations.length, applied: [] })
  })
})
