/** Requests whose client has hung up, through the doors that stand on the answers of Node.js. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, it, type TestContext } from 'node:test'
import fastify from 'fastify'
import Koa from 'koa'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import type { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Served } from '../../packages/holdfast/src/testing/web-suite.ts'
import type { WebOptions } from '../../packages/holdfast/src/web/exchange.ts'
import { fastifySession } from '../../packages/holdfast/src/web/fastify.ts'
import { koaSession } from '../../packages/holdfast/src/web/koa.ts'
import { sessionMiddleware } from '../../packages/holdfast/src/web/node.ts'
import { Stage } from '../sessions/stage.ts'
import { until } from '../until.ts'
import { served, sessionOf } from './served.ts'

type Work = (session: Session, answer: ServerResponse) => Promise<string>
type Serve = (sessions: Sessions, options: WebOptions, work: Work) => Promise<Served>

const doors: Readonly<Record<string, Serve>> = {
  'node:http': async (sessions, options, work) => {
    const middleware = sessionMiddleware(sessions, options)
    const listener = (request: IncomingMessage, answer: ServerResponse): void => {
      middleware(request, answer, () => {
        work(sessionOf(request), answer).then(
          (text) => answer.end(text),
          () => answer.writeHead(500).end(),
        )
      })
    }
    return await served(listener)
  },
  Koa: async (sessions, options, work) => {
    const app = new Koa()
    app.silent = true
    app.use(koaSession(sessions, options))
    app.use(async (context) => {
      context.body = await work(sessionOf(context), context.res)
    })
    const handle = app.callback()
    return await served((request, answer) => void handle(request, answer))
  },
  Fastify: async (sessions, options, work) => {
    const app = fastify()
    await app.register(fastifySession, { ...options, sessions })
    app.get('/', async (request, reply) => await work(sessionOf(request), reply.raw))
    return { url: await app.listen({ host: '127.0.0.1', port: 0 }), close: () => app.close() }
  },
}

for (const [name, serve] of Object.entries(doors)) {
  describe(`a request with a lock whose client has hung up, by ${name}`, () => {
    it('keeps its lock until it is answered: the next one doesn’t overtake it', async (t) => {
      const { stage, credential, isHungUp, answer } = await begun(t, serve)
      await until('the client is gone', isHungUp)
      await passing(stage, 29_000)
      await assert.rejects(stage.sessions.load(credential, { lock: 0 }), { code: 'HOLDFAST_LOCKED' })
      answer()
      await until('it was answered', () => isFree(stage, credential))
      assert.equal((await stage.sessions.load(credential)).get('paid'), 'yes')
    })

    it('and that fails lets go of it: nothing is stored', async (t) => {
      const { stage, credential, isHungUp, fail } = await begun(t, serve)
      await until('the client is gone', isHungUp)
      fail()
      await until('it has failed', () => isFree(stage, credential))
      assert.equal((await stage.sessions.load(credential)).get('paid'), undefined)
    })

    it('and that is never answered lets go of it', async (t) => {
      const { stage, credential, isHungUp } = await begun(t, serve)
      await until('the client is gone', isHungUp)
      await passing(stage, 31_000)
      await until('it is free', () => isFree(stage, credential))
    })
  })
}

/** A request that is under way, and whose client hangs up. */
async function begun(t: TestContext, serve: Serve) {
  const stage = new Stage()
  const { credential } = await stage.sessions.start({ user: 'ada' })
  const { promise: answered, resolve: answer, reject } = Promise.withResolvers<undefined>()
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<undefined>()
  let isHungUp = false
  const site = await serve(stage.sessions, { lock: () => '1m' }, async (session, response) => {
    void once(response, 'close').then(() => (isHungUp = true))
    arrive(undefined)
    session.set('paid', 'yes')
    await answered
    return 'done'
  })
  t.after(() => site.close())
  const client = new AbortController()
  const headers = { cookie: `__Host-session=${credential}` }
  const asked = fetch(site.url, { headers, signal: client.signal })
  await arrived
  client.abort()
  await assert.rejects(asked, { name: 'AbortError' })
  return {
    stage,
    credential,
    isHungUp: () => isHungUp,
    answer: () => answer(undefined),
    fail: () => reject(new Error('it fails on purpose')),
  }
}

/** Lets time pass, and what is done from time to time be done. */
async function passing({ clock }: Stage, ms: number): Promise<void> {
  for (let i = 0; i < ms; i += 1_000) {
    clock.advance(1_000)
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  }
}

async function isFree({ sessions }: Stage, credential: string | undefined): Promise<boolean> {
  const session = await sessions.load(credential, { lock: 0 })
  await session.release()
  return true
}
