/** The seam behind which clients differ: how a command reaches the server that owns a name, and how changes are heard. */

import { systemClock } from '../../clock.ts'
import { StoreUnavailable } from '../../errors.ts'

/** One argument of a command. */
export type Argument = string | Buffer

/** Milliseconds that a command may wait for a connection before it is refused unsent. */
export const waitToSend = 1_000

/** Milliseconds after which a subscription that doesn't come about is given up. */
export const subscribingPatience = 5_000

/** Hears what is published at one server. */
export interface Audience {
  told(message: string): void
  /** The connection broke: nothing more will be told over it. Called once at most after the subscription stands. */
  lost(cause: unknown): void
}

/** A standing subscription, over a connection of its own. */
export interface Subscription {
  close(): void
}

/** One server that takes writes, over connections that follow no redirection. */
export interface Master {
  /** Sends one command. Commands of one tick go over one connection, in their order. */
  send(args: readonly Argument[]): Promise<unknown>
  /** Resolves when the server has confirmed. @throws a coded error, with nothing left open */
  subscribe(channels: readonly string[], audience: Audience): Promise<Subscription>
}

/** Who asks, and may give up: the signal is only made where it is looked at. */
export interface Asker {
  readonly signal: AbortSignal
}

/** How commands reach the servers. */
export interface Wire {
  readonly cluster: boolean
  /** The client sends what was meant for one node on to another. */
  readonly roams?: boolean
  /** Why the client can't tell of changes, where it can't. */
  readonly deaf?: string
  /**
   * Sends one command to the master that owns `name`. Commands of one tick travel together.
   *
   * @param asker Whoever gives up takes back what wasn't sent yet: that write must not happen later.
   */
  send(name: string, args: readonly Argument[], asker?: Asker): Promise<unknown>
  /** Every server that takes writes. */
  masters(): Promise<readonly Master[]>
  /** The one of them that owns `name`, as far as the client knows. */
  owner(name: string): Promise<Master>
  /** Only a client of our own is connected and let go of. */
  connect?(): Promise<void>
  release?(): void
}

/** What is pending, or `StoreUnavailable` when it takes longer than `ms`. */
export async function inTime<T>(pending: Promise<T>, ms: number, why: string): Promise<T> {
  let cancel = (): void => undefined
  try {
    return await Promise.race([
      pending,
      new Promise<never>((_, reject) => {
        cancel = systemClock.timer(ms, () => {
          reject(new StoreUnavailable(why))
        })
      }),
    ])
  } finally {
    cancel()
  }
}
