/** Sessions that are bound to where they were opened: each way to compare, and each thing to do about a difference. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type {
  BindingOptions,
  BindingPolicy,
  Suspicion,
} from '../../packages/holdfast/src/sessions/binding.ts'
import type { Client } from '../../packages/holdfast/src/sessions/facts.ts'
import { Stage } from './stage.ts'

const linux = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
const newer = 'Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0'
const windows = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36'

const home: Client = { address: '192.0.2.7', agent: linux }

/** By what is compared, where else a client may be: near is the same for a loose comparison, and far for none. */
const elsewhere = {
  address: { near: { ...home, address: '192.0.2.200' }, far: { ...home, address: '198.51.100.7' } },
  agent: { near: { ...home, agent: newer }, far: { ...home, agent: windows } },
} as const

const bonds = [
  { bond: 'address', match: 'exact', takesNear: false },
  { bond: 'address', match: 'prefix', takesNear: true },
  { bond: 'agent', match: 'exact', takesNear: false },
  { bond: 'agent', match: 'family', takesNear: true },
] as const

function binding(bond: 'address' | 'agent', match: string, policy: BindingPolicy): BindingOptions {
  return { [bond]: { match, policy } }
}

/** What was told of suspicions. */
const suspicions = ({ events }: Stage): readonly string[] =>
  events.map((event) => (event.type === 'suspicious' ? `${event.bond} ${event.done}` : event.type))

for (const { bond, match, takesNear } of bonds) {
  describe(`bound to the ${bond}, ${match}`, () => {
    const { near, far } = elsewhere[bond]

    it(`knows its own client, ${takesNear ? 'also nearby' : 'and not one nearby'} [T14]`, async () => {
      const stage = new Stage({ binding: binding(bond, match, 'refuse') })
      const { credential } = await stage.sessions.start({ user: 'ada', client: home })
      assert.equal((await stage.sessions.load(credential, { client: home })).user, 'ada')
      assert.equal((await stage.sessions.load(credential, { client: near })).isNew, !takesNear)
      assert.deepEqual(suspicions(stage), takesNear ? [] : [`${bond} refused`])
    })

    it('refuse: no session elsewhere or with the header left out, and its owner goes on [T14]', async () => {
      const stage = new Stage({ binding: binding(bond, match, 'refuse') })
      for (const user of ['ada', undefined]) {
        stage.events.length = 0
        const started = await stage.sessions.start({
          ...(user === undefined ? {} : { user }),
          data: { a: 1 },
          client: home,
        })
        const { [bond]: _, ...without } = home
        for (const client of [far, without]) {
          const refused = await stage.sessions.load(started.credential, { client })
          assert.deepEqual([refused.isNew, refused.data], [true, {}])
        }
        assert.deepEqual(suspicions(stage), [`${bond} refused`, `${bond} refused`])
        assert.equal((await stage.sessions.load(started.credential, { client: home })).get('a'), 1)
      }
    })

    it('rotate: only one of the two goes on, whoever comes first', async () => {
      for (const thiefFirst of [true, false]) {
        const stage = new Stage({ binding: binding(bond, match, 'rotate') })
        const started = await stage.sessions.start({ user: 'ada', client: home })
        const [first, second] = thiefFirst ? [far, home] : [home, far]
        const one = await stage.sessions.load(started.credential, { client: first })
        const two = await stage.sessions.load(started.credential, { client: second })
        const live = [one, two].filter((session) => !session.isNew)
        if (thiefFirst) {
          // The owner's secret has ended: he is told by being logged out, and an event.
          assert.deepEqual([one.isNew, two.isNew], [false, true])
          assert.deepEqual(suspicions(stage), [`${bond} rotated`, 'late-secret'])
          assert.equal(
            (await stage.sessions.load(one.credential, { client: far })).isNew,
            false,
            'bound anew',
          )
        } else {
          assert.equal(live.length, 2)
          assert.equal((await stage.sessions.load(started.credential, { client: home })).isNew, true)
        }
        assert.notEqual(live.at(-1)?.credential, started.credential)
      }
    })

    it('rotate, in parallel: one of the requests gets the session, the others none, and none an error', async () => {
      const stage = new Stage({ binding: binding(bond, match, 'rotate') })
      const { credential } = await stage.sessions.start({ user: 'ada', client: home })
      const processes = [stage.sessions, stage.process()]
      const loaded = await Promise.all(
        Array.from({ length: 6 }, (_, i) => processes[i % 2]!.load(credential, { client: far })),
      )
      const live = loaded.filter((session) => !session.isNew)
      assert.equal(live.length, 1)
      assert.equal((await stage.sessions.load(live[0]?.credential, { client: far })).user, 'ada')
      const told = suspicions(stage)
      assert.equal(told.filter((each) => each === `${bond} rotated`).length, 1, told.join())
      assert.equal(told.filter((each) => [`${bond} refused`, 'late-secret'].includes(each)).length, 5)
    })

    it('rotate, with a store that can’t be written: nobody is told that it was', async () => {
      const stage = new Stage({ binding: binding(bond, match, 'rotate') })
      const { credential } = await stage.sessions.start({ user: 'ada', client: home })
      stage.plan = ({ writes }) => (writes ? 'fail' : undefined)
      await assert.rejects(stage.sessions.load(credential, { client: far }), {
        code: 'HOLDFAST_STORE_UNAVAILABLE',
      })
      assert.deepEqual(suspicions(stage), [`${bond} refused`])
    })

    it('rotate, where the client can’t be given a secret: refused, and its owner goes on', async () => {
      const stage = new Stage({ binding: binding(bond, match, 'rotate') })
      const { credential } = await stage.sessions.start({ user: 'ada', client: home })
      const refused = await stage.sessions.load(credential, { client: far, canRotate: false })
      assert.equal(refused.isNew, true)
      assert.deepEqual(suspicions(stage), [`${bond} refused`])
      assert.equal((await stage.sessions.load(credential, { client: home })).user, 'ada')
    })

    it('record: an event and nothing else', async () => {
      const stage = new Stage({ binding: binding(bond, match, 'record') })
      const { credential, id } = await stage.sessions.start({ user: 'ada', client: home })
      const session = await stage.sessions.load(credential, { client: far })
      assert.deepEqual([session.user, session.credential], ['ada', credential])
      assert.deepEqual(stage.events, [
        { type: 'suspicious', collection: 'sessions', id, user: 'ada', bond, done: 'accepted' },
      ])
    })

    it('a function is asked, told what it needs, and obeyed', async () => {
      for (const [answer, done] of [
        ['accept', 'accepted'],
        ['rotate', 'rotated'],
        ['refuse', 'refused'],
      ] as const) {
        const asked: Suspicion[] = []
        const stage = new Stage({
          binding: binding(bond, match, async (suspicion) => {
            asked.push(suspicion)
            await Promise.resolve()
            return answer
          }),
        })
        const { credential, id } = await stage.sessions.start({ user: 'ada', client: home })
        const session = await stage.sessions.load(credential, { client: far })
        assert.deepEqual(asked, [{ id, user: 'ada', bond, client: far }])
        assert.deepEqual(suspicions(stage), [`${bond} ${done}`])
        assert.equal(session.isNew, answer === 'refuse')
        assert.equal(session.isNew || session.credential === credential, answer !== 'rotate')
      }
    })
  })
}

