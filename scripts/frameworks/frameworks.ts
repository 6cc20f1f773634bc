/** The frameworks whose examples have to be built, and how each example is called. */

import assert from 'node:assert/strict'
import type { Seen } from '../../packages/holdfast/src/testing/web/visitor.ts'
import { Browser, type Sending } from './browser.ts'

/** What an example shows of a session. */
export interface Shown {
  readonly user: string | null
  readonly basket: readonly string[]
}

export interface Framework {
  readonly name: string
  /** Of `examples/`. */
  readonly folder: string
  /** The package whose version is told. */
  readonly package: string
  /** The scripts of its `package.json` that check its types and build it. */
  readonly scripts: readonly string[]
  /** The program that serves what was built, in the example's folder. It listens where `HOST` and `PORT` say. */
  readonly program: (port: number) => readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly show: (page: string) => Shown
  readonly login: (
    browser: Browser,
    user: string,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Seen>
  readonly put: (browser: Browser, fruit: string) => Promise<Seen>
  readonly putSlowly: (browser: Browser, fruit: string) => Sending
  readonly logout: (browser: Browser, headers?: Readonly<Record<string, string>>) => Promise<Seen>
  /** What else it has, by what is checked of it. */
  readonly more: Readonly<Record<string, (url: string) => Promise<void>>>
}

/** What a page of HTML shows. */
function showPage(page: string): Shown {
  const user = /<h1>(.*?)<\/h1>/.exec(page)?.[1]
  assert.ok(user !== undefined, `no page that shows a user: ${page}`)
  const basket = [...page.matchAll(/<li>(.*?)<\/li>/g)].map(([, fruit]) => fruit!)
  return { user: user === 'stranger' ? null : user, basket }
}

/** A visitor by a link in a newsletter, whose first answer is a `redirect()` that is thrown. */
async function takeGift(url: string, redirected: number): Promise<void> {
  const browser = new Browser(url)
  const answer = await browser.get('/gift')
  assert.deepEqual([answer.status, answer.headers.get('location')], [redirected, '/'])
  assert.deepEqual(showPage((await browser.get('/')).body), { user: null, basket: ['mango'] })
}

/** Calls a server action as a browser does without scripts: by the hidden fields of its form. */
async function act(
  browser: Browser,
  button: string,
  fields: Readonly<Record<string, string>> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Seen> {
  const { body: page } = await browser.get('/')
  const form = page.match(/<form.*?<\/form>/gs)?.find((each) => each.includes(`>${button}<`))
  assert.ok(form !== undefined, `no form with the button ${button}: ${page}`)
  const data = new FormData()
  for (const [field] of form.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    data.set(/name="(.*?)"/.exec(field)![1]!, /value="(.*?)"/.exec(field)?.[1] ?? '')
  }
  assert.ok(
    [...data.keys()].some((name) => name.startsWith('$ACTION_')),
    `no server action: ${form}`,
  )
  for (const [name, value] of Object.entries(fields)) data.set(name, value)
  return await browser.submit('/', data, headers)
}

const nextjs: Framework = {
  name: 'Next.js',
  folder: 'nextjs',
  package: 'next',
  scripts: ['build'],
  program: (port) => [
    'node_modules/next/dist/bin/next',
    'start',
    '--hostname',
    '127.0.0.1',
    '--port',
    `${port}`,
  ],
  environment: { NEXT_TELEMETRY_DISABLED: '1' },
  show: showPage,
  login: async (browser, user, headers) => await act(browser, 'Log in', { user }, headers),
  put: async (browser, fruit) => await browser.submit('/basket', { fruit }),
  putSlowly: (browser, fruit) => browser.submitSlowly('/basket', { fruit }),
  logout: async (browser, headers) => await act(browser, 'Log out', {}, headers),
  more: {
    'a route handler logs in, and the server component shows it': async (url) => {
      const browser = new Browser(url)
      const answer = await browser.submit('/login', { user: 'grace' })
      assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/'])
      assert.equal(showPage((await browser.get('/')).body).user, 'grace')
    },
    'a route handler refuses what comes from another origin': async (url) => {
      const browser = new Browser(url)
      await browser.submit('/login', { user: 'grace' })
      const answer = await browser.submit(
        '/basket',
        { fruit: 'fig' },
        { origin: 'https://elsewhere.example' },
      )
      assert.equal(answer.status, 403)
      assert.deepEqual(showPage((await browser.get('/')).body), { user: 'grace', basket: [] })
    },
    'a route handler that ends by redirect() has stored what it changed, and sets the cookie': (url) =>
      takeGift(url, 307),
    'the proxy sends strangers away, and lets users pass': async (url) => {
      const browser = new Browser(url)
      const refused = await browser.get('/account')
      assert.deepEqual([refused.status, refused.headers.get('location')], [307, '/'])
      await browser.submit('/login', { user: 'grace' })
      const { status, body } = await browser.get('/account')
      assert.equal(status, 200)
      assert.equal(showPage(body).user, 'grace')
    },
  },
}

const sveltekit: Framework = {
  name: 'SvelteKit',
  folder: 'sveltekit',
  package: '@sveltejs/kit',
  scripts: ['types', 'build'],
  program: () => ['build'],
  environment: { PROTOCOL_HEADER: 'x-forwarded-proto' },
  show: showPage,
  login: async (browser, user, headers) => await browser.submit('/?/login', { user }, headers),
  put: async (browser, fruit) => await browser.submit('/?/add', { fruit }),
  putSlowly: (browser, fruit) => browser.submitSlowly('/?/add', { fruit }),
  logout: async (browser, headers) => await browser.submit('/?/logout', {}, headers),
  more: {
    'another hook that throws redirect() has stored what it changed, and the cookie is set': (url) =>
      takeGift(url, 303),
    'a form action that is called by a script logs in': async (url) => {
      const browser = new Browser(url)
      const headers = { accept: 'application/json', 'x-sveltekit-action': 'true' }
      const { status, body } = await browser.submit('/?/login', { user: 'grace' }, headers)
      assert.deepEqual([status, JSON.parse(body)], [200, { type: 'redirect', status: 303, location: '/' }])
      assert.equal(showPage((await browser.get('/')).body).user, 'grace')
    },
  },
}

const nitro: Framework = {
  name: 'Nitro',
  folder: 'nitro',
  package: 'nitro',
  scripts: ['types', 'build'],
  program: () => ['.output/server/index.mjs'],
  environment: {},
  show: (page) => JSON.parse(page) as Shown,
  login: async (browser, user, headers) => await browser.submit('/login', { user }, headers),
  put: async (browser, fruit) => await browser.submit('/basket', { fruit }),
  putSlowly: (browser, fruit) => browser.submitSlowly('/basket', { fruit }),
  logout: async (browser, headers) => await browser.submit('/logout', {}, headers),
  more: {},
}

export const frameworks: readonly Framework[] = [nitro, sveltekit, nextjs]
