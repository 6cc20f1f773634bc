/**
 * NestJS on Express, with sessions that lose no change and stay ended. Written without the syntax of decorators, so
 * that Node.js runs it as it is: `docs/web/node.md` has it with them.
 *
 *   STORE=sqlite:sessions.db PORT=3000 node server.ts
 */

import 'reflect-metadata'
import { Controller, Get, Logger, Post, Query, Redirect, Req } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { openStore, Sessions } from 'holdfast'
import { sessionMiddleware, type WithSession } from 'holdfast/node'

class SessionController {
  async show({ session }: WithSession): Promise<object> {
    const visits = await session.update((data) => (data['visits'] = Number(data['visits'] ?? 0) + 1))
    return { user: session.user ?? null, visits, data: session.data }
  }

  set({ session }: WithSession, key: string, value: string): object {
    session.set(key, value)
    return session.data
  }

  async login({ session }: WithSession, user: string): Promise<void> {
    await session.login(user)
  }

  async logout({ session }: WithSession): Promise<void> {
    await session.destroy()
  }
}

decorate('show', [Get('/')], [Req()])
decorate('set', [Get('/set')], [Req(), Query('key'), Query('value')])
decorate('login', [Post('/login'), Redirect('/', 303)], [Req(), Query('user')])
decorate('logout', [Post('/logout'), Redirect('/', 303)], [Req()])
Controller()(SessionController)

function decorate(
  name: keyof SessionController,
  method: readonly MethodDecorator[],
  parameters: readonly ParameterDecorator[],
): void {
  const { prototype } = SessionController
  for (const each of method) each(prototype, name, Object.getOwnPropertyDescriptor(prototype, name)!)
  parameters.forEach((each, index) => each(prototype, name, index))
}

Logger.overrideLogger(['error'])
const store = await openStore(process.env['STORE'] ?? 'memory:')
const app = await NestFactory.create<NestExpressApplication>({
  module: SessionController,
  controllers: [SessionController],
})
app.use(sessionMiddleware(new Sessions(store)))
await app.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1')
console.log(`listening on ${await app.getUrl()}`)

process.once('SIGTERM', () => {
  void app.close().then(() => store.close())
})
