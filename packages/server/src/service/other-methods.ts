/** 405 for a known path that is called with another method, with the list of those that it has. */

import type { HTTPMethods } from 'fastify'
import type { App } from './app.ts'
import { RequestRefused } from './refusals.ts'

const methods: readonly HTTPMethods[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

/** Watches the routes that are added from now on; the answer is a plugin that adds the refusals when all are there. */
export function otherMethodsOf(app: App): (refusing: App) => Promise<void> {
  const known = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const ofUrl = known.get(url) ?? new Set()
    for (const each of [method].flat()) ofUrl.add(each)
    known.set(url, ofUrl)
  })
  return async (refusing) => {
    for (const [url, ofUrl] of [...known]) refuseOthers(refusing, url, [...ofUrl].sort())
  }
}

function refuseOthers(app: App, url: string, allowed: readonly string[]): void {
  const list = allowed.join(', ')
  app.route({
    url,
    method: methods.filter((method) => !allowed.includes(method)),
    config: { needs: 'nothing' },
    schema: { hide: true },
    onRequest: async (_request, reply) => {
      reply.header('allow', list)
      throw new RequestRefused('HOLDFAST_METHOD_NOT_ALLOWED', `this path knows ${list}`)
    },
    handler: async () => undefined,
  })
}
