import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mysql, postgres } from '../../../packages/holdfast/src/drivers/sql/dialect.ts'
import { type Migration, script } from '../../../packages/holdfast/src/drivers/sql/migrations.ts'
import { isBehind } from '../../../packages/holdfast/src/drivers/sql/schema.ts'
import { ordered, statement } from '../../../packages/holdfast/src/drivers/sql/statement.ts'

const source = `select :a::text, b from t
  where c = :b and d = :a`

describe('statements', () => {
  it('have the placeholders of their dialect', () => {
    const numbered = statement(postgres, source)
    assert.equal(numbered.text, 'select $1::text, b from t where c = $2 and d = $1')
    assert.deepEqual(ordered(numbered, { a: 'x', b: 2, c: 'not used' }), ['x', 2])
    const anonymous = statement(mysql, source)
    assert.equal(anonymous.text, 'select ?::text, b from t where c = ? and d = ?')
    assert.deepEqual(ordered(anonymous, { a: 'x', b: 2 }), ['x', 2, 'x'])
  })

  it('are named by their texts, within what servers allow', () => {
    assert.equal(statement(postgres, 'select  1').name, statement(postgres, 'select 1').name)
    assert.notEqual(statement(postgres, 'select 1').name, statement(postgres, 'select 2').name)
    assert.ok(statement(postgres, source).name.length < 64)
  })

  it('refuse to run without a value', () => {
    assert.throws(() => ordered(statement(postgres, 'select :a'), {}), TypeError)
  })
})

describe('migrations', () => {
  const steps: readonly Migration[] = [
    { number: 1, title: 'first', needs: 1, statements: ['create table a (b int)'] },
    { number: 2, title: 'added', needs: 1, statements: ['create index c on a (b)'] },
    { number: 3, title: 'broken', needs: 3, statements: ['drop table a', 'create table d (e int)'] },
  ]

  it('are printed from where a store stands', () => {
    const all = script(postgres, steps)
    assert.match(all, /^create table if not exists holdfast_schema/)
    assert.match(all, /values \(1, 1\);\n-- 2: added\ncreate index c on a \(b\);\ninsert/)
    assert.match(all, /-- 3: broken \(stop older releases first\)\ndrop table a;\ncreate table d/)
    assert.equal(script(postgres, steps, 2), all.slice(all.indexOf('-- 3')))
    assert.equal(script(postgres, steps, 3), '')
  })

  it('are due, done, ahead, or too far ahead', () => {
    const known = steps.slice(0, 2)
    assert.equal(isBehind({ step: 0, needs: 0 }, known, 'It'), true)
    assert.equal(isBehind({ step: 1, needs: 1 }, known, 'It'), true)
    assert.equal(isBehind({ step: 2, needs: 1 }, known, 'It'), false)
    assert.equal(isBehind({ step: 9, needs: 2 }, known, 'It'), false)
    assert.throws(() => isBehind({ step: 3, needs: 3 }, known, 'It'), /newer Holdfast/)
  })
})
