/** The lock of a session: for routes that need strict order. And the leases that it is made of. */

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Leases } from '../../packages/holdfast/src/records/leases.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { DriverCall } from '../../packages/holdfast/src/testing/faults.ts'
import { openRoom, places } from '../stores/places.ts'
import { Crew } from '../stores/worker.ts'
import type { Order } from './parallel-process.ts'
import { Stage } from './stage.ts'

const ofLeases = ({ keys }: DriverCall): boolean => keys.some(({ collection }) => collection === 'leases')

/** Reads and sets, which loses counts wherever two do it at once. */
async function counted(sessions: Sessions, credential: string | undefined): Promise<void> {
  const session = await sessions.load(credential, { lock: '1m' })
  try {
    const n = Number(session.get('n') ?? 0)
    await new Promise(setImmediate)
    session.set('n', n + 1)
    await session.save()
  } finally {
    await session.release()
  }
}

describe('the lock of a session', () => {
  it('lets one request after the other in, over several stores: what is read is what the last one left', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start({ data: { n: 0 } })
    const processes = [stage.sessions, stage.process(), stage.process()]
    await Promise.all(Array.from({ length: 12 }, (_, i) => counted(processes[i % 3]!, credential)))
    assert.equal((await stage.sessions.load(credential)).get('n'), 12)
  })

  it('reads the truth when it was given, not what was read while it waited', async () => {
    const stage = new Stage()
    const first = await stage.sessions.start({ data: { n: 0 } })
    const holder = await stage.sessions.load(first.credential, { lock: '1m' })
    const before = stage.driver.calls.length
    const waiting = stage.process().load(first.credential, { lock: '1m' })
    // It has read the session, and found the lock taken.
    while (!stage.driver.calls.slice(before).some(ofLeases)) await new Promise(setImmediate)
    holder.set('n', 1)
    await holder.save()
    await holder.release()
    const second = await waiting
    assert.deepEqual([second.get('n'), second.isLocked, holder.isLocked], [1, true, false])
    await second.release()
  })

  it('of many who came with one cookie and rotate: all are let in, and one new secret is what they all get', async () => {
    const stage = new Stage()
    const { credential, id } = await stage.sessions.start({ user: 'ada' })
    const carried = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const tab = await stage.process().load(credential, { lock: '10m' })
        tab.set(`tab ${i}`, i)
        // What a tab saves itself is no reason either for one more secret.
        if (i % 2 === 0) await tab.save()
        await tab.rotate()
        await tab.release()
        return tab.credential
      }),
    )
    assert.equal(new Set(carried).size, 1)
    assert.notEqual(carried[0], credential)
    const session = await stage.sessions.load(carried[0])
    assert.deepEqual([session.id, session.size], [id, 12])
    await session.rotate()
    await session.rotate()
    assert.ok(session.credential !== carried[0], 'who carries the newest gets another')
  })

  it('is no wait for those who don’t ask for it, and costs them nothing', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start({ data: { n: 0 } })
    const holder = await stage.sessions.load(credential, { lock: '1m' })
    const calls = await stage.callsOf(async () => {
      const other = await stage.sessions.load(credential)
      assert.equal(other.isLocked, false)
      other.set('other', 1)
      await other.save()
    })
    assert.deepEqual(calls.filter(ofLeases), [])
    await holder.release()
  })

  it('is waited for no longer than was said; then nothing was done', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start()
    const holder = await stage.sessions.load(credential, { lock: 0 })
    const begun = stage.clock.elapsed()
    const waiting = stage.process().open(credential, { lock: '3s' })
    await assert.rejects(async () => await waiting.load(), { code: 'HOLDFAST_LOCKED', message: /3000 ms/ })
    assert.ok(stage.clock.elapsed() - begun >= 3_000)
    assert.ok(stage.clock.elapsed() - begun < 3_100)
    await holder.release()
    assert.equal((await waiting.load()).isLocked, true, 'a load that failed can be repeated')
    await waiting.release()
  })

  it('is held for as long as it takes, and free when its holder has crashed', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start()
    await stage.sessions.load(credential, { lock: 0 })
    // Sleeping moves the clock on, so that the holder prolongs its lease all the while.
    await assert.rejects(stage.process().load(credential, { lock: '1m' }), { code: 'HOLDFAST_LOCKED' })
    // From now on it can't: as if it had crashed.
    stage.plan = (call) => (call.operation === 'touch' && ofLeases(call) ? 'fail' : undefined)
    const begun = stage.clock.elapsed()
    const next = await stage.process().load(credential, { lock: '1m' })
    assert.ok(stage.clock.elapsed() - begun <= 9_100)
    assert.equal(next.isLocked, true)
  })

  it('is not for those who only know an id: nobody can keep its owner waiting', async () => {
    const stage = new Stage()
    const ada = await stage.sessions.start({ user: 'ada' })
    const bob = await stage.sessions.start({ user: 'bob' })
    const { credential: old } = ada
    await ada.cycleKey()
    const forged = `${(ada.credential ?? '').split('.')[0] ?? ''}.${(bob.credential ?? '').split('.')[1] ?? ''}`
    const calls = await stage.callsOf(async () => {
      for (const credential of [forged, old, 'rubbish', undefined]) {
        const session = await stage.sessions.load(credential, { lock: '1m' })
        assert.deepEqual([session.isNew, session.isLocked], [true, false])
      }
    })
    assert.deepEqual(calls.filter(ofLeases), [])
    const owner = await stage.sessions.load(ada.credential, { lock: 0 })
    assert.equal(owner.isLocked, true)
    await owner.release()
  })

  it('is given back where the session ended while it was waited for, and where the load fails', async () => {
    const stage = new Stage()
    const { credential, id = '' } = await stage.sessions.start()
    const holder = await stage.sessions.load(credential, { lock: 0 })
    const waiting = stage.process().load(credential, { lock: '1m' })
    await stage.sessions.destroy(id)
    await holder.release()
    const refused = await waiting
    assert.deepEqual([refused.isNew, refused.isLocked], [true, false])

    const other = await stage.sessions.start()
    let reads = 0
    stage.plan = ({ operation }) => (operation === 'read' && ++reads === 2 ? 'fail' : undefined)
    await assert.rejects(stage.sessions.load(other.credential, { lock: 0 }), {
      code: 'HOLDFAST_STORE_UNAVAILABLE',
    })
    stage.plan = () => undefined
    const again = await stage.process().load(other.credential, { lock: 0 })
    assert.equal(again.isLocked, true)
  })

  it('that a request waits for when it is given up is free at once', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start()
    const holder = await stage.sessions.load(credential, { lock: 0 })
    const aborted = stage.process().open(credential, { lock: '1m' })
    const loading = aborted.load()
    await aborted.release()
    await holder.release()
    await loading
    assert.equal(aborted.isLocked, false)
    assert.equal((await stage.process().load(credential, { lock: 0 })).isLocked, true)
  })

  it('is one of the session, whatever its secret is; letting go twice harms nobody', async () => {
    const stage = new Stage()
    const first = await stage.sessions.start()
    const one = await stage.sessions.load(first.credential, { lock: 0 })
    await one.rotate()
    await assert.rejects(stage.process().load(one.credential, { lock: 0 }), { code: 'HOLDFAST_LOCKED' })
    await one.release()
    const two = await stage.process().load(one.credential, { lock: 0 })
    await one.release()
    await assert.rejects(stage.process().load(one.credential, { lock: 0 }), { code: 'HOLDFAST_LOCKED' })
    await two.release()
  })

  it('of what is no duration is refused before anything is read', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start()
    const calls = await stage.callsOf(async () => {
      await assert.rejects(stage.sessions.load(credential, { lock: -1 }), {
        code: 'HOLDFAST_INVALID_DURATION',
      })
    })
    assert.deepEqual(calls, [])
  })
})

