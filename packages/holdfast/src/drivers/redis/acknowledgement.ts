/**
 * Has replicas confirm what must not come back: burying, marks and removals.
 *
 * `WAIT` counts for the writes of its own connection only, and the write itself may have gone over another one, or
 * been sent on by a node of a cluster. So it is confirmed afterwards, at its master: one connection writes something of
 * its own, which follows the write in the stream that the replicas read, and waits for that. The same script looks
 * whether the write is still there: a master that took over meanwhile may lack it. `WAIT` holds up what is sent behind
 * it, so it is only ever asked to wait for a moment, and asked again.
 *
 * What isn't confirmed in time ends in `OutcomeUnknown`. Where the answer to the write itself was lost, the guard reads
 * strictly to see what became of it, and a strict read of such a record has it confirmed first (`settle`), so that
 * nobody is ever told "done" without.
 */

import { systemClock } from '../../clock.ts'
import { type Duration, milliseconds } from '../../duration.ts'
import { AnswerLost, HoldfastError, InvalidOption, OutcomeUnknown } from '../../errors.ts'
import type { StoredRecord, Version } from '../../store/record.ts'
import { type Place, text } from './layout.ts'
import { confirm } from './scripts.ts'
import type { Wire } from './wire.ts'

/** What has to be confirmed by replicas. */
export interface Acknowledge {
  /** How many replicas have to confirm that they have it: 1 or more. */
  readonly replicas: number
  /** How long they may take; less than half the store's `deadline`. @default '1s' */
  readonly timeout?: Duration
}

/** Milliseconds that one `WAIT` may hold up its connection, and pauses between two. */
const slice = 20
/** How many deadlines later nobody settles a write any more. */
const settling = 4

export class Acknowledgement {
  readonly #wire: Wire
  readonly #replicas: number
  readonly #timeout: number
  /** Milliseconds after which nobody settles a write any more. */
  readonly #memory: number
  /** Versions that were sent and aren't settled, with the time of the sending. */
  readonly #open = new Map<Version, number>()

  /** @throws {InvalidOption} */
  constructor(wire: Wire, { replicas, timeout = '1s' }: Acknowledge, deadline: number) {
    this.#wire = wire
    this.#replicas = replicas
    this.#memory = settling * deadline
    this.#timeout = milliseconds(timeout, 'acknowledge.timeout')
    if (!Number.isSafeInteger(replicas) || replicas < 1)
      throw new InvalidOption('acknowledge.replicas must be a whole number, 1 or more')
    if (this.#timeout < 1 || this.#timeout * 2 > deadline)
      throw new InvalidOption('acknowledge.timeout must be at least 1 ms and at most half the deadline')
    if (wire.roams)
      throw new InvalidOption(
        'acknowledge needs a client that keeps to one node of a cluster, as node-redis or ioredis',
      )
  }

  /** Writes, and answers `done` only when it is confirmed. @throws {OutcomeUnknown} when it isn't in time */
  async write(place: Place, version: Version, write: () => Promise<string>): Promise<string> {
    this.#forget()
    this.#open.set(version, systemClock.elapsed())
    try {
      const outcome = await write()
      if (outcome === 'done') await this.#confirmed(place, version)
      this.#open.delete(version)
      return outcome
    } catch (error) {
      // Only what the guard settles stays open.
      if (!(error instanceof AnswerLost)) this.#open.delete(version)
      throw error
    }
  }

  /** Before a record that was read strictly is shown: what was written here and not confirmed is confirmed now. */
  async settle(places: readonly Place[], records: readonly (StoredRecord | undefined)[]): Promise<void> {
    if (this.#open.size === 0) return
    const pending = records.map(async (record, i) => {
      const place = places[i]
      if (!record || !place || !this.#open.has(record.version)) return
      await this.#confirmed(place, record.version)
      this.#open.delete(record.version)
    })
    await Promise.all(pending)
  }

  /** Has a removal confirmed. @throws {OutcomeUnknown} when it isn't in time */
  async removed(place: Place): Promise<void> {
    await this.#confirmed(place, '')
  }

  async #confirmed(place: Place, version: Version): Promise<void> {
    const ends = systemClock.elapsed() + this.#timeout
    let reason: unknown
    for (;;) {
      const left = ends - systemClock.elapsed()
      try {
        if (await this.#asked(place, version, Math.max(1, Math.min(slice, Math.ceil(left))))) return
      } catch (error) {
        if (error instanceof AnswerLost || !(error instanceof HoldfastError)) throw error
        reason = error
      }
      if (left <= slice) throw this.#unmet(reason)
      await systemClock.sleep(slice)
    }
  }

  /** Whether enough replicas have it. @throws {AnswerLost} when the master itself doesn't */
  async #asked({ tag, record }: Place, version: Version, ms: number): Promise<boolean> {
    const master = await this.#wire.owner(record)
    const [before, stored, replicas, after] = await Promise.all([
      master.send(['CLIENT', 'ID']),
      master.send(['EVAL', confirm.source, '2', record, `${tag}a`]),
      master.send(['WAIT', String(this.#replicas), String(ms)]),
      master.send(['CLIENT', 'ID']),
    ])
    if (text(stored) !== version)
      throw new AnswerLost(
        'the write is not at its master any more: another has taken over, or it was overwritten',
      )
    // Another connection has written nothing, and need not wait for anything.
    return before === after && Number(replicas) >= this.#replicas
  }

  #unmet(cause: unknown): OutcomeUnknown {
    return new OutcomeUnknown(
      `it was carried out, but not confirmed by ${this.#replicas} replicas within ${this.#timeout} ms: it may be lost ` +
        'when the master fails now',
      { cause },
    )
  }

  #forget(): void {
    const past = systemClock.elapsed() - this.#memory
    for (const [version, since] of this.#open) {
      if (since > past) return
      this.#open.delete(version)
    }
  }
}
