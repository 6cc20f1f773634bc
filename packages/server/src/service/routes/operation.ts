/** What machines ask about the service itself. Anybody may. */

import { Type } from '@fastify/type-provider-typebox'
import type { App, Context } from '../app.ts'
import { exactly, refusals } from '../schemas.ts'

const tags = ['operation']
const config = { needs: 'nothing' } as const

/** Adds the routes. */
export function operationRoutes(app: App, { health }: Context): void {
  app.get(
    '/healthz',
    {
      config,
      schema: {
        tags,
        security: [],
        summary: 'Whether the process is up',
        operationId: 'health',
        response: { 200: { ...exactly({ status: Type.Literal('up') }), description: 'up' } },
      },
    },
    async () => ({ status: 'up' as const }),
  )

  app.get(
    '/readyz',
    {
      config,
      schema: {
        tags,
        security: [],
        summary: 'Whether it should get requests: the store answers and nobody has asked the service to stop',
        operationId: 'readiness',
        response: {
          200: { ...exactly({ status: Type.Literal('ready') }), description: 'ready' },
          503: refusals([])[503],
        },
      },
    },
    async () => {
      await health.ready()
      return { status: 'ready' as const }
    },
  )

  app.get(
    '/openapi.json',
    {
      config,
      schema: {
        tags,
        security: [],
        summary: 'This description of the API, OpenAPI 3.1',
        operationId: 'describe',
        response: {
          200: { ...Type.Object({}, { additionalProperties: true }), description: 'the description' },
        },
      },
    },
    async () => app.swagger(),
  )
}
