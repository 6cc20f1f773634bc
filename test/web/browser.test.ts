/** What a real browser makes of the cookie, of several tabs and of pages of other origins: Chromium, by Playwright. */

import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { type Running, start } from '../examples/example.ts'
import { served } from './served.ts'

const program = process.env['HOLDFAST_TEST_CHROMIUM'] ?? ''
const skip = program === '' && 'HOLDFAST_TEST_CHROMIUM is not set: run this by `npm test`'

/** Nothing is sandboxed, because the tests may run as root, and nothing is asked of the network. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP *.example 127.0.0.1',
]

interface Shown {
  readonly user: string | null
  readonly data: Readonly<Record<string, unknown>>
}

describe('in Chromium', { skip }, () => {
  let browser: Browser
  let example: Running
  /** A page of another port: another origin of the same site. */
  let other: Awaited<ReturnType<typeof served>>

  before(async () => {
    browser = await chromium.launch({ executablePath: program, headless: true, args: flags })
    example = await start('websocket')
    other = await served((_request, response) => {
      response.setHeader('content-type', 'text/html').end('<title>elsewhere</title>')
    })
  })

  after(async () => {
    await browser.close()
    await example.stop()
    await other.close()
  })

  /** A browser of somebody's own, with the application open in it. */
  async function visit(t: TestContext, url = own()): Promise<{ context: BrowserContext; page: Page }> {
    const context = await browser.newContext()
    t.after(() => context.close())
    const page = await context.newPage()
    await page.goto(url)
    return { context, page }
  }

  const own = (host = 'localhost'): string => `${example.url.replace('127.0.0.1', host)}/`
  const elsewhere = (host = 'localhost'): string => other.url.replace('127.0.0.1', host)

  for (const host of ['localhost', '127.0.0.1']) {
    it(`the __Host- cookie is taken from http://${host}, as if it were TLS`, async (t) => {
      const { context, page } = await visit(t, own(host))
      await login(page)
      const [cookie, ...others] = await context.cookies()
      assert.deepEqual(others, [])
      assert.equal(cookie?.name, '__Host-session')
      assert.deepEqual(
        [cookie.secure, cookie.httpOnly, cookie.sameSite, cookie.path],
        [true, true, 'Lax', '/'],
      )
      assert.ok(Math.abs(cookie.expires * 1_000 - Date.now() - 12 * 3_600_000) < 60_000)
      assert.equal(await page.evaluate('document.cookie'), '', 'no script can read it')
    })
  }

  it('the __Host- cookie is not taken from any other host without TLS', async (t) => {
    const { context, page } = await visit(t, own('app.example'))
    await post(page, '/login?user=ada')
    assert.deepEqual(await context.cookies(), [])
    assert.equal((await shown(page)).user, null)
  })

  it('two tabs that change different keys at the same time both keep them', async (t) => {
    const { context, page } = await visit(t)
    await login(page)
    const tab = await context.newPage()
    await tab.goto(own())
    await Promise.all([setKeys(page, 'one'), setKeys(tab, 'another')])
    const { user, data } = await shown(page)
    assert.equal(user, 'ada')
    const keys = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((i) => [`one${i}`, `another${i}`])
    assert.deepEqual(
      Object.keys(data)
        .filter((key) => key !== 'visits')
        .toSorted(),
      keys.toSorted(),
    )
  })

  it('a logout in one tab is one in the other, also while that changes something', async (t) => {
    const { context, page } = await visit(t)
    await login(page)
    const tab = await context.newPage()
    await tab.goto(own())
    assert.equal((await shown(tab)).user, 'ada')
    await Promise.all([setKeys(tab, 'late'), post(page, '/logout')])
    for (const each of [page, tab]) assert.equal((await shown(each)).user, null)
    await tab.reload()
    assert.equal((await shown(tab)).user, null)
    assert.equal((await shown(await again(context))).user, null)
  })

  it('a page of another origin of the same site can’t post, though the browser sends the cookie', async (t) => {
    const { context, page } = await visit(t)
    await login(page)
    const intruder = await context.newPage()
    await intruder.goto(elsewhere())
    const [refused] = await Promise.all([
      intruder.waitForResponse((each) => each.url().endsWith('/logout')),
      intruder.evaluate(
        `fetch('${own()}logout', { method: 'POST', mode: 'no-cors', credentials: 'include' })`,
      ),
    ])
    // Only what comes with the cookie is refused.
    assert.equal(refused.status(), 403)
    const response = await submit(intruder, `${own()}logout`)
    assert.equal(response.status(), 403)
    assert.equal((await shown(page)).user, 'ada')
  })

  it('a page of another site posts without the cookie, and a link from there comes with it', async (t) => {
    const { context, page } = await visit(t)
    await login(page)
    const intruder = await context.newPage()
    await intruder.goto(elsewhere('127.0.0.1'))
    const response = await submit(intruder, `${own()}logout`)
    assert.equal(response.status(), 200)
    assert.equal((await shown(page)).user, 'ada')
    await intruder.goto(elsewhere('127.0.0.1'))
    await intruder.evaluate(`document.body.innerHTML = '<a href="${own()}">to the shop</a>'`)
    await intruder.click('a')
    await intruder.waitForURL(own())
    assert.equal((JSON.parse(await intruder.innerText('body')) as Shown).user, 'ada')
  })

  it('a socket is for the own pages only, and closes in all tabs at a logout', async (t) => {
    const { context, page } = await visit(t)
    await login(page)
    const tab = await context.newPage()
    await tab.goto(own())
    const intruder = await context.newPage()
    await intruder.goto(elsewhere())
    assert.deepEqual(await intruder.evaluate(socket(own())), 1006)
    assert.deepEqual(await Promise.all([page, tab].map((each) => each.evaluate(opened(own())))), [
      'hello ada',
      'hello ada',
    ])
    await post(page, '/logout')
    assert.deepEqual(await Promise.all([page, tab].map((each) => each.evaluate('endedWith'))), [4401, 4401])
  })

  async function again(context: BrowserContext): Promise<Page> {
    const page = await context.newPage()
    await page.goto(own())
    return page
  }
})

