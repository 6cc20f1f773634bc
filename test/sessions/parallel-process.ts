/**
 * One of several processes over one store. Told what to do line by line as JSON, answers each line with one:
 * `save` loads the session, sets keys and saves in parallel; `count` updates a number so many times; `flood` saves
 * until the session is gone and tells how many saves were acknowledged.
 */

import { createInterface } from 'node:readline'
import { HoldfastError } from '../../packages/holdfast/src/errors.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { type Address, openAt } from './shared-stores.ts'

/** What to do. */
export type Order =
  | { readonly do: 'save'; readonly credential: string; readonly keys: readonly string[] }
  | { readonly do: 'count'; readonly credential: string; readonly times: number }
  | { readonly do: 'flood'; readonly credential: string; readonly name: string }

const { store, close } = await openAt(JSON.parse(process.argv[2] ?? '') as Address)
const sessions = new Sessions(store)
process.stdout.write('"ready"\n')
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await done(JSON.parse(line) as Order))}\n`)
}
await close()

async function done(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'save':
      await Promise.all(order.keys.map((name) => save(order.credential, name)))
      return order.keys.length
    case 'count':
      for (let i = 0; i < order.times; i++) {
        const session = await sessions.load(order.credential)
        await session.update((data) => {
          data['n'] = Number(data['n'] ?? 0) + 1
        })
      }
      return order.times
    case 'flood':
      return await flood(order.credential, order.name)
  }
}

async function save(credential: string, name: string): Promise<void> {
  const session = await sessions.load(credential)
  session.set(name, 1)
  await session.save()
}

async function flood(credential: string, name: string): Promise<{ saved: number; code: string }> {
  for (let saved = 0; ; saved++) {
    try {
      const session = await sessions.load(credential)
      if (session.isNew) return { saved, code: 'no session' }
      session.set(name, saved)
      await session.save()
    } catch (error) {
      if (error instanceof HoldfastError) return { saved, code: error.code }
      throw error
    }
  }
}
