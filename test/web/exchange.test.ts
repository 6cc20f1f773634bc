/** One request's exchange, where no door shows it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { CrossSiteRequest, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { type Exchange, Exchanges, type WebOptions } from '../../packages/holdfast/src/web/exchange.ts'
import { minute, Stage } from '../sessions/stage.ts'

interface Basket {
  fruit: string
}

interface Due {
  readonly stage: Stage
  readonly sessions: Sessions
  readonly credential: string
  readonly arrive: () => Promise<Exchange>
}

/** A session that is due for another secret. */
async function due(): Promise<Due> {
  const stage = new Stage({ rotateEvery: '15m' })
  const { sessions } = stage
  const credential = (await sessions.start({ user: 'ada' })).credential!
  stage.clock.advance(16 * minute)
  const exchanges = new Exchanges(sessions)
  const header = (name: string): string | undefined =>
    name === 'cookie' ? `__Host-session=${credential}` : undefined
  const arrive = async (): Promise<Exchange> =>
    await exchanges.open({ method: 'GET', url: '/', isSecure: true, header })
  return { stage, sessions, credential, arrive }
}

function scene(options: WebOptions = { load: 'lazy' }) {
  const sessions = new Sessions<Basket>(memoryStore())
  const exchanges = new Exchanges(sessions, { checkOrigin: false, ...options })
  const arrive = (credential: string) =>
    exchanges.open({
      method: 'POST',
      url: '/',
      isSecure: true,
      header: (name) => (name === 'cookie' ? `__Host-session=${credential}` : undefined),
    })
  return { sessions, arrive }
}

describe('what is changed behind the headers in a session that nobody has loaded', () => {
  it('is stored where the session is there', async () => {
    const { sessions, arrive } = scene()
    const stored = await sessions.start({ data: { fruit: 'fig' } })
    const exchange = await arrive(stored.credential!)
    await exchange.commit(200)
    exchange.session.set('fruit', 'plum')
    await exchange.commitRest(200)
    assert.equal((await sessions.load(stored.credential)).get('fruit'), 'plum')
  })

  it('begins no session where there is none: its cookie could not be sent any more', async () => {
    const { sessions, arrive } = scene()
    const dead = await sessions.start({ data: { fruit: 'fig' } })
    const { credential } = dead
    await dead.destroy()
    const exchange = await arrive(credential!)
    await exchange.commit(200)
    exchange.session.set('fruit', 'plum')
    await exchange.commitRest(200)
    assert.deepEqual((await sessions.list()).sessions, [])
  })
})

describe('an answer that depends on who asks', () => {
  it('says so, whatever of the session was looked at, and no answer of which nothing was', async () => {
    const sessions = new Sessions(memoryStore())
    const exchanges = new Exchanges(sessions)
    const { credential = '' } = await sessions.start({ user: 'ada' })
    const varies = async (look: (session: Session) => unknown, sent = credential) => {
      const exchange = await exchanges.open({
        method: 'GET',
        url: '/',
        isSecure: true,
        header: (name) => (name === 'cookie' && sent !== '' ? `__Host-session=${sent}` : undefined),
      })
      look(exchange.session)
      return (await exchange.commit(200)).vary
    }
    const looks: readonly ((session: Session) => unknown)[] = [
      (session) => session.id,
      (session) => session.isNew,
      (session) => session.createdAt,
      (session) => session.expiresAt,
      (session) => session.expiryAge(),
      (session) => session.endsWithBrowser,
    ]
    for (const look of looks) {
      assert.deepEqual(await varies(look), ['Cookie'], String(look))
      assert.deepEqual(await varies(look, ''), ['Cookie'], String(look))
    }
    assert.deepEqual(await varies(() => undefined), [])
    assert.deepEqual(await varies(() => undefined, ''), [])
  })
})

