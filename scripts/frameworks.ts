/**
 * `npm run test:frameworks`: installs, builds, starts and calls the examples of frameworks that have a build of their
 * own, with the packed library. `npm run test:frameworks -- nextjs` does it for one of them.
 *
 * A framework whose packages can't be had is left out with the reason; where CI is set, that is a failure.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Application, NotInstallable } from './frameworks/application.ts'
import { Browser } from './frameworks/browser.ts'
import { checks, shown } from './frameworks/checks.ts'
import { type Framework, frameworks } from './frameworks/frameworks.ts'
import { pack, run } from './packing.ts'
import { root } from './root.ts'
import { atEnd, tidyUp } from './tidy.ts'

const begun = performance.now()
const counts = { passed: 0, failed: 0, leftOut: 0 }
const temporary = mkdtempSync(join(tmpdir(), 'holdfast-frameworks-'))
atEnd(() => {
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5 })
})

const wanted = process.argv.slice(2)
const chosen = frameworks.filter(({ folder }) => wanted.length === 0 || wanted.includes(folder))
let tarball = ''
const isPacked = await check('the library is built and packed', () => {
  run(process.execPath, [join(root, 'scripts/build.ts')])
  tarball = join(temporary, pack('holdfast', temporary).filename)
})
for (const framework of isPacked ? chosen : []) {
  console.log(framework.name)
  await visit(framework)
}
if (chosen.length === 0) console.log(`There is no example of ${wanted.join(', ')}`)
const { passed, failed, leftOut } = counts
const missing = leftOut > 0 ? `, ${leftOut} of ${chosen.length} frameworks left out` : ''
console.log(
  `${passed} passed, ${failed} failed${missing}, ${((performance.now() - begun) / 1000).toFixed(1)} s`,
)
if (failed > 0 || chosen.length === 0) process.exitCode = 1
await tidyUp()

/** Everything about one framework. What can't be done without a step that failed is not tried. */
async function visit(framework: Framework): Promise<void> {
  const folder = join(temporary, framework.folder)
  const application = new Application(framework, folder)
  const isReady =
    (await check('is installed', () => application.install(tarball))) &&
    (await every(framework.scripts, (script) => check(`npm run ${script}`, () => application.run(script))))
  if (!isReady) return
  const store = `sqlite:${join(folder, 'sessions.db')}`
  const browser = new Browser('')
  await serve(application, store, async (url) => {
    for (const [name, body] of Object.entries(checks)) await check(name, () => body(framework, url))
    for (const [name, body] of Object.entries(framework.more)) await check(name, () => body(url))
    const first = new Browser(url)
    await framework.login(first, 'ada')
    for (const [name, value] of first.jar) browser.jar.set(name, value)
  })
  await serve(application, store, async (url) => {
    await check('knows its users after a restart', async () => {
      assert.equal((await shown(framework, new Browser(url, browser.jar))).user, 'ada')
    })
  })
  await serve(application, 'memory:', async (url) => {
    await check('has one memory for all that it serves', async () => {
      const visitor = new Browser(url)
      await framework.login(visitor, 'ada')
      await framework.put(visitor, 'fig')
      assert.deepEqual(await shown(framework, visitor), { user: 'ada', basket: ['fig'] })
    })
  })
}

/** Starts it, has it called, and stops it. */
async function serve(
  application: Application,
  store: string,
  call: (url: string) => Promise<void>,
): Promise<void> {
  await check(`serves, over ${store.replace(/:.*/, '')}, and stops when asked`, async () => {
    const serving = await application.start(store)
    const before = counts.failed
    try {
      await call(serving.url)
    } finally {
      const wrong = await serving.stop()
      if (counts.failed > before) console.log(indented(serving.said()))
      assert.equal(wrong, undefined)
    }
  })
}

/** Says whether something holds, and counts it. @returns whether it does. */
async function check(name: string, body: () => unknown): Promise<boolean> {
  const started = performance.now()
  try {
    const detail = await body()
    counts.passed++
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(`  ✔ ${name}${typeof detail === 'string' ? `: ${detail}` : ''} (${seconds} s)`)
    return true
  } catch (error) {
    if (error instanceof NotInstallable && process.env['CI'] !== 'true') {
      counts.leftOut++
      console.log(`  – left out, for it can't be installed: ${error.message}`)
      return false
    }
    counts.failed++
    console.log(`  ✘ ${name}\n${indented(error instanceof Error ? error.message : String(error))}`)
    return false
  }
}

async function every<T>(all: readonly T[], holds: (each: T) => Promise<boolean>): Promise<boolean> {
  for (const each of all) if (!(await holds(each))) return false
  return true
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '    ')
}
