/** The page about sessions is one program, which runs and prints what it says, and its lists are complete. */

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

/** What a pattern finds in a file of the library. */
async function found(file: string, pattern: RegExp): Promise<readonly string[]> {
  const text = await readFile(new URL(`../../packages/holdfast/src/${file}`, import.meta.url), 'utf8')
  return [...text.matchAll(pattern)].map((match) => match[1]!)
}

it('the page about sessions has every option, and no other', async () => {
  const [options = ''] = await found(
    'sessions/options.ts',
    /^export interface SessionsOptions<.*?\{\n(.*?)^\}/gms,
  )
  const real = [...options.matchAll(/^ {2}readonly (\w+)\?:/gm)].map((match) => match[1])
  const [, table = ''] = /^\| option .*?\n(.*?)\n\n/ms.exec(page) ?? []
  const documented = [...table.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1])
  assert.deepEqual(documented, real)
})

it('the page about sessions has every event, and no other', async () => {
  const real = await found('records/events.ts', /(?:type: |SessionHappening<)'([\w-]+)'/g)
  const [, section = ''] = /^## What an audit hears\n(.*?)^## /ms.exec(page) ?? []
  const documented = [...section.matchAll(/`([\w-]+)`/g)].map((match) => match[1])
  assert.deepEqual(documented.filter((name) => name !== 'onEvent').toSorted(), real.toSorted())
})
