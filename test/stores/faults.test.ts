/**
 * Every store over a network, in trouble: each call ends in an answer that is right or in an error with a code, in time,
 * and afterwards everything that was acknowledged is there.
 */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { DeadlineExceeded, HoldfastError } from '../../packages/holdfast/src/errors.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Store, StoreOptions } from '../../packages/holdfast/src/store/store.ts'
import { until } from '../until.ts'
import { Ledger } from './faults/ledger.ts'
import { Witness } from './faults/witness.ts'
import { networkPlaces, openRoom, type Place } from './places.ts'
import { partsOf, ProxiedRoom } from './proxy.ts'

/** Milliseconds that a server is away: long enough for the circuit to open. */
const outage = process.env['HOLDFAST_TEST_LONG'] === '1' ? 10_000 : 1_700
/** Milliseconds of a call's deadline, and the time after which it hangs. A write may be sent, asked for and settled. */
const deadline = 1_000
const patience = 6 * deadline

interface Scene {
  readonly room: ProxiedRoom
  readonly store: Store
  readonly witness: Witness
  readonly ledger: Ledger
}

/** A store behind proxies. */
async function staged(
  t: TestContext,
  place: Place,
  test: (scene: Scene) => Promise<void>,
  options: StoreOptions = {},
): Promise<void> {
  const room = await ProxiedRoom.before(place)
  try {
    // What is made when it is opened for the first time takes longer than any deadline here.
    await (await openRoom(room)).close()
    const store = await opened(room, { deadline, ...options })
    const witness = new Witness(patience)
    try {
      await test({ room, store, witness, ledger: new Ledger(store, witness) })
    } finally {
      t.diagnostic(witness.summary)
      await store.close()
    }
  } finally {
    await room.remove()
  }
}

/** On a machine that is busy, to open takes longer than the short deadlines of these tests. */
async function opened(room: ProxiedRoom, options: StoreOptions, tries = 20): Promise<Store> {
  try {
    return await openRoom(room, options)
  } catch (error) {
    if (!(error instanceof DeadlineExceeded) || tries === 0) throw error
    return await opened(room, options, tries - 1)
  }
}

// Most of it is waiting, which all can do at once.
describe('every store over a network', { concurrency: true }, () => {
  for (const place of networkPlaces) {
    describe(`${place.name} in trouble`, { skip: place.skip, concurrency: 1 }, () => {
      it('is not there at first: an error with its address and without the password, and later it works', async () => {
        const room = await ProxiedRoom.before(place)
        try {
          await room.refuse()
          const { start, hosts, end } = partsOf(room.url)
          const url = `${start.replace(/\/\/.*$/, '//user:hunter2@')}${hosts.join(',')}${end}`
          const open = (from: string): Promise<Store> => openRoom({ url: from, namespace: room.namespace })
          for (const from of place.name === 'Memcached' ? [room.url] : [url, room.url]) {
            const begun = performance.now()
            await assert.rejects(open(from), (error) => {
              assert.ok(error instanceof HoldfastError, inspect(error))
              assert.equal(error.code, 'HOLDFAST_STORE_UNAVAILABLE')
              assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /hunter2/)
              assert.ok(
                hosts.some((host) => error.message.includes(host)),
                `${error.message} names none of ${hosts.join(', ')}`,
              )
              return true
            })
            assert.ok(performance.now() - begun < patience, 'it took too long to fail')
          }
          await room.accept()
          const store = await open(room.url)
          assert.equal(await store.read({ collection: 'c', id: 'a' }), undefined)
          await store.close()
        } finally {
          await room.remove()
        }
      })

      it('goes away under load and returns [D29]', (t) =>
        staged(t, place, async (scene) => {
          await underLoad(scene, async () => {
            await delay(150)
            await scene.room.refuse()
            await delay(outage)
            await isOpened(scene)
            await scene.room.accept()
            await delay(400)
          })
          assert.ok(scene.witness.failures > 0, 'nobody noticed')
          await scene.ledger.assertKept()
          assert.equal(scene.store.figures().circuit.state, 'closed')
        }))

      it('is left alone while it hangs up on everybody, and found again', (t) =>
        staged(t, place, async (scene) => {
          const { room, store, witness } = scene
          const key = { collection: 'c', id: 'a' }
          room.hangUp(true)
          const ask = (): Promise<unknown> => witness.see('a read', () => store.read(key))
          await askUntil(isOpened(scene), ask)
          const before = { connections: room.connections, refused: store.figures().circuit.refused }
          const calls = await askUntil(delay(1_000), ask)
          const { circuit } = store.figures()
          const asked = room.connections - before.connections
          const refused = circuit.refused - before.refused
          t.diagnostic(`${calls} calls, ${refused} refused, ${asked} connections`)
          assert.notEqual(circuit.state, 'closed')
          assert.ok(refused > 0.9 * calls, `${refused} of ${calls} were refused`)
          // Those that the client makes for itself are few, too.
          assert.ok(asked < 60, `${asked} connections to a dead server in a second`)
          room.hangUp(false)
          assert.equal(await witness.eventually('a read', () => store.read(key)), undefined)
          assert.equal(store.figures().circuit.state, 'closed')
        }))

      it('answers later than the deadline', (t) =>
        staged(
          t,
          place,
          async ({ room, store, witness, ledger }) => {
            for (let i = 0; i < 8; i++) await ledger.create(`early-${i}`)
            room.delay(700)
            const late = [0, 1, 2].map((i) => ledger.create(`late-${i}`))
            const reads = [0, 1, 2, 3].map((i) => ledger.read(`early-${i}`))
            const changes = [4, 5].map((i) => ledger.replace(`early-${i}`, 'late'))
            await Promise.all([...late, ...reads, ...changes, ledger.readAll()])
            assert.ok(witness.failures > 0, 'nothing was late')
            room.delay(0)
            // An answer that comes late must not be taken for that of another call.
            await witness.eventually('a read', () => store.read({ collection: 'ledger', id: 'early-0' }))
            for (let i = 0; i < 8; i++) await ledger.read(`early-${i}`)
            await ledger.assertKept()
          },
          { deadline: 250 },
        ))

      for (const losing of ['answer', 'request'] as const) {
        it(`is cut off ${losing === 'answer' ? 'after a request was sent' : 'in the middle of a request'}`, (t) =>
          staged(t, place, async ({ room, witness, ledger }) => {
            // The first request of a write, the second … whichever of them commits it.
            for (const skip of [0, 1, 2, 3, 4, 5]) {
              const id = `cut-${skip}`
              room.ambush('', losing, skip)
              await ledger.create(id)
              room.ambush(undefined)
              await witness.eventually(`the read of ${id}`, () => ledger.isThere(id))
              if (!(await ledger.isThere(id))) await ledger.create(id)
              room.ambush('', losing, skip)
              await ledger.replace(id, 'replaced')
              await ledger.replace(id, 'again')
              room.ambush(undefined)
            }
            await ledger.assertKept()
            assert.ok(room.struck >= 4, `${room.struck} requests were caught`)
          }))
      }

      it('is cut off in the middle of a pipeline', (t) =>
        staged(t, place, async ({ room, ledger }) => {
          for (const [round, losing] of (['answer', 'request', 'answer'] as const).entries()) {
            room.ambush(`piped-${round}-7`, losing, round === 2 ? 1 : 0)
            await Promise.all(Array.from({ length: 20 }, (_, i) => ledger.create(`piped-${round}-${i}`)))
            room.ambush(`piped-${round}-7`, losing)
            await Promise.all([ledger.readAll(), ledger.readAll(), ledger.read(`piped-${round}-7`)])
          }
          room.ambush(undefined)
          await ledger.assertKept()
          assert.ok(room.struck >= 3, `${room.struck} requests were caught`)
        }))
    })
  }
})

