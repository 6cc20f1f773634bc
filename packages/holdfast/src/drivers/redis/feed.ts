/**
 * Tells of changes by publish and subscribe. Each record's script publishes the record's member at the master that
 * runs it; the feed is subscribed at *every* master, over connections of its own, so that no message has to cross the
 * bus of the cluster, where it could get lost unseen. A lost connection is seen, and answered by `broken`, a new
 * connection, `restored` and `reset`.
 */

import { randomBytes } from 'node:crypto'
import { systemClock } from '../../clock.ts'
import { StoreUnavailable } from '../../errors.ts'
import type { Change, Watch } from '../../store/contract.ts'
import type { Master, RedisSubscriber, Wire } from './client.ts'
import { failure } from './failure.ts'
import { bucketCount, keyOf, type Layout } from './layout.ts'
import { slotCount, slotOf } from './slot.ts'

/** Milliseconds after which an echo or a connection that doesn't come is given up. */
const patience = 5_000
/** Milliseconds between two attempts to come back. */
const firstPause = 50
const longestPause = 2_000

/** The subscription at one master. */
interface Link {
  readonly master: Master
  readonly connection: RedisSubscriber
  readonly channels: readonly string[]
  /** The slots that the master had when this was subscribed, as it wrote them. */
  readonly slots: string
}

export class Feed implements Watch {
  readonly #wire: Wire
  readonly #layout: Layout
  readonly #listener: (change: Change) => void
  readonly #echoes = new Map<string, () => void>()
  readonly #breaks = new Set<(cause: Error) => void>()
  #links: readonly Link[] = []
  #cancelPause: (() => void) | undefined
  #state: 'new' | 'up' | 'broken' | 'closed' = 'new'

  constructor(wire: Wire, layout: Layout, listener: (change: Change) => void) {
    this.#wire = wire
    this.#layout = layout
    this.#listener = listener
  }

  /** Subscribes everywhere. @throws {StoreUnavailable} */
  async start(): Promise<void> {
    await this.#connect()
    this.#state = 'up'
  }

