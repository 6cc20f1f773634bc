/** Tiers in every order: what was ended is not handed out again, whoever pauses, crashes or is not heard. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Memory, memoryDriver } from '../../../packages/holdfast/src/drivers/memory.ts'
import { guard } from '../../../packages/holdfast/src/store/guard.ts'
import { type Key, never } from '../../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../../packages/holdfast/src/store/store.ts'
import { processMemory, tiered } from '../../../packages/holdfast/src/store/tiers/tiered.ts'
import type { FaultyDriver } from '../../../packages/holdfast/src/testing/faults.ts'
import type { ScenarioMaker, World } from '../../../packages/holdfast/src/testing/schedule.ts'
import { drawn, everyFault, explore, returned } from '../../records/scene.ts'

const key: Key = { collection: 'sessions', id: 'x' }
const live = Buffer.from('live')
const dead = Buffer.from('dead')

/** A truth, a cache that processes share, and any number of processes over both. */
class Tiers {
  readonly #world: World
  readonly #truth: FaultyDriver
  readonly #cache: FaultyDriver

  constructor(world: World, { feed = false }: { readonly feed?: boolean } = {}) {
    this.#world = world
    this.#truth = world.driver(memoryDriver({ memory: new Memory() }), {
      declare: { shared: true, ...(feed ? {} : { watch: false }) },
    })
    this.#cache = world.driver(memoryDriver({ memory: new Memory({ cache: true }) }), {
      declare: { watch: false },
    })
  }

  truth(): Store {
    return guard(this.#truth, { clock: this.#world.clock })
  }

  cache(): Store {
    return guard(this.#cache, { clock: this.#world.clock })
  }

  /** A process whose cache is shared by all. */
  process(): Store {
    return tiered(this.cache(), this.truth())
  }

  /** A process with a memory of its own above that. */
  deep(): Store {
    return tiered(processMemory(), this.process())
  }
}

/** Ends the record as the rules do: reads strictly, buries, and says so when no cache can answer any more. */
async function ends(store: Store): Promise<void> {
  for (;;) {
    const record = await store.read(key, { strict: true, expired: true })
    if (!record || Buffer.compare(record.value, dead) === 0) break
    const { version: expected } = record
    const written = await store.replace({ key, expected, value: dead, expiresAt: never, expired: true })
    if (written.status === 'done') break
  }
  await store.invalidate([key])
}

async function isAlive(store: Store): Promise<boolean> {
  const record = await store.read(key)
  return record !== undefined && Buffer.compare(record.value, live) === 0
}

const shapes = {
  'a shared cache': (tiers: Tiers) => tiers.process(),
  'memory over a shared cache': (tiers: Tiers) => tiers.deep(),
} as const

for (const [shape, make] of Object.entries(shapes)) {
  describe(`${shape}, in every order`, () => {
    for (const fault of [{}, ...everyFault]) {
      const suffers = Object.keys(fault.faults ?? fault).join() || 'no fault'
      it(`a read | an end, ${suffers}: it is not filled again [races: T1 T3 T6 T8] [D44 K11]`, async (t) => {
        const scenario: ScenarioMaker = async (world) => {
          const tiers = new Tiers(world)
          await tiers.truth().create({ key, value: live, expiresAt: never })
          const reader = make(tiers)
          return {
            tasks: { reader: () => isAlive(reader), ender: () => ends(make(tiers)) },
            async check({ ender, reader: read }) {
              // Whoever was interrupted tries again: then it holds, whatever he had left half done.
              if (!returned(ender)) await ends(make(tiers))
              // A process that crashed is asked nothing.
              if (returned(read)) assert.equal(await isAlive(reader), false, 'for the reader')
              assert.equal(await isAlive(make(tiers)), false, 'for anybody else')
            },
          }
        }
        // With both tiers there are too many orders of what is lost for every day.
        await explore(t, scenario, [shape === 'a shared cache' && !fault.faults?.late ? fault : drawn(fault)])
      })
    }

    it('two reads | an end | an eviction: a placeholder that is gone is not filled [races: T2 T3]', async (t) => {
      const scenario: ScenarioMaker = async (world) => {
        const tiers = new Tiers(world)
        await tiers.truth().create({ key, value: live, expiresAt: never })
        return {
          tasks: {
            first: () => isAlive(make(tiers)),
            second: () => isAlive(make(tiers)),
            ender: () => ends(make(tiers)),
            eviction: () => tiers.cache().remove([{ collection: 'cached-sessions', id: key.id }]),
          },
          async check() {
            assert.equal(await isAlive(make(tiers)), false)
          },
        }
      }
      await explore(t, scenario, [drawn()])
    })

    it('two writers | a read: the cache does not end a version behind [races: T7]', async (t) => {
      const scenario: ScenarioMaker = async (world) => {
        const tiers = new Tiers(world)
        await tiers.truth().create({ key, value: live, expiresAt: never })
        const writes = async (store: Store, value: string): Promise<void> => {
          for (;;) {
            const { version: expected } = (await store.read(key, { strict: true }))!
            const written = await store.replace({
              key,
              expected,
              value: Buffer.from(value),
              expiresAt: never,
            })
            if (written.status === 'done') return
          }
        }
        return {
          tasks: {
            one: () => writes(make(tiers), 'one'),
            two: () => writes(make(tiers), 'two'),
            reader: () => isAlive(make(tiers)),
          },
          async check() {
            const truth = await tiers.truth().read(key)
            assert.equal((await make(tiers).read(key))?.version, truth?.version)
          },
        }
      }
      await explore(t, scenario, [drawn()])
    })
  })
}

describe('memory over a shared cache, with a feed', () => {
  it('a feed that is faster than the shared cache: the memory does not fill itself from it [races: T5]', async (t) => {
    const scenario: ScenarioMaker = async (world) => {
      const tiers = new Tiers(world, { feed: true })
      await tiers.truth().create({ key, value: live, expiresAt: never })
      const [writer, reader] = [tiers.deep(), tiers.deep()]
      // The shared cache and both memories know it.
      assert.ok((await isAlive(writer)) && (await isAlive(reader)))
      return {
        tasks: { reader: () => isAlive(reader), ender: () => ends(writer) },
        async check({ ender }) {
          if (!returned(ender)) return
          assert.equal(await isAlive(reader), false)
        },
      }
    }
    await explore(t, scenario, [{ preemptions: 3 }])
  })
})
