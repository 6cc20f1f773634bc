/** What has to hold in every framework. */

import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { Browser } from './browser.ts'
import type { Framework, Shown } from './frameworks.ts'

export type Check = (framework: Framework, url: string) => Promise<void>

/** How long a server is given to begin with a request whose body it has not yet, in milliseconds. */
const head = 2_500

/** How often something is tried that a server might do in the wrong order. */
const tries = 10

export const checks: Readonly<Record<string, Check>> = {
  async 'shows a stranger as one, and gives them no cookie'(framework, url) {
    const { status, cookies, body } = await new Browser(url).get('/')
    assert.deepEqual([status, cookies], [200, []])
    assert.deepEqual(framework.show(body), { user: null, basket: [] })
  },

  async 'sets the cookie at a login, out of reach of scripts and of other sites'(framework, url) {
    const { status, headers, cookies } = await framework.login(new Browser(url), 'ada')
    assert.deepEqual([status, headers.get('location')], [303, '/'])
    assert.equal(cookies.length, 1)
    const [pair, ...attributes] = cookies[0]!.split('; ')
    assert.match(pair!, /^__Host-session=hfs_/)
    const known = attributes.map((each) => each.replace(/^(Expires|Max-Age)=.*/, '$1').toLowerCase())
    const wanted = ['httponly', 'max-age', 'path=/', 'samesite=lax', 'secure']
    assert.deepEqual(known.filter((each) => each !== 'expires').sort(), wanted)
  },

  async 'redirects after a login and after a change no sooner than they are stored'(framework, url) {
    for (let i = 0; i < tries; i++) {
      const browser = new Browser(url)
      await framework.login(browser, `ada${i}`)
      assert.deepEqual(await shown(framework, browser), { user: `ada${i}`, basket: [] })
      assert.equal((await framework.put(browser, 'fig')).status, 303)
      assert.deepEqual(await shown(framework, browser), { user: `ada${i}`, basket: ['fig'] })
    }
  },

  async 'keeps the changes of 20 requests at once'(framework, url) {
    const browser = new Browser(url)
    await framework.login(browser, 'ada')
    const tab = browser.copy()
    const fruits = Array.from({ length: 20 }, (_, i) => `fruit${i}`)
    const answers = await Promise.all(
      fruits.map((fruit, i) => framework.put(i % 2 === 0 ? browser : tab, fruit)),
    )
    const statuses = answers.map(({ status }) => status)
    assert.deepEqual(
      statuses,
      fruits.map(() => 303),
    )
    const { basket } = await shown(framework, browser)
    assert.deepEqual([...basket].sort(), fruits.sort())
  },

  async 'stays logged out when a write was on its way'(framework, url) {
    const browser = new Browser(url)
    await framework.login(browser, 'ada')
    await framework.put(browser, 'fig')
    const tab = browser.copy()
    const write = framework.putSlowly(tab, 'plum')
    await wait(head)
    const other = browser.copy()
    assert.equal((await framework.logout(browser)).status, 303)
    const { status, body, cookies } = await write.finish()
    assert.equal(status, 400, `the write was answered with ${status}: ${body}`)
    assert.deepEqual(cookies, [])
    for (const each of [browser, tab, other]) {
      assert.deepEqual(await shown(framework, each), { user: null, basket: [] })
    }
  },

  async 'refuses a logout that another origin asks for'(framework, url) {
    const browser = new Browser(url)
    await framework.login(browser, 'ada')
    const { status } = await framework.logout(browser, { origin: 'https://elsewhere.example' })
    assert.ok(status >= 400, `it was answered with ${status}`)
    assert.equal((await shown(framework, browser)).user, 'ada')
  },
}

/** What somebody sees who asks with their cookies. */
export async function shown(framework: Framework, browser: Browser): Promise<Shown> {
  const { status, body } = await browser.get('/')
  assert.equal(status, 200, body)
  return framework.show(body)
}
