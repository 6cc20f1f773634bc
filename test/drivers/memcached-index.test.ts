/** The partial listing: an index of ids for each label that is bounded, mends itself, and never stops a login. */

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, it } from 'node:test'
import type {
  MemcachedClient,
  MemcachedOptions,
  OwnMemcachedClient,
} from '../../packages/holdfast/src/drivers/memcached.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { Tokens } from '../../packages/holdfast/src/tokens/tokens.ts'
import { type FakeClock, fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import { Bench } from './memcached/bench.ts'
import { targets } from './memcached/targets.ts'
import type { Ending } from './redis/ending.ts'

const hour = 3_600_000
const value = Buffer.from('value')
const collection = 'tokens'

for (const { name, servers, skip } of targets) {
  describe(`Memcached, partial listing, ${name}`, { skip }, () => {
    it('holds the ids of each label with when they expire, to the millisecond [K31 K60]', async (t) => {
      const index = new Index(t, servers)
      const { now } = index
      await index.create('b', now + hour + 7)
      await index.create('a', never)
      assert.deepEqual(await index.lines(), [`b ${now + hour + 7}`, `a ${never}`])
      assert.deepEqual(await index.listed(), ['a', 'b'])
    })

    it('has a token of which only the user was told, for as long as tokens live by default [K32]', async (t) => {
      const index = new Index(t, servers)
      const tokens = new Tokens(index.store, { collection })
      const { token } = await tokens.issue({ user: 'ada' })
      assert.deepEqual(await index.lines(), [`${token.id} ${index.now + hour}`])
      assert.deepEqual(await index.listed(), [token.id])
      await tokens.revoke(token.id)
      assert.deepEqual(await index.lines(), [])
    })

    it('finds a token by every one that it concerns: user, trustor and trustee [K33]', async (t) => {
      const index = new Index(t, servers)
      await index.create('a', never, ['trustee:bob', 'trustor:ada', 'user:ada'])
      for (const label of ['trustee:bob', 'trustor:ada', 'user:ada']) {
        assert.deepEqual(await index.listed([label]), ['a'])
      }
      assert.deepEqual(await index.listed(['trustee:bob', 'user:ada']), ['a'])
      assert.deepEqual(await index.listed(['trustee:ada']), [])
    })

    it('leaves nothing behind of a record that was refused [K34]', async (t) => {
      const index = new Index(t, servers)
      await index.create('a', never, ['user:eve'])
      const refused = await index.store.create({
        key: { collection, id: 'a' },
        value,
        labels: ['user:ada'],
        expiresAt: never,
      })
      assert.equal(refused.status, 'conflict')
      assert.deepEqual(await index.lines(), [])
    })

    it('drops what has expired when something is added, not what expires now, and keeps the order [K35]', async (t) => {
      const index = new Index(t, servers)
      const { now } = index
      for (const [id, lives] of Object.entries({ z: hour, past: 1, y: 2 * hour, edge: 2, x: 3 * hour })) {
        await index.create(id, now + lives)
      }
      index.clock.advance(2)
      await index.create('a', now + hour)
      const ids = (await index.lines()).map((line) => line.split(' ')[0])
      assert.deepEqual(ids, ['z', 'y', 'edge', 'x', 'a'])
      assert.deepEqual(await index.listed(), ['a', 'x', 'y', 'z'], 'what has expired is not listed')
    })

    it('keeps what was prolonged since, without being told of it [K35]', async (t) => {
      const index = new Index(t, servers)
      const { now } = index
      const version = await index.create('used', now + 10)
      await index.create('unused', now + 10)
      await index.store.touch([{ key: { collection, id: 'used' }, version, expiresAt: now + 2 * hour }])
      index.clock.advance(hour)
      await index.create('a', now + 2 * hour)
      assert.deepEqual(await index.lines(), [`used ${now + 2 * hour}`, `a ${now + 2 * hour}`])
      assert.deepEqual(await index.listed(), ['a', 'used'])
    })

    it('drops what was revoked, when it is [K36]', async (t) => {
      const index = new Index(t, servers)
      const expected = await index.create('a', never)
      await index.create('b', never)
      const burial = { expected, value, labels: ['state:revoked'], expiresAt: never, expired: true }
      await index.store.replace({ key: { collection, id: 'a' }, ...burial })
      assert.deepEqual(await index.lines(), [`b ${never}`])
      assert.deepEqual(await index.listed(['state:revoked']), ['a'])
    })

    it('drops malformed entries without a word, whatever else is in the index [K37 K42 K43 K45 K46]', async (t) => {
      const index = new Index(t, servers)
      await index.create('a', never)
      const malformed = [
        '',
        'x',
        'b 5 6',
        'c soon',
        'd -5',
        `e/f ${never}`,
        `gone ${never}`,
        '\u0000\u00ff 5',
      ]
      await index.overwrite([...malformed, `a ${never}`].join('\n'))
      assert.deepEqual(await index.listed(), ['a'])
      await index.create('b', never)
      assert.deepEqual(await index.lines(), [`gone ${never}`, `a ${never}`, `b ${never}`])
      await index.overwrite('an item of something else')
      assert.deepEqual(await index.listed(), [])
      await index.create('c', never)
      assert.deepEqual(await index.listed(), ['c'])
    })

    it('is only a finder: what a record itself does not say is not listed', async (t) => {
      const index = new Index(t, servers)
      await index.create('eves', never, ['user:eve'])
      await index.create('adas', never)
      await index.overwrite(`eves ${never}\nadas ${never}\nadas ${never}\n`)
      assert.deepEqual(await index.listed(), ['adas'])
    })

    it('has both ids when two create for one user at once, from two processes [K38 K55]', async (t) => {
      const index = new Index(t, servers)
      const other = new Index(t, servers, {}, index)
      const ids = Array.from({ length: 6 }, (_, i) => `id-${i}`)
      await Promise.all(ids.map((id, i) => (i % 2 ? index : other).create(id, never)))
      assert.deepEqual(await index.listed(), ids)
    })

    it('is given up after fifteen tries, where others are always faster, and the login stands [K55]', async (t) => {
      let tries = 0
      const index = new Index(t, servers, {}, undefined, (client) => ({
        get: (...all) => client.get(...all),
        delete: (...all) => client.delete(...all),
        servers: (...all) => client.servers(...all),
        set: async (name, bytes, options) => {
          if (name.includes('/')) return await client.set(name, bytes, options)
          tries++
          return 'exists'
        },
      }))
      await index.create('a', never)
      assert.equal(tries, 30, 'fifteen each for the index of the label and for that of the collection')
      assert.deepEqual(await index.listed(), [])
      assert.ok(await index.store.read({ collection, id: 'a' }))
    })

    it('never grows beyond its bound: the oldest make room, and nobody is kept from logging in [K31]', async (t) => {
      const index = new Index(t, servers, { maxIndex: 1_024 })
      const sessions = new Sessions(index.store, { collection })
      const ids: string[] = []
      for (let i = 0; i < 40; i++) {
        const session = await sessions.start({ user: 'ada' })
        ids.push(session.id ?? '')
        assert.equal((await sessions.load(session.credential)).user, 'ada')
      }
      const lines = await index.lines()
      assert.ok(lines.join('\n').length < 1_024)
      assert.ok(lines.length > 20)
      const kept = ids.slice(-lines.length)
      assert.deepEqual(
        lines.map((line) => line.split(' ')[0]),
        kept,
      )
      const { sessions: listed } = await sessions.list({ user: 'ada' })
      assert.deepEqual(listed.map(({ id }) => id).toSorted(), kept.toSorted())
      assert.equal(index.store.capabilities.listing, 'partial')
    })

    it('lists a whole collection, in order and in pages, both ways', async (t) => {
      const index = new Index(t, servers)
      const ids = ['~', 'a', 'A', '0', '_x', '-', 'zz', 'z', 'a1', '~~']
      for (const id of ids) await index.create(id, never, id === 'a' ? [] : ['user:ada'])
      assert.deepEqual(await index.listed([]), ids.toSorted())
      for (const limit of [1, 3, 100]) {
        assert.deepEqual(await index.listed([], { limit }), ids.toSorted())
        assert.deepEqual(await index.listed([], { limit, reverse: true }), ids.toSorted().reverse())
        const labelled = ids.filter((id) => id !== 'a').toSorted()
        assert.deepEqual(await index.listed(['user:ada'], { limit }), labelled)
        assert.deepEqual(await index.listed(['user:ada'], { limit, reverse: true }), labelled.toReversed())
      }
    })

    it('is not written where nobody asked for it', async (t) => {
      const index = new Index(t, servers, { listing: 'none' })
      await index.create('a', never)
      assert.deepEqual(await index.lines(), [])
    })
  })
}

/** A store with an index, and a look at what lies in the server. */
class Index {
  readonly clock: FakeClock
  readonly store: Store
  readonly #bench: Bench
  readonly #client: OwnMemcachedClient

  constructor(
    test: Ending,
    servers: readonly string[],
    options: MemcachedOptions = {},
    beside?: Index,
    wrap: (client: MemcachedClient) => MemcachedClient = (client) => client,
  ) {
    this.#bench = beside ? beside.#bench : new Bench(test, servers)
    this.clock = beside?.clock ?? fakeClock({ start: Date.now() })
    this.#client = this.#bench.client()
    this.store = this.#bench.store({ listing: 'partial', clock: this.clock, ...options }, wrap(this.#client))
  }

  get now(): number {
    return this.clock.now()
  }

  async create(id: string, expiresAt: number, labels: readonly string[] = ['user:ada']): Promise<string> {
    const written = await this.store.create({ key: { collection, id }, value, labels, expiresAt })
    assert.equal(written.status, 'done')
    return written.version
  }

  /** The ids of all pages. */
  async listed(
    labels: readonly string[] = ['user:ada'],
    options: { readonly limit?: number; readonly reverse?: boolean } = {},
  ): Promise<readonly string[]> {
    const ids: string[] = []
    let after: string | undefined
    do {
      const page = await this.store.list(collection, {
        labels,
        ...options,
        ...(after === undefined ? {} : { after }),
      })
      ids.push(...page.records.map(({ key }) => key.id))
      after = page.next
    } while (after !== undefined)
    return ids
  }

  /** The lines of the item that holds the index of `user:ada`. */
  async lines(): Promise<readonly string[]> {
    const [item] = await this.#client.get([this.#item])
    return item ? Buffer.from(item.value).toString().split('\n').filter(Boolean) : []
  }

  async overwrite(text: string): Promise<void> {
    await this.#client.set(this.#item, Buffer.from(text, 'latin1'))
  }

  get #item(): string {
    return `${this.#bench.namespace}:${collection}:${hash('sha256', 'user:ada', 'base64url')}`
  }
}
