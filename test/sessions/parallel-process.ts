/**
 * One of several processes over one store. `save` loads the session, sets keys and saves in parallel; `count` updates
 * a number so many times; `flood` saves until the session is gone and tells how many saves were acknowledged.
 */

import { createInterface } from 'node:readline'
import { DeadlineExceeded, HoldfastError } from '../../packages/holdfast/src/errors.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { openRoom, type Room } from '../stores/places.ts'

/** What to do. */
export type Order =
  | { readonly do: 'open'; readonly room: Pick<Room, 'url' | 'namespace'> }
  | { readonly do: 'save'; readonly credential: string; readonly keys: readonly string[] }
  | { readonly do: 'count'; readonly credential: string; readonly times: number }
  | { readonly do: 'flood'; readonly credential: string; readonly name: string }
  | { readonly do: 'close' }

let open: { readonly store: Store; readonly sessions: Sessions } | undefined

process.stdout.write('"ready"\n')
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await done(JSON.parse(line) as Order))}\n`)
}

async function done(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'open': {
      const store = await openRoom(order.room)
      open = { store, sessions: new Sessions(store) }
      return 'open'
    }
    case 'save':
      await Promise.all(order.keys.map((name) => save(order.credential, name)))
      return order.keys.length
    case 'count':
      for (let i = 0; i < order.times; i++) await count(order.credential)
      return order.times
    case 'flood':
      return await flood(order.credential, order.name)
    case 'close':
      await open?.store.close()
      return 'closed'
  }
}

function sessions(): Sessions {
  if (!open) throw new Error('no store is open')
  return open.sessions
}

async function save(credential: string, name: string): Promise<void> {
  const session = await sessions().load(credential)
  session.set(name, 1)
  await session.save()
}

async function count(credential: string): Promise<void> {
  const session = await sessions().load(credential)
  await session.update((data) => {
    data['n'] = Number(data['n'] ?? 0) + 1
  })
}

async function flood(credential: string, name: string): Promise<{ saved: number; code: string }> {
  for (let saved = 0; ; saved++) {
    try {
      const session = await sessions().load(credential)
      if (session.isNew) return { saved, code: 'no session' }
      session.set(name, saved)
      await session.save()
    } catch (error) {
      // Whom the others outran until his deadline was told so, and comes again.
      if (error instanceof DeadlineExceeded) continue
      if (error instanceof HoldfastError) return { saved, code: error.code }
      throw error
    }
  }
}
