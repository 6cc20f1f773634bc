/** Lost answers, settled by the guard: every case of a write whose answer never came. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type DriverCall, fakeClock, type Fault, type FaultyDriver, withFaults } from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { OutcomeUnknown, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { type Key, never } from '../../packages/holdfast/src/store/record.ts'
import { traceOf } from '../../packages/holdfast/src/store/settle.ts'
import type { Store, Written } from '../../packages/holdfast/src/store/store.ts'

const key: Key = { collection: 'sessions', id: 'x' }
const other: Key = { collection: 'tokens', id: 'y' }
const draft = { key, value: Buffer.from('mine'), expiresAt: never }

interface Bench {
  readonly store: Store
  /** Somebody else's store over the same records, which never fails. */
  readonly rival: Store
  readonly driver: FaultyDriver
  readonly clock: ReturnType<typeof fakeClock>
  /** What the failing store has sent since it was opened. */
  readonly sent: () => string
  /** From now on calls suffer these, one each; then nothing. */
  readonly suffer: (...faults: (Fault | undefined)[]) => void
  /** Does something right before the call of that number, counted from the last `suffer`. */
  readonly before: (nth: number, act: () => Promise<unknown>) => void
}

async function bench(): Promise<Bench> {
  const clock = fakeClock({ sleeps: 'instant' })
  const memory = memoryDriver()
  let faults: (Fault | undefined)[] = []
  let acts = new Map<number, () => Promise<unknown>>()
  let seen: DriverCall[] = []
  const driver = withFaults(memory, {
    plan: ({ operation }) => (operation === 'open' ? undefined : faults.shift()),
    gate: {
      async before(call) {
        seen.push(call)
        await acts.get(seen.length)?.()
        return undefined
      },
      after: () => undefined,
    },
  })
  const store = guard(driver, { clock })
  const rival = guard(memory, { clock })
  await store.open()
  return {
    store,
    rival,
    driver,
    clock,
    sent: () => seen.map(({ operation }) => operation).join(' '),
    suffer: (...next) => {
      faults = next
      acts = new Map()
      seen = []
    },
    before: (nth, act) => acts.set(nth, act),
  }
}

function versionOf(written: Written): string {
  assert.ok(written.status === 'done', `it was ${written.status}`)
  return written.version
}

async function stored(store: Store, of = key): Promise<{ version: string; text: string } | undefined> {
  const record = await store.read(of, { expired: true })
  return record && { version: record.version, text: Buffer.from(record.value).toString() }
}

describe('a create whose answer is lost', () => {
  it('is done if the record is mine', async () => {
    const { store, suffer, sent } = await bench()
    suffer('loseAnswer')
    const version = versionOf(await store.create(draft))
    assert.equal(sent(), 'create read')
    assert.deepEqual(await stored(store), { version, text: 'mine' })
  })

  it('is sent again if nothing is there, or only what has expired', async () => {
    for (const expired of [false, true]) {
      const { store, rival, clock, suffer, sent } = await bench()
      if (expired) {
        await rival.create({ ...draft, expiresAt: clock.now() + 10 })
        clock.advance(10)
      }
      suffer('loseRequest')
      const version = versionOf(await store.create(draft))
      assert.equal(sent(), 'create read create')
      assert.deepEqual(await stored(store), { version, text: 'mine' })
    }
  })

  it('is unknown if somebody else’s is there: mine may have been replaced by it', async () => {
    const { store, rival, suffer, sent } = await bench()
    suffer('loseRequest')
    await rival.create({ ...draft, value: Buffer.from('theirs') })
    assert.deepEqual(await store.create(draft), { status: 'unknown' })
    assert.equal(sent(), 'create read')
    assert.equal((await stored(store))?.text, 'theirs')
  })

  it('is done if the second sending meets the first, which came late', async () => {
    const { store, driver, suffer, before, sent } = await bench()
    suffer('late')
    before(3, () => driver.deliverLate())
    const version = versionOf(await store.create(draft))
    assert.equal(sent(), 'create read create read')
    assert.equal((await stored(store))?.version, version)
  })

  it('is never found done twice when the first comes after the second', async () => {
    const { store, driver, suffer } = await bench()
    suffer('late')
    const version = versionOf(await store.create(draft))
    assert.equal(await driver.deliverLate(), 1)
    assert.equal((await stored(store))?.version, version)
  })
})

