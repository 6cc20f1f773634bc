/** One of the processes whose calls are recorded. Opens a store, hammers it, closes it, as it is told. */

import { createInterface } from 'node:readline'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { openRoom, type Room } from '../places.ts'
import { Hammer, type Hammering } from './hammer.ts'

/** What to do. */
export type Order =
  | { readonly do: 'open'; readonly room: Pick<Room, 'url' | 'namespace'> }
  | ({ readonly do: 'hammer' } & Hammering)
  | { readonly do: 'close' }

let store: Store | undefined

process.stdout.write('"ready"\n')
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await done(JSON.parse(line) as Order))}\n`)
}

async function done(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'open':
      store = await openRoom(order.room, { deadline: '5s' })
      return 'open'
    case 'hammer':
      return await new Hammer(store!, order).run()
    case 'close':
      await store?.close()
      return 'closed'
  }
}