/** When calls failed for long enough. A client that waits before it fails takes its time until there are so many. */
async function isOpened({ store }: Scene): Promise<void> {
  await until('the circuit opens', () => store.figures().circuit.opened > 0)
}

/** Four callers that ask again and again until something has happened. The answer is how often they did. */
async function askUntil(happening: Promise<unknown>, call: () => Promise<unknown>): Promise<number> {
  let calls = 0
  let over = false
  const caller = async (): Promise<void> => {
    while (!over) {
      await call()
      calls++
      await delay(4)
    }
  }
  const callers = [caller(), caller(), caller(), caller()]
  try {
    await Promise.race([happening, ...callers])
  } finally {
    over = true
    await Promise.all(callers)
  }
  return calls
}

/** Writers, readers and a session in use, while something happens. */
async function underLoad({ store, witness, ledger }: Scene, happening: () => Promise<void>): Promise<void> {
  const sessions = new Sessions(store)
  const { credential, id } = await sessions.start({ user: 'ada', data: { n: 1 } })
  let over = false
  const loop = async (step: (turn: number) => Promise<unknown>): Promise<void> => {
    for (let turn = 0; !over; turn++) {
      await step(turn)
      await delay(5)
    }
  }
  const writer = (name: string): Promise<void> =>
    loop(async (turn) => {
      await ledger.create(`${name}-${turn}`)
      if (turn % 3 === 0) await ledger.replace(`${name}-${Math.floor(turn / 2)}`, `turn ${turn}`)
    })
  const reader = loop(async () => {
    const end = await witness.see('the load of the session', () => sessions.load(credential))
    if ('answer' in end) assert.equal(end.answer.isNew, false, 'an outage looks like "no session"')
    const got = await witness.see('the session by its id', () => sessions.get(id!))
    if ('answer' in got) assert.ok(got.answer, 'an outage looks like "no session"')
  })
  const lister = loop(async () => {
    if (store.capabilities.listing !== 'complete') return
    const end = await witness.see('the list of sessions', () => sessions.list({ user: 'ada' }))
    if ('answer' in end) assert.equal(end.answer.sessions.length, 1, 'an outage looks like an empty list')
  })
  const loops = [writer('w0'), writer('w1'), reader, lister]
  try {
    await Promise.race([happening(), ...loops])
  } finally {
    over = true
    await Promise.all(loops)
  }
  const last = await witness.eventually('the load of the session', () => sessions.load(credential))
  assert.deepEqual(last.data, { n: 1 })
}