describe('a lease', () => {
  it('whose answer was lost is held all the same, once', async () => {
    for (const fault of ['loseAnswer', 'loseRequest'] as const) {
      const stage = new Stage()
      let creates = 0
      stage.plan = ({ operation }) => (operation === 'create' && ++creates === 1 ? fault : undefined)
      const release = await new Leases(stage.another()).acquire('x', 1_000)
      await assert.rejects(new Leases(stage.another()).acquire('x', 0), { code: 'HOLDFAST_LOCKED' })
      await release()
      await (
        await new Leases(stage.another()).acquire('x', 0)
      )()
    }
  })

  it('that can’t be ended ends by itself, and the release doesn’t fail', async () => {
    const stage = new Stage()
    const release = await new Leases(stage.another()).acquire('x', 0)
    stage.plan = ({ operation }) => (operation === 'replace' ? 'fail' : undefined)
    await release()
    stage.plan = () => undefined
    await assert.rejects(new Leases(stage.another()).acquire('x', 0), { code: 'HOLDFAST_LOCKED' })
    stage.clock.advance(9_000)
    await (
      await new Leases(stage.another()).acquire('x', 0)
    )()
  })

  it('of one name keeps nobody from another, and its name is not readable in the store', async () => {
    const stage = new Stage()
    const leases = new Leases(stage.another())
    const one = await leases.acquire('logins of ada', 0)
    const two = await leases.acquire('logins of bob', 0)
    const records = await stage.records('leases')
    assert.equal(records.length, 2)
    assert.doesNotMatch(JSON.stringify(records), /ada|bob/)
    await Promise.all([one(), two()])
  })

  it('wakes those who wait in its process at once, one after the other', async () => {
    const stage = new Stage()
    const leases = new Leases(stage.another())
    const order: number[] = []
    let holders = 0
    await Promise.all(
      Array.from({ length: 6 }, async (_, i) => {
        const release = await leases.acquire('x', 60_000)
        holders++
        assert.equal(holders, 1)
        order.push(i)
        await new Promise(setImmediate)
        holders--
        await release()
      }),
    )
    assert.deepEqual(order.toSorted(), [0, 1, 2, 3, 4, 5])
  })
})

describe('the lock, over two processes on SQLite', () => {
  const crew = new Crew<Order>(new URL('parallel-process.ts', import.meta.url), 2)
  after(() => crew.end())
  const sqlite = places.find(({ name }) => name === 'SQLite')!

  it('keeps strict order, and a process that was killed frees it', async () => {
    const room = await sqlite.room()
    const { url, namespace } = room
    const store = await openRoom(room)
    try {
      const sessions = new Sessions(store)
      const { credential = '' } = await sessions.start({ data: { n: 0 } })
      const workers = await crew.ready()
      await Promise.all(workers.map((worker) => worker.obey({ do: 'open', room: { url, namespace } })))
      await Promise.all(workers.map((worker) => worker.obey({ do: 'lock', credential, times: 15 })))
      assert.equal((await sessions.load(credential)).get('n'), 30)

      const [killed] = workers
      await killed!.obey({ do: 'hold', credential })
      await assert.rejects(sessions.load(credential, { lock: '200ms' }), { code: 'HOLDFAST_LOCKED' })
      await killed!.kill()
      const next = await sessions.load(credential, { lock: '15s' })
      assert.equal(next.isLocked, true)
      await next.release()
    } finally {
      await store.close()
      await crew.end()
      await room.remove()
    }
  })
})
