/**
 * Four processes with tiers agree about what is revoked, while their connections to the truth are cut, silent, slow and
 * restored: no process accepts, in a call that begins after a revocation was acknowledged, what was revoked.
 */

import assert from 'node:assert/strict'
import { after, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { places } from '../../stores/places.ts'
import { ProxiedRoom } from '../../stores/proxy.ts'
import { Crew, type Worker } from '../../stores/worker.ts'
import type { Awaitable } from '../../../packages/holdfast/src/store/contract.ts'
import type { Order, Report } from './agreement/process.ts'

const program = new URL('agreement/process.ts', import.meta.url)
const long = process.env['HOLDFAST_TEST_LONG'] === '1'
/** How many tokens are revoked in each phase. */
const each = long ? 40 : 5
const pause = 25

/** What befalls the readers' connections to the truth while tokens are revoked. */
const phases: Readonly<Record<string, (room: ProxiedRoom) => Awaitable<() => void>>> = {
  nothing: () => () => undefined,
  'connections are cut all the time': (room) => {
    const cuts = setInterval(() => room.cut(), 60)
    return () => clearInterval(cuts)
  },
  'the truth hangs up': (room) => {
    for (const proxy of room.proxies) proxy.hangUp(true)
    return () => {
      for (const proxy of room.proxies) proxy.hangUp(false)
    }
  },
  'answers and news come late': (room) => {
    for (const proxy of room.proxies) proxy.delay(600)
    return () => {
      for (const proxy of room.proxies) proxy.delay(0)
    }
  },
  'nothing any more': async () => {
    // Circuits close again.
    await delay(2_500)
    return () => undefined
  },
}

const redis = places.find(({ name }) => name === 'Redis')!

describe('four processes with tiers agree about what is revoked', () => {
  const crew = new Crew<Order>(program, 4)
  after(() => crew.end())

  for (const name of long ? ['PostgreSQL', 'Redis', 'MariaDB'] : ['PostgreSQL', 'MariaDB']) {
    const truth = places.find((place) => place.name === name)!
    it(`memory over ${name} [C31 D44 G5 G12]`, { skip: truth.skip }, async (t) => {
      await agree(t, crew, await ProxiedRoom.before(truth), (url) => `tiered: memory: ${url}`)
    })
  }

  const postgres = places.find(({ name }) => name === 'PostgreSQL')!
  it(
    'memory over Redis over PostgreSQL [C31 D44 G5 G12]',
    { skip: redis.skip || postgres.skip },
    async (t) => {
      const cache = await redis.room()
      t.after(() => cache.remove())
      const room = await ProxiedRoom.before(postgres)
      await agree(t, crew, room, (url) => `tiered: memory: ${cache.url} ${url}`)
    },
  )
})

async function agree(
  t: TestContext,
  crew: Crew<Order>,
  room: ProxiedRoom,
  tiers: (url: string) => string,
): Promise<void> {
  const { namespace } = room
  const [revoker, ...readers] = await crew.ready()
  try {
    await revoker!.obey({ do: 'open', url: tiers(room.direct.url), namespace })
    for (const reader of readers) await reader.obey({ do: 'open', url: tiers(room.url), namespace })
    for (const [what, befalls] of Object.entries(phases)) {
      const restore = await befalls(room)
      try {
        await phase(t, what, revoker!, readers)
      } finally {
        restore()
      }
    }
  } finally {
    for (const worker of await crew.ready()) await worker.obey({ do: 'close' }).catch(() => undefined)
    await room.remove()
  }
}

async function phase(
  t: TestContext,
  what: string,
  revoker: Worker<Order>,
  readers: readonly Worker<Order>[],
): Promise<void> {
  const issued = (await revoker.obey({ do: 'issue', count: each + 1 })) as readonly {
    readonly credential: string
    readonly token: { readonly id: string }
  }[]
  const credentials = issued.map(({ credential }) => credential)
  for (const reader of readers) await reader.obey({ do: 'check', credentials })
  await delay(200)
  const acknowledged: number[] = []
  // The last one lives.
  for (const { token } of issued.slice(0, each)) {
    acknowledged.push((await revoker.obey({ do: 'revoke', id: token.id })) as number)
    await delay(pause)
  }
  await delay(300)
  const reports = (await Promise.all(readers.map((reader) => reader.obey({ do: 'report' })))) as Report[]
  for (const { accepted } of reports) {
    acknowledged.forEach((at, i) => {
      assert.ok(accepted[i]! < at, `${what}: accepted ${accepted[i]! - at} ms after its revocation`)
    })
  }
  if (what.startsWith('nothing')) {
    const last = acknowledged.at(-1)!
    for (const { accepted, errors } of reports) {
      assert.deepEqual(errors, {}, what)
      assert.ok(accepted[each]! > last, 'what was not revoked is accepted until the end')
    }
  }
  const calls = reports.reduce((sum, report) => sum + report.calls, 0)
  const hits = reports.reduce((sum, report) => sum + report.hits, 0)
  assert.ok(hits > 0, 'the memory answered nothing')
  t.diagnostic(`${what}: ${calls} calls, ${hits} answered by memory so far`)
}
