/**
 * Tells of changes by publish and subscribe. Each record's script publishes the record's member at the master that
 * runs it; the feed is subscribed at *every* master, over connections of its own, so that no message has to cross the
 * bus of the cluster, where it could get lost unseen. A lost connection is seen, and answered by `broken`, a new
 * connection, `restored` and `reset`. A connection that only seems to stand is found out by a heartbeat: the same echo
 * as `mark`.
 */

import { randomBytes } from 'node:crypto'
import { systemClock } from '../../clock.ts'
import { StoreUnavailable } from '../../errors.ts'
import type { Change, Watch } from '../../store/contract.ts'
import { bucketCount, keyOf, type Layout, text } from './layout.ts'
import { slotCount, slotOf } from './slot.ts'
import type { Master, Subscription, Wire } from './wire.ts'

/** Milliseconds after which an echo or a connection that doesn't come is given up. */
const patience = 5_000
/** Milliseconds between two attempts to come back. */
const firstPause = 50
const longestPause = 2_000

/** The subscription at one master. */
interface Link {
  readonly master: Master
  readonly subscription: Subscription
  readonly channels: readonly string[]
  /** The slots that the master had when this was subscribed, as it wrote them. */
  readonly slots: string
  /** Says so once the connection broke. */
  readonly fate: { lost: boolean; cause?: unknown }
}

export class Feed implements Watch {
  readonly #wire: Wire
  readonly #layout: Layout
  readonly #listener: (change: Change) => void
  readonly #echoes = new Map<string, () => void>()
  readonly #breaks = new Set<(cause: Error) => void>()
  /** Milliseconds between two heartbeats, and how long one may take. */
  readonly #heartbeat: number
  #cancelHeartbeat: (() => void) | undefined
  #links: readonly Link[] = []
  #cancelPause: (() => void) | undefined
  #state: 'new' | 'up' | 'broken' | 'closed' = 'new'

  constructor(wire: Wire, layout: Layout, heartbeat: number, listener: (change: Change) => void) {
    this.#wire = wire
    this.#layout = layout
    this.#heartbeat = heartbeat
    this.#listener = listener
  }

  /** Subscribes everywhere. @throws {StoreUnavailable} */
  async start(): Promise<void> {
    await this.#connect()
    this.#state = 'up'
    this.#listen()
  }

  async mark(): Promise<void> {
    await this.#prove(patience)
  }

  /** Has every master echo within `ms`: what it told before has arrived then. */
  async #prove(ms: number): Promise<void> {
    if (this.#state !== 'up') throw new StoreUnavailable('the feed of changes is broken')
    const links = this.#links
    try {
      await Promise.all(links.map((link) => this.#echo(link, ms)))
      await this.#within(ms, async (resolve) => {
        await this.#refuseMoved(links)
        resolve()
      })
    } catch (error) {
      // Where it has been replaced meanwhile, this says nothing of what is there now.
      if (links === this.#links) this.#break(error)
      throw new StoreUnavailable('the feed of changes is broken', { cause: error })
    }
  }

  /** The next heartbeat, and all that follow. */
  #listen(): void {
    this.#cancelHeartbeat = systemClock.timer(this.#heartbeat, () => {
      this.#prove(this.#heartbeat).then(
        () => {
          if (this.#state === 'up') this.#listen()
        },
        // Told already; a new heartbeat begins when it is back.
        () => undefined,
      )
    })
  }

  close(): void {
    this.#state = 'closed'
    this.#cancelPause?.()
    this.#cancelHeartbeat?.()
    this.#disconnect(new StoreUnavailable('the watch was closed'))
  }

  /** Publishes a nonce where the records publish, and waits until it has come back. */
  async #echo({ master, channels }: Link, ms: number): Promise<void> {
    const [channel] = channels
    if (channel === undefined) return
    const nonce = `!${randomBytes(9).toString('base64url')}`
    await this.#within(ms, (resolve) => {
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
      for (const { subscription } of links) subscription.close()
      throw failed.reason
    }
    this.#links = links
    // While others were still subscribing.
    const fallen = links.find(({ fate }) => fate.lost)
    if (fallen) {
      this.#disconnect(new StoreUnavailable('a subscription broke', { cause: fallen.fate.cause }))
      throw new StoreUnavailable('a subscription broke', { cause: fallen.fate.cause })
    }
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
    const fate: Link['fate'] = { lost: false }
    const subscribing = master.subscribe(channels, {
      told: (message) => {
        this.#told(message)
      },
      lost: (cause) => {
        Object.assign(fate, { lost: true, cause })
        if (this.#links.some((link) => link.fate === fate)) this.#break(cause)
      },
    })
    try {
      await this.#within(patience, async (resolve) => {
        await subscribing
        resolve()
      })
    } catch (error) {
      // It may come about when nobody waits for it any more.
      subscribing.then(
        (late) => {
          late.close()
        },
        () => undefined,
      )
      throw error
    }
    return { master, subscription: await subscribing, channels, slots, fate }
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
    const nodes = text(await master.send(['CLUSTER', 'NODES'])).split('\n')
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
    this.#cancelHeartbeat?.()
    this.#disconnect(new StoreUnavailable('the feed of changes broke', { cause }))
    this.#listener({ type: 'broken', cause })
    void this.#comeBack()
  }

  #disconnect(cause: Error): void {
    for (const { subscription } of this.#links) subscription.close()
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
    this.#listen()
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
