/** Several processes hammer a few keys of one store: what each was answered must have an order that explains it. */

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { described, type Event, violation } from './histories/checker.ts'
import { collection, foundOf, isDead, lanes, now, type Recording, recordingOf } from './histories/hammer.ts'
import type { Order } from './histories/process.ts'
import { networkPlaces, openRoom, type Room, sharedPlaces } from './places.ts'
import { ProxiedRoom } from './proxy.ts'
import { Crew, type Worker } from './worker.ts'

const program = new URL('histories/process.ts', import.meta.url)
const long = process.env['HOLDFAST_TEST_LONG'] === '1'
const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? 20_261_121)
const names = ['p0', 'p1', 'p2', 'p3']
/** Milliseconds of hammering. */
const time = long ? 8_000 : 700
/** Milliseconds between two cuts. */
const betweenCuts = 120

/** What may befall a call whose connection is cut. */
const explained: ReadonlySet<string> = new Set([
  'HOLDFAST_STORE_UNAVAILABLE',
  'HOLDFAST_OUTCOME_UNKNOWN',
  'HOLDFAST_DEADLINE_EXCEEDED',
  'HOLDFAST_PARTIAL_ANSWER',
])

describe('four processes at once are answered as if one call came after the other', () => {
  const crew = new Crew<Order>(program, names.length)
  after(() => crew.end())

  for (const { name, skip, room: makeRoom } of sharedPlaces) {
    it(`over ${name}, also when one of them is killed [races: A4] [C48 D29 D36 K38]`, { skip }, async (t) => {
      const room = await makeRoom()
      try {
        const workers = await crewFor(t, await crew.ready(), room)
        const recordings = [...(await hammered(workers, room))]
        assert.deepEqual(failuresOf(recordings), [])
        if (workers.length > 1) recordings.push(...(await hammeredAndKilled(crew, room)))
        await assertExplained(t, room, recordings)
      } finally {
        await room.remove()
      }
    })
  }

  for (const place of networkPlaces) {
    it(`over ${place.name}, while connections are cut [D29]`, { skip: place.skip }, async (t) => {
      const room = await ProxiedRoom.before(place)
      try {
        const workers = await crewFor(t, await crew.ready(), room)
        if (workers.length === 1) {
          t.skip(
            'what is cut off is carried out by the server later, beside what this process does meanwhile',
          )
          return
        }
        const recordings = await hammered(workers, room, () => {
          const cuts = setInterval(() => room.cut(), betweenCuts)
          return () => clearInterval(cuts)
        })
        await assertExplained(t, room, recordings.map(withDoubts))
        assert.deepEqual(
          failuresOf(recordings).filter((code) => !explained.has(code)),
          [],
        )
        assert.ok(room.cuts > 0, 'no connection was cut')
      } finally {
        await room.remove()
      }
    })
  }
})

/** A touch whose answer was lost is sent again: a refusal may be that of the second one. */
function withDoubts({ events, failures }: Recording): Recording {
  const doubted = events.map((event): Event => {
    const refused = event.answered === 'conflict' || event.answered === 'gone'
    return event.asked.do === 'touch' && refused ? { ...event, answered: 'unknown' } : event
  })
  return { events: doubted, failures }
}

function failuresOf(recordings: readonly Recording[]): readonly string[] {
  return recordings.flatMap(({ failures }) => Object.keys(failures))
}

/** Not every server of a kind keeps its promises to several processes: then one hammers it all the harder. */
async function crewFor(
  t: TestContext,
  workers: readonly Worker<Order>[],
  room: Pick<Room, 'url' | 'namespace'>,
): Promise<readonly Worker<Order>[]> {
  const store = await openRoom(room)
  const { description, capabilities } = await store.open()
  await store.close()
  if (capabilities.shared) return workers
  t.diagnostic(`by one process: ${description}`)
  return workers.slice(0, 1)
}

