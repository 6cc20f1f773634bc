/**
 * One of several processes over one store. `save` loads the session, sets keys and saves in parallel; `count` updates
 * a number so many times; `flood` saves until the session is gone and tells how many saves were acknowledged. `lock`
 * counts by reading and setting under the lock, `hold` takes the lock and keeps it, `log in` tells how a login went.
 */

import { createInterface } from 'node:readline'
import { DeadlineExceeded, HoldfastError } from '../../packages/holdfast/src/errors.ts'
import type { SessionLimit } from '../../packages/holdfast/src/sessions/options.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { openRoom, type Room } from '../stores/places.ts'

/** What to do. */
export type Order =
  | { readonly do: 'open'; readonly room: Pick<Room, 'url' | 'namespace'> }
  | { readonly do: 'save'; readonly credential: string; readonly keys: readonly string[] }
  | { readonly do: 'count'; readonly credential: string; readonly times: number }
  | { readonly do: 'flood'; readonly credential: string; readonly name: string }
  | { readonly do: 'lock'; readonly credential: string; readonly times: number }
  | { readonly do: 'hold'; readonly credential: string }
  | { readonly do: 'log in'; readonly user: string; readonly limit: SessionLimit; readonly times: number }
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
    case 'lock':
      await Promise.all(Array.from({ length: order.times }, () => countLocked(order.credential)))
      return order.times
    case 'hold':
      await sessions().load(order.credential, { lock: '1s' })
      return 'held'
    case 'log in':
      return await Promise.all(Array.from({ length: order.times }, () => logIn(order.user, order.limit)))
    case 'close':
      await open?.store.close()
      return 'closed'
  }
}

function sessions(): Sessions {
  if (!open) throw new Error('no store is open')
  return open.sessions
}

function openStore(): Store {
  if (!open) throw new Error('no store is open')
  return open.store
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

/** Wrong without a lock: what is set was read a while ago. */
async function countLocked(credential: string): Promise<void> {
  const session = await sessions().load(credential, { lock: '30s' })
  try {
    session.set('n', Number(session.get('n') ?? 0) + 1)
    await session.save()
  } finally {
    await session.release()
  }
}

/** The credential; or the code of the error with which it was refused. */
async function logIn(user: string, limit: SessionLimit): Promise<{ credential?: string; code?: string }> {
  try {
    const { credential } = await new Sessions(openStore(), { limit }).start({ user })
    return { credential: credential! }
  } catch (error) {
    if (error instanceof HoldfastError) return { code: error.code }
    throw error
  }
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
