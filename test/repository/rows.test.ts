import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { pagePath, readCoverage, renderPage, rowsIn, unknownRows } from '../../scripts/behaviours.ts'

describe('the page of behaviours', () => {
  it('is in step with the titles of the tests', async () => {
    const page = await readFile(pagePath, 'utf8')
    assert.equal(page, renderPage(await readCoverage()), 'run `npm run rows`')
  })

  it('knows every row that a test names', async () => {
    assert.deepEqual(unknownRows(await readCoverage()), [])
  })
})

describe('the rows of a test', () => {
  it('are found in the titles of tests and of groups of tests', () => {
    const source = `
      describe('destroying [D29]', () => {
        it('does not resurrect a destroyed session [D44 T26]', async () => {})
        stage.it('answers conflict [races: A4 B1]', () => {})
        it.skip(\`runs on \${name} [K1, K2]\`, () => {})
      })`
    assert.deepEqual([...rowsIn(source)], ['D29', 'D44', 'T26', 'races: A4', 'races: B1', 'K1', 'K2'])
  })

  it('are found nowhere else', () => {
    const source = `
      // it('in a comment [D1]')
      log('in a message [D2]')
      it('in a body', () => { assert.equal(a, 'text [D3]') })
      it('in other words [see D4]', () => {})
      it('in lists such as [1, 2] or []', () => {})`
    assert.deepEqual([...rowsIn(source)], [])
  })

  it('are refused where there is no such row', () => {
    const coverage = new Map([
      ['D60', ['test/a.test.ts']],
      ['D61', ['test/a.test.ts']],
      ['X1', ['test/a.test.ts']],
      ['races: A1', ['test/a.test.ts']],
    ])
    assert.deepEqual(unknownRows(coverage), ['D61', 'X1'])
  })

  it('are listed with their tests, and the others without any', () => {
    const page = renderPage(
      new Map([['D2', ['packages/holdfast/src/testing/suite/touch.ts', 'test/a.test.ts']]]),
    )
    assert.match(page, /^## Django's sessions: 1 of 60$/m)
    assert.match(page, /^\| D1 \| {2}\|$/m)
    assert.ok(
      page.includes(
        '| D2 | [testing/suite/touch](../packages/holdfast/src/testing/suite/touch.ts), [a](../test/a.test.ts) |',
      ),
    )
  })
})