/** Logs in by a form, as pages do. */
async function login(page: Page): Promise<void> {
  const response = await submit(page, '/login?user=ada')
  assert.equal(response.status(), 200)
  assert.equal(((await response.json()) as Shown).user, 'ada', 'the redirect came before its session')
}

/** Sends a form from a page, and follows where that leads. */
async function submit(page: Page, action: string) {
  await page.evaluate(`document.body.innerHTML = '<form method="post" action="${action}"><button></form>'`)
  const [response] = await Promise.all([
    page.waitForResponse((each) => each.status() !== 303 && each.request().isNavigationRequest()),
    page.click('button'),
  ])
  await page.waitForLoadState()
  return response
}

async function post(page: Page, path: string): Promise<void> {
  assert.equal(await page.evaluate(`fetch('${path}', { method: 'POST' }).then(({ status }) => status)`), 200)
}

/** Eight requests at once. */
async function setKeys(page: Page, name: string): Promise<void> {
  await page.evaluate(
    `Promise.all([...Array(8).keys()].map((i) => fetch('/set?key=${name}' + i + '&value=yes').then((r) => r.text())))`,
  )
}

async function shown(page: Page): Promise<Shown> {
  return await page.evaluate<Shown>(`fetch('/').then((response) => response.json())`)
}

/** A script that opens a socket, and tells with which code it is closed. */
function socket(url: string): string {
  return `new Promise((resolve) => {
    new WebSocket('${url.replace('http', 'ws')}').onclose = ({ code }) => resolve(code)
  })`
}

/** A script that opens a socket, and tells what it is greeted with. */
function opened(url: string): string {
  return `new Promise((resolve) => {
    const socket = new WebSocket('${url.replace('http', 'ws')}')
    socket.onmessage = ({ data }) => resolve(data)
    globalThis.endedWith = new Promise((closed) => (socket.onclose = ({ code }) => closed(code)))
  })`
}