/** All processes hammer one room. `meanwhile` begins something, and answers with what ends it. */
async function hammered(
  workers: readonly Worker<Order>[],
  room: Pick<Room, 'url' | 'namespace'>,
  meanwhile: () => () => void = () => () => undefined,
): Promise<readonly Recording[]> {
  const { url, namespace } = room
  const all = (order: (i: number) => Order): Promise<unknown[]> =>
    Promise.all(workers.map((worker, i) => worker.obey(order(i))))
  await all(() => ({ do: 'open', room: { url, namespace } }))
  const end = meanwhile()
  try {
    return (await all((i) => ({
      do: 'hammer',
      name: names[i]!,
      seed: seed + i,
      time,
      loops: workers.length === 1 ? 6 : 2,
    }))) as readonly Recording[]
  } finally {
    end()
    await all(() => ({ do: 'close' }))
  }
}

/** Two processes hammer a room; one of them is killed, and another one takes its place. */
async function hammeredAndKilled(
  crew: Crew<Order>,
  { url, namespace }: Pick<Room, 'url' | 'namespace'>,
): Promise<readonly Recording[]> {
  const log = join(tmpdir(), `${namespace}.log`)
  const open = { do: 'open', room: { url, namespace } } as const
  const order = (name: string, i: number, ms: number): Order => {
    return { do: 'hammer', name, seed: seed + i, time: ms, loops: 2 }
  }
  try {
    const [victim, other] = (await crew.ready()) as [Worker<Order>, Worker<Order>]
    await Promise.all([victim.obey(open), other.obey(open)])
    const kept = other.obey(order('k0', 10, time))
    victim.obey({ ...order('k1', 11, time), log } as Order).catch(() => undefined)
    await delay(time * 0.4)
    await victim.kill()
    const successor = (await crew.ready()).at(-1)!
    await successor.obey(open)
    const after = await successor.obey(order('k2', 12, time * 0.5))
    const recordings = [await kept, after, recordingOf(log)] as const
    await Promise.all([other.obey({ do: 'close' }), successor.obey({ do: 'close' })])
    return recordings as readonly Recording[]
  } finally {
    await rm(log, { force: true })
  }
}

/** Each key by itself, with what is there at the end; then the listings, which must not lag behind. */
async function assertExplained(
  t: TestContext,
  room: Pick<Room, 'url' | 'namespace'>,
  recordings: readonly Recording[],
): Promise<void> {
  const byKey = Map.groupBy(
    recordings.flatMap(({ events }) => events),
    ({ key }) => key,
  )
  const store = await openRoom(room)
  try {
    const living: string[] = []
    for (const [id, events] of byKey) {
      const begun = now()
      const answered = foundOf(await store.read({ collection, id }, { strict: true }))
      if (answered && !isDead(answered)) living.push(id)
      const last: Event = { key: id, asked: { do: 'read' }, answered, begun, ended: now() }
      const wrong = violation([...events, last])
      assert.ok(!wrong, wrong && `seed ${seed}: ${described(wrong)}`)
    }
    await assertListed(store, living)
  } finally {
    await store.close()
  }
  t.diagnostic(summary(byKey, recordings))
}

async function assertListed(store: Store, living: readonly string[]): Promise<void> {
  if (store.capabilities.listing !== 'complete') return
  const found: string[] = []
  for (let lane = 0; lane < lanes; lane++) {
    const { records } = await store.list(collection, { labels: [`lane:${lane}`] })
    found.push(...records.map(({ key }) => key.id))
  }
  assert.deepEqual(found.toSorted(), living.toSorted())
}

function summary(byKey: ReadonlyMap<string, readonly Event[]>, recordings: readonly Recording[]): string {
  const events = [...byKey.values()].flat()
  const count = (what: string): number => events.filter(({ answered }) => answered === what).length
  const outcomes = ['done', 'conflict', 'gone', 'unknown'].map((what) => `${count(what)} ${what}`).join(', ')
  const failures = JSON.stringify(recordings.map((each) => each.failures))
  return `${events.length} calls on ${byKey.size} keys: ${outcomes}; failures ${failures}`
}