describe('a replace whose answer is lost', () => {
  async function started(): Promise<Bench & { rewrite: Parameters<Store['replace']>[0]; expected: string }> {
    const made = await bench()
    const expected = versionOf(await made.rival.create({ ...draft, value: Buffer.from('before') }))
    return { ...made, expected, rewrite: { ...draft, expected } }
  }

  it('is done if the record is at my version', async () => {
    const { store, suffer, sent, rewrite } = await started()
    suffer('loseAnswer')
    const version = versionOf(await store.replace(rewrite))
    assert.equal(sent(), 'replace read')
    assert.deepEqual(await stored(store), { version, text: 'mine' })
  })

  it('is sent again if the record is at the version that I expected', async () => {
    const { store, suffer, sent, rewrite } = await started()
    suffer('loseRequest')
    const version = versionOf(await store.replace(rewrite))
    assert.equal(sent(), 'replace read replace')
    assert.deepEqual(await stored(store), { version, text: 'mine' })
  })

  it('is unknown if the record is at another version, whether mine was in between or not', async () => {
    for (const fault of ['loseAnswer', 'loseRequest'] as const) {
      const { store, rival, suffer, before, sent, rewrite } = await started()
      suffer(fault)
      before(2, async () => {
        const { version } = (await stored(rival))!
        versionOf(await rival.replace({ ...draft, expected: version, value: Buffer.from('theirs') }))
      })
      assert.deepEqual(await store.replace(rewrite), { status: 'unknown' })
      assert.equal(sent(), 'replace read')
      assert.equal((await stored(store))?.text, 'theirs')
    }
  })

  it('is unknown if nothing is there any more', async () => {
    const { store, rival, suffer, before, rewrite } = await started()
    suffer('loseAnswer')
    before(2, () => rival.remove([key]))
    assert.deepEqual(await store.replace(rewrite), { status: 'unknown' })
  })

  it('is done if the conflict of the second sending is with the first', async () => {
    const { store, driver, suffer, before, sent, rewrite } = await started()
    suffer('late')
    before(3, () => driver.deliverLate())
    const version = versionOf(await store.replace(rewrite))
    assert.equal(sent(), 'replace read replace read')
    assert.equal((await stored(store))?.version, version)
  })

  it('is unknown if the conflict of the second sending is with somebody else', async () => {
    const { store, rival, suffer, before, rewrite, expected } = await started()
    suffer('loseRequest')
    before(3, () => rival.replace({ ...draft, expected, value: Buffer.from('theirs') }))
    assert.deepEqual(await store.replace(rewrite), { status: 'unknown' })
    assert.equal((await stored(store))?.text, 'theirs')
  })

  it('is unknown if the record expires before the second sending, and is not revived', async () => {
    const { store, rival, clock, suffer, before, sent } = await bench()
    const expected = versionOf(await rival.create({ ...draft, expiresAt: clock.now() + 1_000 }))
    suffer('loseRequest')
    before(2, async () => clock.advance(1_000))
    assert.deepEqual(await store.replace({ ...draft, expected }), { status: 'unknown' })
    assert.equal(sent(), 'replace read replace read')
    assert.equal(await store.read(key), undefined)
  })

  it('is seen by a strict read that sees the expired too', async () => {
    const { store, suffer, driver, rewrite } = await started()
    suffer('loseAnswer')
    await store.replace({ ...rewrite, setsExpiry: true, expiresAt: 1 })
    assert.deepEqual(driver.calls.at(-1)?.operation, 'read')
    assert.equal((await stored(store))?.text, 'mine')
  })

  it('buries what has expired, and knows its tombstone', async () => {
    const { store, rival, clock, suffer, sent } = await bench()
    const expected = versionOf(await rival.create({ ...draft, expiresAt: clock.now() + 10 }))
    clock.advance(10)
    for (const fault of ['loseRequest', 'loseAnswer'] as const) {
      suffer(fault)
      const tombstone = {
        key,
        expected,
        value: Buffer.from('tombstone'),
        expiresAt: clock.now() + 1_000,
        expired: true,
      }
      const written = await store.replace(
        fault === 'loseRequest' ? tombstone : { ...tombstone, expected: (await stored(rival))!.version },
      )
      versionOf(written)
      assert.equal((await stored(store))?.text, 'tombstone')
    }
    assert.equal(sent(), 'replace read read')
  })

  it('takes an error without a name, and a passed deadline, for a lost answer', async () => {
    for (const error of [new Error('socket hang up'), new TypeError('a bug in the client')]) {
      const { store, suffer, sent, rewrite } = await started()
      suffer(error)
      versionOf(await store.replace(rewrite))
      assert.equal(sent(), 'replace read replace')
    }
  })
})

