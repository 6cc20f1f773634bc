/** Many requests at once over one session: in one process and in several, on every store that can be shared. */

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { openRoom, type Room, sharedPlaces } from '../stores/places.ts'
import { Crew, type Worker } from '../stores/worker.ts'
import type { Order } from './parallel-process.ts'

const names = (count: number, prefix = 'k'): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`)

async function twentySaves(stores: readonly Store[]): Promise<void> {
  const processes = stores.map((store) => new Sessions(store))
  const [sessions] = processes as [Sessions]
  const { credential } = await sessions.start({ user: 'ada', data: { before: 1 } })
  await Promise.all(
    names(20).map(async (name, i) => {
      const session = await processes[i % processes.length]!.load(credential)
      session.set(name, i)
      await session.save()
    }),
  )
  assert.deepEqual((await sessions.load(credential)).keys().toSorted(), ['before', ...names(20)].toSorted())
}

async function destroyedUnderSaves(stores: readonly Store[]): Promise<void> {
  const processes = stores.map((store) => new Sessions(store))
  const [sessions] = processes as [Sessions]
  const { credential, id } = await sessions.start({ user: 'ada' })
  const requests = await Promise.all(
    names(20).map((_, i) => processes[i % processes.length]!.load(credential)),
  )
  const saves = requests.map(async (session, i) => {
    session.set(`k${i}`, i)
    await session.save()
  })
  const destroyed = sessions.destroy(id!)
  const outcomes = await Promise.allSettled(saves)
  assert.equal(await destroyed, true)
  for (const each of outcomes) {
    if (each.status === 'rejected')
      assert.equal((each.reason as { code?: string }).code, 'HOLDFAST_SESSION_GONE')
  }
  for (const each of processes) {
    assert.equal((await each.load(credential)).isNew, true)
    assert.equal(await each.get(id!), undefined)
  }
}

/** All keys of four processes are kept, and each of their updates is counted. */
async function savedByAll(sessions: Sessions, workers: readonly Worker<Order>[]): Promise<void> {
  const { credential = '' } = await sessions.start({ user: 'ada' })
  await Promise.all(
    workers.map((worker, i) => worker.obey({ do: 'save', credential, keys: names(5, `p${i}-`) })),
  )
  await Promise.all(workers.map((worker) => worker.obey({ do: 'count', credential, times: 10 })))
  const { data } = await sessions.load(credential)
  assert.equal(Object.keys(data).length, 21)
  assert.equal(data['n'], 40)
}

/** Four processes save all the time: destroyed is destroyed, for each of them. */
async function destroyedUnderFloods(sessions: Sessions, workers: readonly Worker<Order>[]): Promise<void> {
  const { credential = '', id = '' } = await sessions.start({ user: 'ada' })
  const floods = workers.map((worker, i) => worker.obey({ do: 'flood', credential, name: `p${i}` }))
  let ended: unknown
  for (const flood of floods)
    flood.then((how) => (ended ??= how)).catch((error: unknown) => (ended ??= error))
  // Until each of them has saved, so that the destroy falls among saves.
  while ((await sessions.load(credential)).keys().length < 4) {
    assert.equal(ended, undefined, `a flood ended before the destroy: ${JSON.stringify(ended)}`)
    await new Promise(setImmediate)
  }
  assert.equal(await sessions.destroy(id), true)
  for (const flood of (await Promise.all(floods)) as { saved: number; code: string }[]) {
    assert.ok(flood.saved > 0)
    assert.ok(['no session', 'HOLDFAST_SESSION_GONE'].includes(flood.code), flood.code)
  }
  assert.equal((await sessions.load(credential)).isNew, true)
}

describe('in parallel, in memory', () => {
  it('twenty saves keep all twenty keys [C30]', () => twentySaves([memoryStore()]))
  it('destroyed while twenty saves are in flight, it stays destroyed [D29]', () =>
    destroyedUnderSaves([memoryStore()]))
})

describe('in parallel, on every store', () => {
  const crew = new Crew<Order>(new URL('parallel-process.ts', import.meta.url), 4)
  after(() => crew.end())

  for (const place of sharedPlaces) {
    describe(place.name, { skip: place.skip }, () => {
      /** Runs a test over so many stores in one room. */
      async function over(
        count: number,
        test: (stores: readonly Store[], room: Room) => Promise<void>,
      ): Promise<void> {
        const room = await place.room()
        const stores: Store[] = []
        try {
          for (let i = 0; i < count; i++) stores.push(await openRoom(room))
          await test(stores, room)
        } finally {
          for (const store of stores) await store.close()
          await room.remove()
        }
      }

      it('twenty saves keep all twenty keys, in one process [C30]', () => over(1, twentySaves))

      it('in several processes all keys are kept, every update is counted, and destroyed is destroyed [K38 C26 C48 D29 C31]', async (t) => {
        await over(4, async (stores, room) => {
          const [store] = stores as [Store]
          const { description, capabilities } = await store.open()
          if (!capabilities.shared) {
            t.skip(description)
            return
          }
          await twentySaves(stores)
          await destroyedUnderSaves(stores)
          await withWorkers(room, async (workers) => {
            await savedByAll(new Sessions(store), workers)
            await destroyedUnderFloods(new Sessions(store), workers)
          })
        })
      })
    })
  }

  async function withWorkers(
    { url, namespace }: Room,
    test: (workers: readonly Worker<Order>[]) => Promise<void>,
  ): Promise<void> {
    const workers = await crew.ready()
    await Promise.all(workers.map((worker) => worker.obey({ do: 'open', room: { url, namespace } })))
    await test(workers)
    await Promise.all(workers.map((worker) => worker.obey({ do: 'close' })))
  }
})
