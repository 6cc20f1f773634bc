/** The runner of the tests, run over tests that fail when they are told to. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Standstills } from '../../scripts/standstills.ts'
import type { SuiteOptions, SuiteResult } from '../../scripts/suite.ts'
import { until } from '../until.ts'

const [suite, tidy] = ['suite', 'tidy'].map(
  (name) => new URL(`../../scripts/${name}.ts`, import.meta.url).href,
)
const isWindows = process.platform === 'win32' && 'there is no SIGSTOP'

describe('a test that fails', () => {
  it(
    'while the machine stands still is run again, and counts as it ends then',
    { skip: isWindows },
    async (t) => {
      const { runs, stop, go, result } = await started(t, 'fails once')
      await stop()
      await go()
      const { passed, failed, repeated, succeeded } = await result
      assert.deepEqual({ passed, failed, succeeded }, { passed: 2, failed: [], succeeded: true })
      assert.deepEqual(
        repeated.map(({ title, reason }) => [title, reason]),
        [['is told to', 'it was told to']],
      )
      assert.equal(await runs(), 2)
    },
  )

  it('again fails', { skip: isWindows }, async (t) => {
    const { runs, stop, go, result } = await started(t, 'fails always')
    await stop()
    await go()
    const { passed, failed, repeated, succeeded } = await result
    assert.deepEqual([passed, failed.length, repeated.length, succeeded], [1, 1, 1, false])
    assert.equal(await runs(), 2)
  })

  it('on a machine that goes on fails, and is not run again', async (t) => {
    const standstills = new Standstills()
    const { runs, go, result } = await started(t, 'fails once')
    await go()
    const { failed, repeated, succeeded } = await result
    if (standstills.end().length > 0) {
      t.skip('this machine stood still meanwhile')
      return
    }
    assert.deepEqual([failed.length, repeated, succeeded], [1, [], false])
    assert.equal(await runs(), 1)
  })

  for (const how of ['fails once', 'fails always'] as const) {
    it(`and ${how} is run again where all that fails is`, async (t) => {
      const { runs, go, result } = await started(t, how, { repeats: 'failed' })
      await go()
      const { failed, repeated, succeeded } = await result
      const still = how === 'fails always'
      assert.deepEqual([failed.length, repeated.length, succeeded], [still ? 1 : 0, 1, !still])
      assert.equal(await runs(), 2)
    })
  }
})

/** A run of one file with two tests, the second of which waits for `go`. */
async function started(
  t: TestContext,
  how: 'fails once' | 'fails always',
  settings: Pick<SuiteOptions, 'repeats'> = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-suite-'))
  t.after(() => rm(folder, { recursive: true }))
  const [file, log, gate] = [join(folder, 'told.test.js'), join(folder, 'log'), join(folder, 'gate')]
  await writeFile(
    file,
    `const { appendFileSync, existsSync, readFileSync } = require('node:fs')
    const { test } = require('node:test')
    test('is well', () => {})
    test('is told to', async () => {
      appendFileSync(${JSON.stringify(log)}, '.')
      while (!existsSync(${JSON.stringify(gate)})) await new Promise((resolve) => setTimeout(resolve, 20))
      if (${how === 'fails always'} || readFileSync(${JSON.stringify(log)}, 'utf8') === '.') throw new Error('it was told to')
    })`,
  )
  const options = JSON.stringify({
    node: process.execPath,
    files: [file],
    quiet: true,
    patience: 60_000,
    ...settings,
  })
  // `node --test` doesn't run below itself.
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env
  const script = `import { runSuite } from ${JSON.stringify(suite)}
    import { tidyUp } from ${JSON.stringify(tidy)}
    console.log('\\n' + JSON.stringify(await runSuite(${options})))
    await tidyUp()`
  const runner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => runner.kill('SIGKILL'))
  let out = ''
  runner.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  const result = once(runner, 'close').then(() => JSON.parse(out.trim().split('\n').at(-1)!) as SuiteResult)
  const runs = async () => (await readFile(log, 'utf8')).length
  await until('the test runs', async () => (await access(log), true))
  return {
    runs,
    result,
    /** Lets the runner see of the next seconds what it would see of a machine that stands still. */
    stop: async () => {
      runner.kill('SIGSTOP')
      await delay(4_500)
      runner.kill('SIGCONT')
    },
    go: () => appendFile(gate, ''),
  }
}