  async mark(): Promise<void> {
    if (this.#state !== 'up') throw new StoreUnavailable('the feed of changes is broken')
    const links = this.#links
    try {
      await Promise.all(links.map((link) => this.#echo(link)))
      await this.#refuseMoved(links)
    } catch (error) {
      this.#break(error)
      throw new StoreUnavailable('the feed of changes is broken', { cause: error })
    }
  }

  close(): void {
    this.#state = 'closed'
    this.#cancelPause?.()
    this.#disconnect(new StoreUnavailable('the watch was closed'))
  }

  /** Publishes a nonce where the records publish, and waits until it has come back. */
  async #echo({ master, channels }: Link): Promise<void> {
    const [channel] = channels
    if (channel === undefined) return
    const nonce = `!${randomBytes(9).toString('base64url')}`
    await this.#within(patience, (resolve) => {
      this.#echoes.set(nonce, resolve)
      return master.send(['PUBLISH', channel, nonce])
    }).finally(() => this.#echoes.delete(nonce))
  }

  /** Where slots have moved to another master since, what that one tells may have been missed. */
  async #refuseMoved(links: readonly Link[]): Promise<void> {
    const now = await Promise.all(links.map(({ master }) => this.#slots(master)))
    if (now.some((slots, i) => slots !== links[i]?.slots)) throw new StoreUnavailable('slots have moved')
  }

  async #connect(): Promise<void> {
    const masters = await this.#wire.masters()
    const opening = await Promise.allSettled(masters.map((master) => this.#link(master)))
    const links = opening.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    const failed = opening.find((each) => each.status === 'rejected')
    if (failed) {
      for (const { connection } of links) connection.destroy()
      throw failure(failed.reason)
    }
    this.#links = links
    await this.#refuseGaps(links)
  }

  /** Every bucket has to be told by somebody. A client that knows the old masters only learns of the new by asking. */
  async #refuseGaps(links: readonly Link[]): Promise<void> {
    const told = new Set(links.flatMap(({ channels }) => channels))
    const silent = this.#all().find(({ channel }) => !told.has(channel))
    if (!silent) return
    this.#disconnect(new StoreUnavailable('not all slots have a master'))
    await this.#wire.send(silent.tag, ['EXISTS', silent.tag])
    throw new StoreUnavailable('not all slots have a master that this client knows')
  }

  async #link(master: Master): Promise<Link> {
    const slots = await this.#slots(master)
    const own = slotsIn(slots)
    const channels = this.#all().flatMap(({ tag, channel }) => (own.has(slotOf(tag)) ? [channel] : []))
    const connection = master.subscriber()
    // A second error of the same connection, or one before it was ready, has nothing more to tell.
    const lost = new Promise<never>((_, reject) => {
      connection.on('error', (cause) => {
        reject(failure(cause))
        if (this.#links.some((link) => link.connection === connection)) this.#break(cause)
      })
    })
    lost.catch(() => undefined)
    try {
      await this.#within(patience, async (resolve) => {
        await Promise.race([connection.connect(), lost])
        if (channels.length > 0) {
          await Promise.race([connection.subscribe([...channels], (message) => this.#told(message)), lost])
        }
        resolve()
      })
      return { master, connection, channels, slots }
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  /** All channels, each with a tag of what is told there. */
  #all(): readonly { readonly tag: string; readonly channel: string }[] {
    const buckets = Array.from({ length: this.#wire.cluster ? bucketCount : 1 }, (_, bucket) => bucket)
    return buckets.map((bucket) => ({
      tag: this.#layout.tag(bucket),
      channel: this.#layout.channel(bucket, this.#wire.cluster),
    }))
  }

  /** The slots of a master in its own words; of one that isn't a master any more, none. */
  async #slots(master: Master): Promise<string> {
    if (!this.#wire.cluster) return `0-${slotCount - 1}`
    const nodes = String(await master.send(['CLUSTER', 'NODES'])).split('\n')
    const [, , flags = '', , , , , , ...slots] =
      nodes.find((line) => line.includes('myself'))?.split(' ') ?? []
    return flags.includes('master') ? slots.join(' ') : ''
  }

  #told(message: string): void {
    const echo = this.#echoes.get(message)
    if (echo) echo()
    const key = keyOf(message)
    if (key && this.#state === 'up') this.#listener({ type: 'changed', keys: [key] })
  }

  #break(cause: unknown): void {
    if (this.#state !== 'up') return
    this.#state = 'broken'
    this.#disconnect(failure(cause))
    this.#listener({ type: 'broken', cause })
    void this.#comeBack()
  }

  #disconnect(cause: Error): void {
    for (const { connection } of this.#links) connection.destroy()
    this.#links = []
    for (const reject of this.#breaks) reject(cause)
  }

  async #comeBack(): Promise<void> {
    for (let pause = firstPause; this.#state === 'broken'; pause = Math.min(pause * 2, longestPause)) {
      await new Promise<void>((resolve) => {
        const cancel = systemClock.timer(pause, resolve)
        this.#cancelPause = () => {
          cancel()
          resolve()
        }
      })
      await this.#tryAgain()
    }
  }

  async #tryAgain(): Promise<void> {
    if (this.#state !== 'broken') return
    try {
      await this.#connect()
    } catch {
      // Still away. Watchers have been told; the next attempt follows.
      return
    }
    if (this.#closed()) {
      this.#disconnect(new StoreUnavailable('the watch was closed'))
      return
    }
    this.#state = 'up'
    this.#listener({ type: 'restored' })
    this.#listener({ type: 'reset' })
  }

  #closed(): boolean {
    return this.#state === 'closed'
  }

  /** Waits for `resolve` to be called, for at most `ms` and as long as the feed isn't broken. */
  async #within(ms: number, run: (resolve: () => void) => Promise<unknown>): Promise<void> {
    let cancel = (): void => undefined
    let fail: (cause: Error) => void = () => undefined
    try {
      await new Promise<void>((resolve, reject) => {
        fail = reject
        this.#breaks.add(fail)
        cancel = systemClock.timer(ms, () => {
          reject(new StoreUnavailable(`no answer within ${ms} ms`))
        })
        run(resolve).catch(reject)
      })
    } finally {
      cancel()
      this.#breaks.delete(fail)
    }
  }
}

/**
 * Reads `0-99 120 [121-<-id] [122->-id]`. A slot in brackets is on its way from or to another master; until it has
 * arrived both may be asked for its keys, and both tell.
 */
function slotsIn(text: string): ReadonlySet<number> {
  const ranges = text.matchAll(/(?:^| )\[?(\d+)(?:-(\d+))?/g)
  return new Set(
    [...ranges].flatMap(([, first, last = first]) => {
      return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i)
    }),
  )
}
