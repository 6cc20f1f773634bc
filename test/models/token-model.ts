/** What tokens promise, as simply as it can be said, and the real ones beside it. See the model of sessions. */

import assert from 'node:assert/strict'
import { assemble, mintId, mintSecret } from '../../packages/holdfast/src/credentials/credential.ts'
import { HoldfastError } from '../../packages/holdfast/src/errors.ts'
import type { Driver } from '../../packages/holdfast/src/store/contract.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import { Tokens } from '../../packages/holdfast/src/tokens/tokens.ts'
import { FaultyWorld, type PlannedFault, type WorldOptions } from './faulty-world.ts'

const users = ['ada', 'bob'] as const
const names = [undefined, undefined, 'laptop', 'phone'] as const
const lives = [60_000, 3_600_000, 'never'] as const
const retention = 7_200_000

export const kinds = [
  'issue',
  'verify',
  'get',
  'revoke',
  'revoke by credential',
  'revoke all',
  'list',
  'revocations',
  'wait',
  'wait until',
  'sweep',
  'deliver late',
] as const

/** One step: what, and which of the things that there are. */
export interface Step {
  readonly kind: (typeof kinds)[number]
  readonly which: number
  readonly how: number
  readonly fault?: PlannedFault
}

interface Known {
  readonly id: string
  readonly user: string
  readonly name: string | undefined
  readonly credential: string
  readonly labels: readonly string[]
  readonly expiresAt: number
  /** `doubtful`: whoever revoked it was told that it is not known whether that happened. */
  state: 'live' | 'doubtful' | 'revoked'
  /** When whoever revoked it was first told so, or that it is not known. */
  revokedFrom?: number
  revokedAt?: number
}

export class TokenModel {
  readonly world: FaultyWorld
  readonly #processes: readonly Tokens[]
  readonly #known: Known[] = []
  /** Names whose issue failed: until then they may be kept for somebody who doesn't come any more. */
  readonly #doubtfulNames = new Map<string, number>()

  constructor(driver: Driver, options: WorldOptions = {}) {
    this.world = new FaultyWorld(driver, options)
    this.#processes = [0, 1].map(() => new Tokens(this.world.store(), { retention }))
  }

  async take(step: Step): Promise<void> {
    await this.world.open()
    await this.#take(step)
    const [tokens] = this.#processes
    const living: (readonly [user: string, name: string | undefined])[] = []
    for (const known of this.#known) {
      const found = await tokens!.verify(known.credential)
      if (known.state !== 'doubtful') assert.equal(found !== undefined, this.#isAlive(known), known.state)
      if (!found) continue
      const { user, name, labels, expiresAt } = found
      living.push([user, name])
      assert.deepEqual(
        { user, name, labels, expiresAt },
        {
          user: known.user,
          name: known.name,
          labels: known.labels,
          expiresAt: known.expiresAt,
        },
      )
    }
    for (const user of users) {
      const named = this.#lists
        ? (await tokens!.list({ user, limit: 1_000 })).tokens.map(({ name }) => name)
        : living.filter(([owner]) => owner === user).map(([, name]) => name)
      const held = named.filter((name) => name !== undefined)
      assert.equal(new Set(held).size, held.length, `${user} has ${held.join()}: a name has one holder`)
    }
  }

  get #lists(): boolean {
    return this.world.truth.capabilities.listing === 'complete'
  }

