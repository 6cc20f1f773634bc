import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { it } from 'node:test'
import { renderedPage } from '../../bench/table.ts'

it('the page of figures has those that were measured, and no others', async () => {
  const page = await readFile(new URL('../../docs/performance.md', import.meta.url), 'utf8')
  assert.equal(page, await renderedPage(), 'run `node bench/table.ts`')
})