function repeated(fault: Fault, times: number): Fault[] {
  return Array.from({ length: times }, () => fault)
}

describe('a write that cannot be settled', () => {
  const outcomes: [string, (Fault | undefined)[], string][] = [
    [
      'three sendings are lost',
      ['loseRequest', undefined, 'loseRequest', undefined, 'loseRequest'],
      'create read create read create read',
    ],
    ['five strict reads fail', ['loseAnswer', ...repeated('fail', 5)], 'create read read read read read'],
    [
      'the second sending fails, for the first may still arrive',
      ['late', undefined, 'fail'],
      'create read create',
    ],
  ]
  for (const [name, faults, calls] of outcomes) {
    it(`has an unknown outcome: ${name}`, async () => {
      const { store, suffer, sent } = await bench()
      suffer(...faults)
      await assert.rejects(store.create(draft), (error: OutcomeUnknown) => {
        assert.ok(error instanceof OutcomeUnknown, String(error))
        assert.match(error.message, /create of sessions\/x/)
        assert.ok(error.cause instanceof Error)
        return true
      })
      assert.equal(sent(), calls)
    })
  }

  it('is asked about again when the strict read fails for a moment', async () => {
    const { store, suffer, sent } = await bench()
    suffer('loseAnswer', 'fail', 'fail')
    versionOf(await store.create(draft))
    assert.equal(sent(), 'create read read read')
  })

  it('is not sent again after the deadline', async () => {
    const { store, clock, suffer, before, sent } = await bench()
    suffer('loseRequest')
    before(2, async () => clock.advance(4_995))
    await assert.rejects(store.create(draft), OutcomeUnknown)
    assert.equal(sent(), 'create read')
  })

  it('is not sent again after the caller gave up, and does not pretend that nothing happened', async () => {
    const { store, suffer, before, sent } = await bench()
    const controller = new AbortController()
    suffer('loseRequest')
    before(2, async () => controller.abort(new Error('hung up')))
    await assert.rejects(store.create(draft, { signal: controller.signal }), OutcomeUnknown)
    assert.equal(sent(), 'create read')
  })

  it('is a plain failure if it was never sent', async () => {
    const { store, suffer, sent } = await bench()
    suffer('fail')
    await assert.rejects(store.create(draft), StoreUnavailable)
    assert.equal(sent(), 'create')
  })
})

describe('a touch whose answer is lost', () => {
  it('is sent again, whether it was carried out or not', async () => {
    for (const fault of ['loseAnswer', 'loseRequest'] as const) {
      const { store, rival, clock, suffer, sent } = await bench()
      const version = versionOf(await rival.create({ ...draft, expiresAt: clock.now() + 1_000 }))
      suffer(fault)
      const expiresAt = clock.now() + 5_000
      assert.deepEqual(await store.touch([{ key, version, expiresAt }]), ['done'])
      assert.equal(sent(), 'touch touch')
      assert.equal((await store.read(key))?.expiresAt, expiresAt)
    }
  })

  it('is unknown when three are lost, or a later one fails', async () => {
    for (const [faults, calls] of [
      [['loseAnswer', 'loseAnswer', 'loseAnswer'], 'touch touch touch'],
      [['loseAnswer', 'fail'], 'touch touch'],
    ] as const) {
      const { store, rival, suffer, sent } = await bench()
      const version = versionOf(await rival.create(draft))
      suffer(...faults)
      await assert.rejects(store.touch([{ key, version, expiresAt: never }]), OutcomeUnknown)
      assert.equal(sent(), calls)
    }
  })
})

