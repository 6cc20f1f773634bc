/**
 * A server that evicts takes whole indexes with it, and a listing would silently miss what they held. The policy was
 * looked at when the store was opened, but it can be changed at any time, so it is looked at again.
 */

import { systemClock } from '../../clock.ts'
import { StoreMisconfigured } from '../../errors.ts'
import { text } from './layout.ts'
import type { Wire } from './wire.ts'

/** Milliseconds for which an answer is good. */
const freshness = 2_000

/** Whether a server with these lines of INFO may remove what it likes. */
export function evicts(info: ReadonlyMap<string, string>): boolean {
  return info.get('maxmemory') !== '0' && info.get('maxmemory_policy') !== 'noeviction'
}

/** The lines of INFO. */
export function linesOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split('\r\n').flatMap((line) => {
      const colon = line.indexOf(':')
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : []
    }),
  )
}

export class Eviction {
  readonly #wire: Wire
  #asked: { readonly at: number; readonly policy: Promise<string | undefined> } | undefined

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** @throws {StoreMisconfigured} when a server has begun to evict */
  async refuse(): Promise<void> {
    const now = systemClock.elapsed()
    if (!this.#asked || now - this.#asked.at > freshness) this.#asked = { at: now, policy: this.#policy() }
    const asked = this.#asked
    try {
      const policy = await asked.policy
      if (policy === undefined) return
      throw new StoreMisconfigured(
        `the server's maxmemory-policy has become ${policy}: it removes indexes, so that listing, counting and ` +
          'scanning would miss records. Set it back to noeviction; what was removed meanwhile is found again after ' +
          'reindexRedis()',
      )
    } catch (error) {
      // A failure is no answer, and a bad one is asked for again, so that the cure is seen at once.
      if (this.#asked === asked) this.#asked = undefined
      throw error
    }
  }

  /** The policy of a server that evicts, if there is one. */
  async #policy(): Promise<string | undefined> {
    const masters = await this.#wire.masters()
    const infos = await Promise.all(masters.map((master) => master.send(['INFO', 'memory'])))
    return infos
      .map((info) => linesOf(text(info)))
      .find(evicts)
      ?.get('maxmemory_policy')
  }
}
