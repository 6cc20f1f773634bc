/** The page about sessions is one program. It runs, and prints what it says. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { it } from 'node:test'
import { inspect } from 'node:util'

type Program = (load: (name: string) => Promise<unknown>, console: Pick<Console, 'log'>) => Promise<void>

const { constructor: AsyncFunction } = (async () => undefined) as unknown as {
  readonly constructor: new (...parts: readonly string[]) => Program
}

const page = await readFile(new URL('../../docs/sessions.md', import.meta.url), 'utf8')
const source = [...page.matchAll(/^```js\n(.*?)^```$/gms)].map((block) => block[1] ?? '').join('\n')

it('the page about sessions prints what it says', async () => {
  const said = [...source.matchAll(/\/\/ → (.*)$/gm)].map((line) => line[1])
  const printed: string[] = []
  const program = source.replaceAll(
    /^import (\{.*?\}) from '(.*?)'$/gm,
    (_, names: string, from: string) => `const ${names} = await load('${from}')`,
  )
  assert.doesNotMatch(program, /^import /m)
  await new AsyncFunction('load', 'console', program)((name) => import(name), {
    log: (...values: unknown[]) =>
      printed.push(values.map((each) => (typeof each === 'string' ? each : inspect(each))).join(' ')),
  })
  assert.ok(said.length > 10)
  assert.deepEqual(printed, said)
})
