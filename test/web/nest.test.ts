/** NestJS on Express, with our middleware, by the published suite. */

import 'reflect-metadata'
import { describe, it } from 'node:test'
import { All, Controller, type DynamicModule, Logger, Req, Res } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request, Response } from 'express'
import { type WebApp, webSuite } from '../../packages/holdfast/src/testing/web-suite.ts'
import { sessionMiddleware } from '../../packages/holdfast/src/web/node.ts'
import { probedStores, send, sessionOf } from './served.ts'

Logger.overrideLogger(false)

webSuite(
  { describe, it },
  {
    name: 'NestJS',
    stores: probedStores,
    serve: async (app) => {
      const server = await NestFactory.create<NestExpressApplication>(moduleOf(app))
      server.use(sessionMiddleware(app.sessions, app.options))
      await server.listen(0, '127.0.0.1')
      return { url: await server.getUrl(), close: () => closed(server) }
    },
  },
)

/** A module with one controller, which hands everything to the suite's application. */
function moduleOf(app: WebApp): DynamicModule {
  class SuiteController {
    async answer(request: Request, response: Response): Promise<void> {
      send(response, await app.answer({ url: request.url, session: sessionOf(request) }))
    }
  }
  // What decorators do, in a TypeScript that can be run as it is.
  const method = Object.getOwnPropertyDescriptor(SuiteController.prototype, 'answer')!
  All('*path')(SuiteController.prototype, 'answer', method)
  Req()(SuiteController.prototype, 'answer', 0)
  Res()(SuiteController.prototype, 'answer', 1)
  Controller()(SuiteController)
  return { module: SuiteController, controllers: [SuiteController] }
}

async function closed(server: NestExpressApplication): Promise<void> {
  server.getHttpServer().closeAllConnections()
  await server.close()
}