  get #now(): number {
    return this.world.clock.now()
  }

  async #take({ kind, which, how, fault }: Step): Promise<void> {
    const tokens = this.#processes[how % 2]!
    const known = this.#known[which % Math.max(1, this.#known.length)]
    switch (kind) {
      case 'issue': {
        await this.#issue(tokens, which, how, fault)
        return
      }
      case 'verify': {
        await this.#verify(tokens, known, how, fault)
        return
      }
      case 'get': {
        const found = known && (await this.#tried(fault, () => tokens.get(known.id)))
        if (known && typeof found !== 'string' && known.state !== 'doubtful') {
          assert.equal(found !== undefined, this.#isAlive(known))
        }
        return
      }
      case 'revoke':
        if (known) await this.#revoke([known], fault, () => tokens.revoke(known.id))
        return
      case 'revoke by credential':
        if (known) await this.#revoke([known], fault, () => tokens.revokeCredential(known.credential))
        return
      case 'revoke all': {
        const user = users[which % 2]!
        const filter = { user, ...(how % 3 === 0 ? { labels: ['tenant:t1'] } : {}) }
        const struck = this.#known.filter(
          (each) => each.user === user && (how % 3 > 0 || each.labels.length === 2),
        )
        await this.#revoke(struck, fault, () => tokens.revokeAll(filter))
        return
      }
      case 'list': {
        await this.#list(tokens, users[which % 2]!, fault)
        return
      }
      case 'revocations': {
        await this.#revocations(tokens, how)
        return
      }
      case 'wait':
        this.world.clock.advance([1, 1_000, 59_999, 60_000, 600_000, 3_540_000][which % 6]!)
        return
      case 'wait until': {
        const boundary = known && known.expiresAt !== never ? known.expiresAt : this.#now
        this.world.clock.advance(Math.max(0, boundary - (how % 2) - this.#now))
        return
      }
      case 'sweep':
        await this.world.truth.sweep()
        return
      case 'deliver late':
        await this.world.driver.deliverLate()
    }
  }

  async #issue(tokens: Tokens, which: number, how: number, fault: PlannedFault | undefined): Promise<void> {
    const user = users[which % 2]!
    const name = names[how % names.length]
    const labels = which % 3 === 0 ? ['tenant:t1'] : []
    const life = lives[how % lives.length]!
    const options = { user, labels, expiresIn: life, ...(name === undefined ? {} : { name }) }
    const issued = await this.#tried(fault, () => tokens.issue(options))
    const slot = `${user} ${name}`
    const holder = this.#known.find((each) => each.user === user && each.name === name && this.#isAlive(each))
    const doubtful = this.#now < (this.#doubtfulNames.get(slot) ?? 0) || undefined
    if (typeof issued !== 'string') {
      if (name !== undefined && holder?.state === 'live') assert.fail(`${slot} is held by another`)
      const { id, expiresAt } = issued.token
      const all = [...labels, `user:${user}`]
      this.#known.push({
        id,
        user,
        name,
        credential: issued.credential,
        labels: all,
        expiresAt,
        state: 'live',
      })
      return
    }
    if (!this.world.struck) {
      assert.equal(issued, 'HOLDFAST_NAME_TAKEN')
      assert.ok(
        name !== undefined && (holder ?? doubtful ?? (await this.#isListed(tokens, user, name))),
        slot,
      )
      return
    }
    if (name !== undefined) this.#doubtfulNames.set(slot, this.#now + 60_000)
  }

  /** Whether a token that nobody was told of lives under the name. */
  async #isListed(tokens: Tokens, user: string, name: string): Promise<boolean> {
    const { tokens: listed } = await tokens.list({ user, limit: 1_000 })
    return listed.some((each) => each.name === name)
  }

  async #verify(
    tokens: Tokens,
    known: Known | undefined,
    how: number,
    fault: PlannedFault | undefined,
  ): Promise<void> {
    const wrong = assemble('hft_', { id: known?.id ?? mintId(), secret: mintSecret() })
    const isWrong = !known || how % 5 === 0
    const found = await this.#tried(fault, () => tokens.verify(isWrong ? wrong : known.credential))
    if (typeof found === 'string') return
    if (isWrong) assert.equal(found, undefined)
    else if (known.state !== 'doubtful') assert.equal(found?.id, this.#isAlive(known) ? known.id : undefined)
  }

  async #revoke(
    struck: readonly Known[],
    fault: PlannedFault | undefined,
    real: () => Promise<unknown>,
  ): Promise<void> {
    const living = struck.filter((each) => this.#isAlive(each))
    const outcome = await this.#tried(fault, real)
    const failed = typeof outcome === 'string'
    if (!failed && !this.world.struck && struck.every(({ state }) => state !== 'doubtful')) {
      if (Array.isArray(outcome)) for (const { id } of living) assert.ok(outcome.includes(id))
      else assert.equal(outcome, living.length > 0)
    }
    for (const each of struck) {
      if (each.state === 'revoked') continue
      // What has expired is gone by itself: it is on no list.
      if (!this.#isAlive(each) && each.state === 'live') continue
      each.state = failed ? 'doubtful' : 'revoked'
      each.revokedFrom ??= this.#now
      each.revokedAt = this.#now
    }
  }

  async #list(tokens: Tokens, user: string, fault: PlannedFault | undefined): Promise<void> {
    const page = await this.#tried(fault, () => tokens.list({ user, limit: 1_000 }))
    if (typeof page === 'string') return
    const ids = new Set(page.tokens.map(({ id }) => id))
    for (const each of this.#known) {
      if (each.state === 'doubtful') continue
      assert.equal(ids.has(each.id), each.user === user && this.#isAlive(each), 'the list')
    }
  }

  async #revocations(tokens: Tokens, how: number): Promise<void> {
    const since = how % 2 === 0 ? undefined : this.#now - how * 100_000
    const ids = new Set<string>()
    let after: string | undefined
    do {
      const options = {
        limit: 2,
        ...(since === undefined ? {} : { since }),
        ...(after === undefined ? {} : { after }),
      }
      const page = await tokens.revocations(options)
      for (const { id } of page.revocations) ids.add(id)
      after = page.next
    } while (after !== undefined)
    for (const each of this.#known) {
      if (each.state === 'live')
        assert.equal(ids.has(each.id), false, 'what lives is not on the revocation list')
      const { revokedAt, revokedFrom } = each
      if (each.state !== 'revoked' || revokedAt === undefined || revokedFrom === undefined) continue
      const over = this.#now >= each.expiresAt || this.#now >= revokedAt + retention
      if (over) assert.equal(ids.has(each.id), false, 'what is over is not on the revocation list')
      else if (revokedFrom >= (since ?? 0) && this.#now < revokedFrom + retention)
        assert.ok(ids.has(each.id), 'what was revoked is on the list')
    }
  }

  #isAlive({ state, expiresAt }: Known): boolean {
    return state !== 'revoked' && this.#now < expiresAt
  }

  async #tried<T>(fault: PlannedFault | undefined, work: () => Promise<T>): Promise<T | string> {
    try {
      return await this.world.under(fault, work)
    } catch (error) {
      if (error instanceof HoldfastError) return error.code
      throw error
    }
  }
}
