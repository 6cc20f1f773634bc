/** Many requests at once over one session: in one process and in several, on every store that can be shared. */

import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import type { Order } from './parallel-process.ts'
import { type Address, openAt, sharedStores } from './shared-stores.ts'

const program = fileURLToPath(new URL('parallel-process.ts', import.meta.url))
const names = (count: number, prefix = 'k'): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`)

/** One of several processes. */
class Worker {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  readonly #reader: Interface

  constructor(address: Address) {
    this.#process = spawn(process.execPath, [program, JSON.stringify(address)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#reader = createInterface({ input: this.#process.stdout })
    this.#lines = this.#reader[Symbol.asyncIterator]()
  }

  async answer(): Promise<unknown> {
    const line = await this.#lines.next()
    assert.ok(line.done !== true, 'the process ended')
    return JSON.parse(line.value) as unknown
  }

  async obey(order: Order): Promise<unknown> {
    this.#process.stdin.write(`${JSON.stringify(order)}\n`)
    return await this.answer()
  }

  async end(): Promise<void> {
    const exited = once(this.#process, 'exit')
    this.#process.stdin.end()
    await exited
    this.#reader.close()
  }
}

/** Four processes over one store, ready to be told what to do. */
async function withWorkers(
  address: Address,
  test: (workers: readonly Worker[]) => Promise<void>,
): Promise<void> {
  const workers = [1, 2, 3, 4].map(() => new Worker(address))
  try {
    for (const worker of workers) assert.equal(await worker.answer(), 'ready')
    await test(workers)
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
  }
}

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

describe('in parallel, in memory', () => {
  it('twenty saves keep all twenty keys [C30]', () => twentySaves([memoryStore()]))
  it('destroyed while twenty saves are in flight, it stays destroyed [D29]', () =>
    destroyedUnderSaves([memoryStore()]))
})

for (const shared of sharedStores) {
  describe(`in parallel, on ${shared.name}`, { skip: shared.skip }, () => {
    /** Runs a test over so many stores at one address. */
    async function over(count: number, test: (stores: readonly Store[], address: Address) => Promise<void>) {
      const [address, remove] = await shared.make()
      const opened = []
      try {
        for (let i = 0; i < count; i++) opened.push(await openAt(address))
        await test(
          opened.map(({ store }) => store),
          address,
        )
      } finally {
        for (const { close } of opened) await close()
        await remove()
      }
    }

    it('twenty saves keep all twenty keys, in one process [C30]', () => over(1, twentySaves))

    it('twenty saves keep all twenty keys, through four stores [K38]', () => over(4, twentySaves))

    it('destroyed while twenty saves are in flight, it stays destroyed [D29 C31]', () =>
      over(4, destroyedUnderSaves))

    it('four processes: all keys are kept and every update is counted [C26 C48]', async () => {
      await over(1, async ([store], address) => {
        const sessions = new Sessions(store!)
        const { credential = '' } = await sessions.start({ user: 'ada' })
        await withWorkers(address, async (workers) => {
          await Promise.all(
            workers.map((worker, i) => worker.obey({ do: 'save', credential, keys: names(5, `p${i}-`) })),
          )
          await Promise.all(workers.map((worker) => worker.obey({ do: 'count', credential, times: 10 })))
        })
        const { data } = await sessions.load(credential)
        assert.equal(Object.keys(data).length, 21)
        assert.equal(data['n'], 40)
      })
    })

    it('four processes that save all the time: destroyed is destroyed, for each of them [D29 C31]', async () => {
      await over(1, async ([store], address) => {
        const sessions = new Sessions(store!)
        const { credential = '', id = '' } = await sessions.start({ user: 'ada' })
        await withWorkers(address, async (workers) => {
          const floods = workers.map((worker, i) => worker.obey({ do: 'flood', credential, name: `p${i}` }))
          // Until each of them has saved, so that the destroy falls among saves.
          while ((await sessions.load(credential)).keys().length < 4) await new Promise(setImmediate)
          assert.equal(await sessions.destroy(id), true)
          for (const flood of (await Promise.all(floods)) as { saved: number; code: string }[]) {
            assert.ok(flood.saved > 0)
            assert.ok(['no session', 'HOLDFAST_SESSION_GONE'].includes(flood.code), flood.code)
          }
        })
        assert.equal((await sessions.load(credential)).isNew, true)
      })
    })
  })
}
