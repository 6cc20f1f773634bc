/** The mutations must still fit the sources that they change: otherwise nobody would notice that they prove nothing. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { mutations, sourceFolder } from './mutations.ts'

describe('mutations', () => {
  it('have names of their own', () => {
    const names = mutations.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
  })

  for (const { name, edits, test, titles } of mutations) {
    it(`fits: ${name}`, async () => {
      for (const { file, from } of edits) {
        const source = await readFile(new URL(file, sourceFolder), 'utf8')
        assert.equal(source.split(from).length - 1, 1, `${file} holds once: ${from}`)
      }
      const tests = await readFile(new URL(`../../${test}`, import.meta.url), 'utf8')
      for (const title of titles) {
        const text = title.split(' / ').at(-1) ?? title
        assert.ok(tests.includes(text), `${test} has no test ${JSON.stringify(title)}`)
      }
    })
  }
})
