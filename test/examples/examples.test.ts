/** Every example, started as a program of its own and called as a browser would. */

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Visitor } from '../../packages/holdfast/src/testing/web/visitor.ts'
import { frameworks } from '../../scripts/frameworks/frameworks.ts'
import { examplesFolder, type Running, shown, start, visit, visitBySocket } from './example.ts'

/** Those that answer other requests than the rest, and have tests of their own. */
const apart: ReadonlyMap<string, string> = new Map([['express-session', 'test/web/express-example.test.ts']])

const everything = readdirSync(examplesFolder, { withFileTypes: true }).filter((entry) => entry.isDirectory())

/** Those that have packages of their own and must be built. */
const built = everything.filter(({ name }) => existsSync(`${examplesFolder}${name}/package.json`))
const folders = everything.filter((entry) => !built.includes(entry))

for (const { name } of folders) {
  const elsewhere = apart.get(name)
  if (elsewhere !== undefined) {
    it(`examples/${name} is called by ${elsewhere}`, () => {
      const test = fileURLToPath(new URL(`../../${elsewhere}`, import.meta.url))
      assert.ok(readFileSync(test, 'utf8').includes(`examples/${name}`))
    })
    continue
  }

  describe(`examples/${name}`, () => {
    it('logs in, keeps what is changed at once, and logs out for good', async (t) => {
      const example = await begun(t, name)
      await visit(example)
      const { code, complaints } = await example.stop()
      assert.equal(code, 0)
      // Frameworks log what they answer with an error, and nothing else went wrong.
      assert.match(complaints, /^(CrossSiteRequest|\s*$)/)
    })
  })
}

it('every example is listed on their page', () => {
  const page = readFileSync(`${examplesFolder}README.md`, 'utf8')
  for (const { name } of folders) assert.ok(page.includes(`](${name}/server.ts)`), `${name} is not listed`)
  for (const { name } of built) assert.ok(page.includes(`](${name})`), `${name} is not listed`)
})

it('every example that has to be built is called by npm run test:frameworks', () => {
  assert.deepEqual(frameworks.map(({ folder }) => folder).sort(), built.map(({ name }) => name).sort())
})

describe('examples/express over a file', () => {
  it('knows its visitors after a restart', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-example-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const STORE = `sqlite:${join(folder, 'sessions.db')}`
    const first = await begun(t, 'express', { STORE })
    const visitor = new Visitor(first.url)
    await visitor.post('/login?user=ada')
    assert.deepEqual(await first.stop(), { code: 0, complaints: '' })
    const second = await begun(t, 'express', { STORE })
    assert.equal((await shown(new Visitor(second.url, visitor.jar))).user, 'ada')
  })
})

describe('examples/websocket over a socket', () => {
  it('greets who is logged in, and closes at a logout', async (t) => {
    await visitBySocket(await begun(t, 'websocket'))
  })
})

async function begun(
  t: TestContext,
  name: string,
  environment?: Readonly<Record<string, string>>,
): Promise<Running> {
  const running = await start(name, environment)
  t.after(async () => {
    await running.stop()
  })
  return running
}
