import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

/** The programs of a page, as they stand there. */
async function programs(page: string): Promise<readonly string[]> {
  const text = await readFile(new URL(`../../docs/${page}`, import.meta.url), 'utf8')
  return [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, program]) => program!)
}

/** Runs one, without its file and its port. Nothing that it sets up may complain of an error. */
async function ran(program: string): Promise<void> {
  const text = program.replaceAll(/sqlite:\w+\.db/g, 'memory:').replaceAll(/\b3000\)/g, '0)')
  const line = ['--conditions=holdfast-source', '--no-warnings', '--input-type=module', '--eval']
  const whole = `${text.replace('port: 3000', 'port: 0')}\nprocess.exit(0)`
  const { stdout, stderr } = await run(process.execPath, [...line, whole], { cwd: root })
  assert.doesNotMatch(stdout + stderr, /error/i)
}

describe('the programs in the documentation', () => {
  for (const [page, count] of [
    ['express-store.md', 3],
    ['bridges.md', 3],
  ] as const) {
    it(`run as they stand in ${page}`, async () => {
      const found = await programs(page)
      assert.equal(found.length, count)
      for (const program of found) await ran(program)
    })
  }
})