describe('a session that another site would begin', () => {
  const headers: Readonly<Record<string, string>> = {
    'sec-fetch-site': 'cross-site',
    origin: 'https://elsewhere.example',
  }
  const request = {
    method: 'POST',
    url: '/login',
    isSecure: true,
    header: (name: string) => headers[name],
  }

  it('is ended before anybody hears of it', async () => {
    const stage = new Stage()
    const exchange = await new Exchanges(stage.sessions).open(request)
    await exchange.session.login('mallory')
    const { credential } = exchange.session
    await assert.rejects(async () => await exchange.commit(302), CrossSiteRequest)
    assert.equal((await stage.sessions.load(credential)).user, undefined)
    exchange.session.set('late', 'yes')
    assert.equal(exchange.commitRest(302), undefined)
    assert.deepEqual((await stage.sessions.list()).sessions, [])
  })

  it('sets no cookie either where it can’t be ended', async () => {
    const stage = new Stage()
    const exchange = await new Exchanges(stage.sessions).open(request)
    await exchange.session.login('mallory')
    stage.plan = () => 'fail'
    await assert.rejects(async () => await exchange.commit(302), StoreUnavailable)
  })

  it('begins where origins are not looked at', async () => {
    const stage = new Stage()
    const exchange = await new Exchanges(stage.sessions, { checkOrigin: false }).open(request)
    await exchange.session.login('ada')
    assert.match((await exchange.commit(302)).cookie ?? '', /^__Host-session=hfs_/)
  })
})

describe('a route that goes on while the store is down', () => {
  it('does not run without its lock where another request keeps that', async () => {
    const { sessions, arrive } = scene({ whenDown: 'continue', lock: () => 0 })
    const { credential } = await sessions.start({ user: 'ada' })
    const holder = await sessions.load(credential, { lock: 0 })
    await assert.rejects(async () => await arrive(credential!), { code: 'HOLDFAST_LOCKED' })
    await holder.release()
    const exchange = await arrive(credential!)
    assert.deepEqual([exchange.session.user, exchange.session.isLocked], ['ada', true])
    await exchange.commit(200)
  })
})

describe('a rotation that is due', () => {
  it('and can’t be stored is no trouble of a request that changes nothing; an event tells', async () => {
    const { stage, arrive } = await due()
    const exchange = await arrive()
    stage.plan = ({ writes }) => (writes ? 'fail' : undefined)
    assert.equal((await exchange.commit(200)).cookie, undefined)
    assert.deepEqual(
      stage.events.map(({ type }) => type),
      ['rotation-failed'],
    )
    const changing = await arrive()
    changing.session.set('a', 1)
    await assert.rejects(async () => await changing.commit(200), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    stage.plan = () => undefined
    assert.match((await (await arrive()).commit(200)).cookie ?? '', /__Host-session=hfs_/)
  })

  it('and comes after a step-up in another tab leaves the cookie alone', async () => {
    const { sessions, credential, arrive, stage } = await due()
    const exchange = await arrive()
    await (await sessions.load(credential)).stepUp('otp')
    assert.equal((await exchange.commit(200)).cookie, undefined)
    assert.deepEqual(stage.events, [])
  })
})

describe('the origins that are let in', () => {
  const sessions = new Sessions(memoryStore())
  const made = (checkOrigin: unknown): Exchanges =>
    new Exchanges(sessions, { checkOrigin } as unknown as WebOptions)

  it('are those of browsers and of applications, and none that no request would name', () => {
    const allow = ['https://app.example', 'http://localhost:5173', 'capacitor://localhost', 'null']
    assert.deepEqual(made({ allow }).allowed, allow)
    for (const wrong of [
      'app.example',
      'https://app.example/',
      'https://App.example',
      'https://a.example:443',
      '*',
    ])
      assert.throws(() => made({ allow: [wrong] }), { code: 'HOLDFAST_INVALID_OPTION' }, wrong)
  })

  it('are a list: whoever says them in another way is told, and lets nobody in by it', () => {
    for (const wrong of [
      ['https://app.example'],
      {},
      'https://app.example',
      { allow: 'https://app.example' },
    ])
      assert.throws(() => made(wrong), { code: 'HOLDFAST_INVALID_OPTION' }, JSON.stringify(wrong))
  })
})