describe('a binding', () => {
  it('whose policy or match nobody knows is refused, and an answer that nobody knows refuses', async () => {
    for (const options of [
      { address: { match: 'exact', policy: 'deny' } },
      { address: { match: 'family', policy: 'refuse' } },
      { agent: { match: 'prefix', policy: 'refuse' } },
      { agent: { match: 'exact' } },
    ]) {
      assert.throws(() => new Stage({ binding: options as never }), { code: 'HOLDFAST_INVALID_OPTION' })
    }
    for (const answer of [undefined, null, true, 'yes', 'toString']) {
      const stage = new Stage({ binding: binding('address', 'exact', () => answer as never) })
      const { credential } = await stage.sessions.start({ client: home })
      const session = await stage.sessions.load(credential, { client: elsewhere.address.far })
      assert.equal(session.isNew, true, String(answer))
    }
  })

  it('is to both: each difference is told, and the strictest policy is what is done', async () => {
    const options: BindingOptions = {
      address: { match: 'exact', policy: 'record' },
      agent: { match: 'exact', policy: 'refuse' },
    }
    const stage = new Stage({ binding: options })
    const { credential } = await stage.sessions.start({ client: home })
    const client = { address: '198.51.100.7', agent: windows }
    assert.equal((await stage.sessions.load(credential, { client })).isNew, true)
    assert.deepEqual(suspicions(stage), ['address refused', 'agent refused'])
  })

  it('takes one address in other forms for the same', async () => {
    const stage = new Stage({ binding: binding('address', 'exact', 'refuse') })
    const { credential } = await stage.sessions.start({ client: { address: '::ffff:192.0.2.7' } })
    for (const address of ['192.0.2.7', '::ffff:c000:207']) {
      assert.equal((await stage.sessions.load(credential, { client: { address } })).isNew, false)
    }
  })

  for (const [bond, before, after] of [
    ['address', 'exact', 'prefix'],
    ['address', 'prefix', 'exact'],
    ['agent', 'exact', 'family'],
    ['agent', 'family', 'exact'],
  ] as const) {
    it(`to the ${bond} goes on when ${before} becomes ${after}, and is ${after} from the next use on`, async () => {
      const options = { idle: '30m', touchEvery: 0.1 } as const
      const stage = new Stage({ ...options, binding: binding(bond, before, 'refuse') })
      const { credential } = await stage.sessions.start({ user: 'ada', client: home })
      const later = stage.process({ ...options, binding: binding(bond, after, 'refuse') })
      const isLetIn = async (client: Client) => (await later.load(credential, { client })).user === 'ada'
      const { near, far } = elsewhere[bond]
      const isLoose = before !== 'exact'
      assert.deepEqual([await isLetIn(home), await isLetIn(near), await isLetIn(far)], [true, isLoose, false])
      stage.clock.advance(5 * 60_000)
      // Nobody who is refused, and nobody who is only recorded, becomes what it is bound to.
      assert.equal(await isLetIn(far), false)
      const lenient = stage.process({ ...options, binding: binding(bond, after, 'record') })
      assert.equal((await lenient.load(credential, { client: far })).user, 'ada')
      stage.clock.advance(5 * 60_000)
      const calls = await stage.callsOf(async () => {
        assert.equal(await isLetIn(home), true)
        assert.deepEqual([await isLetIn(near), await isLetIn(far)], [!isLoose, false])
        stage.clock.advance(5 * 60_000)
        assert.equal(await isLetIn(home), true)
      })
      assert.deepEqual(
        calls.filter(({ writes }) => writes).map(({ operation }) => operation),
        ['replace', 'touch'],
      )
    })
  }

  it('that was stored before it was noted how it is compared is compared as today, and noted', async () => {
    const options = { idle: '30m', binding: binding('address', 'prefix', 'refuse') } as const
    const stage = new Stage(options)
    const { credential, id = '' } = await stage.sessions.start({ user: 'ada', client: home })
    const key = { collection: 'sessions', id }
    const bondsIn = async () => {
      const record = await stage.store.read(key, { strict: true })
      const value = JSON.parse(Buffer.from(record!.value).toString()) as {
        facts: { bonds: { match?: unknown } }
      }
      return { record: record!, value, bonds: value.facts.bonds }
    }
    const { record, value, bonds } = await bondsIn()
    delete bonds.match
    const { version: expected, expiresAt } = record
    await stage.store.replace({ key, expected, value: Buffer.from(JSON.stringify(value)), expiresAt })
    const { near, far } = elsewhere.address
    assert.equal((await stage.sessions.load(credential, { client: near })).user, 'ada')
    assert.equal((await stage.sessions.load(credential, { client: far })).isNew, true)
    stage.clock.advance(10 * 60_000)
    assert.equal((await stage.sessions.load(credential, { client: near })).user, 'ada')
    assert.deepEqual((await bondsIn()).bonds.match, { address: 'prefix' })
  })

  it('is renewed with each secret: by a login, a rotation and a step-up', async () => {
    const stage = new Stage({ binding: binding('address', 'exact', 'refuse') })
    const { far } = elsewhere.address
    const started = await stage.sessions.start({ user: 'ada', client: home })
    await started.login('ada')
    assert.equal((await stage.sessions.load(started.credential, { client: home })).isNew, false)
    assert.equal((await stage.sessions.load(started.credential, { client: far })).isNew, true)
  })

  it('stores no address and no user agent, only salted digests', async () => {
    const stage = new Stage({
      binding: { address: { match: 'exact', policy: 'refuse' }, agent: { match: 'exact', policy: 'refuse' } },
    })
    await stage.sessions.start({ client: home })
    await stage.sessions.start({ client: home })
    const values = (await stage.records()).map(({ value }) => Buffer.from(value).toString())
    for (const value of values) assert.doesNotMatch(value, /192\.0\.2|Firefox|Linux/)
    const bound = values.map(
      (value) => (JSON.parse(value) as { facts: { bonds: { address: string } } }).facts.bonds,
    )
    assert.notEqual(bound[0]?.address, bound[1]?.address)
  })

  it('compares nothing for those who don’t say where they come from, and for sessions from before it', async () => {
    const stage = new Stage()
    const { credential } = await stage.sessions.start({ client: home })
    const strict = stage.process({ binding: binding('address', 'exact', 'refuse') })
    assert.equal((await strict.load(credential, { client: elsewhere.address.far })).isNew, false)
    const bound = await strict.start({ client: home })
    assert.equal((await strict.load(bound.credential)).isNew, false)
  })

  it('that rotates leaves the session to its owner where the connection is gone, and has no address', async () => {
    const stage = new Stage({ binding: binding('address', 'exact', 'rotate') })
    const { credential } = await stage.sessions.start({ user: 'ada', client: home })
    for (const client of [{}, { address: '' }]) {
      assert.equal((await stage.sessions.load(credential, { client })).isNew, true)
    }
    assert.deepEqual(suspicions(stage), ['address refused', 'address refused'])
    assert.equal((await stage.sessions.load(credential, { client: home })).user, 'ada')
  })

  it('that refuses does not keep the session alive for whoever was refused', async () => {
    const stage = new Stage({ binding: binding('address', 'exact', 'refuse'), touchEvery: 0, idle: '10m' })
    const { credential, expiresAt } = await stage.sessions.start({ client: home })
    stage.clock.advance(60_000)
    await stage.sessions.load(credential, { client: elsewhere.address.far })
    assert.equal((await stage.records())[0]?.expiresAt, expiresAt)
  })
})
