/** Sessions over a store in memory, with a clock that the tests move and faults that they plan. */

import { Memory, memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import type { RecordEvent } from '../../packages/holdfast/src/records/events.ts'
import type { SessionsOptions } from '../../packages/holdfast/src/sessions/options.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Codec } from '../../packages/holdfast/src/store/codec.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import type { StoredRecord } from '../../packages/holdfast/src/store/record.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'
import { type FakeClock, fakeClock } from '../../packages/holdfast/src/testing/clock.ts'
import {
  type DriverCall,
  type FaultPlan,
  type FaultyDriver,
  withFaults,
} from '../../packages/holdfast/src/testing/faults.ts'

export const minute = 60_000
export const hour = 60 * minute

/** What a test plays on. */
export class Stage {
  readonly clock: FakeClock
  readonly driver: FaultyDriver
  readonly store: Store
  readonly sessions: Sessions
  /** What an operator should look into. */
  readonly events: RecordEvent[] = []
  /** What happened to sessions, as it should. */
  readonly happenings: RecordEvent[] = []
  /** What befalls the calls from now on. */
  plan: FaultPlan = () => undefined
  readonly #options: SessionsOptions

  constructor(options: SessionsOptions = {}, { codec, cached }: { codec?: Codec; cached?: boolean } = {}) {
    this.clock = fakeClock({ sleeps: 'instant' })
    this.driver = withFaults(memoryDriver({ memory: new Memory() }), {
      plan: (call) => this.plan(call),
      ...(cached === undefined ? {} : { declare: { cached } }),
    })
    this.store = this.another(codec)
    this.#options = {
      onEvent: (event) => (isHappening(event) ? this.happenings : this.events).push(event),
      ...options,
    }
    this.sessions = this.process()
  }

  /** One more store over the same driver, perhaps with another codec. */
  another(codec?: Codec): Store {
    return guard(this.driver, { clock: this.clock, ...(codec === undefined ? {} : { codec }) })
  }

  /** The sessions of one more process. */
  process(options: SessionsOptions = {}, codec?: Codec): Sessions {
    return new Sessions(this.another(codec), { ...this.#options, ...options })
  }

  /** The calls that a piece of work makes. */
  async callsOf(work: () => Promise<unknown>): Promise<readonly DriverCall[]> {
    const before = this.driver.calls.length
    await work()
    return this.driver.calls.slice(before)
  }

  /** Everything that the store holds. */
  async records(collection = 'sessions'): Promise<readonly StoredRecord[]> {
    return (await this.store.list(collection, { expired: true })).records
  }
}

/** After a session was written, the marks that are to be looked at again can't be read. */
export function failsTheCheck(write: 'create' | 'replace'): FaultPlan {
  let isWritten = false
  return ({ operation, keys }) => {
    isWritten ||= operation === write && keys[0]?.collection === 'sessions'
    return isWritten && operation === 'read' && keys[0]?.collection === 'marks' ? 'fail' : undefined
  }
}

function isHappening({ type }: RecordEvent): boolean {
  return ['created', 'loaded', 'login', 'rotated', 'revoked', 'revoked-all', 'expired'].includes(type)
}