describe('a removal and a sweep whose answer is lost', () => {
  it('are repeated if that makes no difference, and unknown if it does', async () => {
    const { store, rival, suffer, sent } = await bench()
    await rival.create(draft)
    suffer('loseAnswer')
    await store.remove([key])
    assert.equal(sent(), 'remove remove')
    // A second sweep would not answer with what the first removed.
    suffer('loseAnswer')
    await assert.rejects(store.sweep(), OutcomeUnknown)
    assert.equal(sent(), 'sweep')
  })
})

describe('a batch whose answer is lost', () => {
  async function started(): Promise<Bench & { items: Parameters<Store['write']>[0] }> {
    const made = await bench()
    const expected = versionOf(await made.rival.create({ ...draft, key: other }))
    const items = [
      { type: 'create' as const, ...draft },
      { type: 'replace' as const, ...draft, key: other, expected },
    ]
    return { ...made, items }
  }

  it('is done if one of its versions is there', async () => {
    const { store, suffer, sent, items } = await started()
    suffer('loseAnswer')
    const written = await store.write(items)
    assert.equal(sent(), 'write read')
    assert.ok(written.status === 'done')
    assert.deepEqual(written.versions, [
      (await stored(store))?.version,
      (await stored(store, other))?.version,
    ])
  })

  it('is done if one of its records was replaced since, and another not', async () => {
    const { store, rival, suffer, before, items } = await started()
    suffer('loseAnswer')
    before(2, async () => {
      const { version } = (await stored(rival))!
      versionOf(await rival.replace({ ...draft, expected: version, value: Buffer.from('theirs') }))
    })
    assert.equal((await store.write(items)).status, 'done')
  })

  it('is sent again if everything is as it was', async () => {
    const { store, suffer, sent, items } = await started()
    suffer('loseRequest')
    assert.equal((await store.write(items)).status, 'done')
    assert.equal(sent(), 'write read write')
  })

  it('is unknown if something is otherwise', async () => {
    const { store, rival, suffer, sent, items } = await started()
    suffer('loseRequest')
    await rival.create({ ...draft, value: Buffer.from('theirs') })
    assert.deepEqual(await store.write(items), { status: 'unknown' })
    assert.equal(sent(), 'write read')
    assert.equal((await stored(store, other))?.text, 'mine')
  })

  it('is done if the second sending meets the first, which came late', async () => {
    const { store, driver, suffer, before, sent, items } = await started()
    suffer('late')
    before(3, () => driver.deliverLate())
    assert.equal((await store.write(items)).status, 'done')
    assert.equal(sent(), 'write read write read')
  })

  it('of touches only is sent again', async () => {
    const { store, rival, suffer, sent } = await bench()
    const version = versionOf(await rival.create(draft))
    suffer('loseAnswer')
    const written = await store.write([{ type: 'touch', key, version, expiresAt: never }])
    assert.deepEqual(written, { status: 'done', versions: [version] })
    assert.equal(sent(), 'write read write')
  })

  it('is refused, not unknown, where no answer was lost', async () => {
    const { store, rival, items } = await started()
    await rival.create(draft)
    assert.deepEqual(await store.write(items), { status: 'refused', outcomes: ['conflict', 'done'] })
  })
})

describe('traceOf', () => {
  it('tells mine, untouched and other apart', () => {
    const found = (version: string, live = true) => ({ version, live })
    assert.equal(traceOf(found('mine'), 'mine', 'expected'), 'mine')
    assert.equal(traceOf(found('mine', false), 'mine', 'expected'), 'mine')
    assert.equal(traceOf(found('expected'), 'mine', 'expected'), 'untouched')
    assert.equal(traceOf(found('theirs'), 'mine', 'expected'), 'other')
    assert.equal(traceOf(undefined, 'mine', 'expected'), 'other')
    assert.equal(traceOf(undefined, 'mine', undefined), 'untouched')
    assert.equal(traceOf(found('theirs', false), 'mine', undefined), 'untouched')
    assert.equal(traceOf(found('theirs'), 'mine', undefined), 'other')
  })
})
