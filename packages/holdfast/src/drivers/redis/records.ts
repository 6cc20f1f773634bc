/** Reading records: one by GET, many of a single server together, and of a cluster each from its own slot. */

import { RecordCorrupt, StoreCorrupt } from '../../errors.ts'
import type { Key, StoredRecord } from '../../store/record.ts'
import { all } from '../../store/parts.ts'
import { mostBeforeValue, recordIfWhole, recordOf } from './form.ts'
import type { Layout } from './layout.ts'
import { heads, run } from './scripts.ts'
import type { Wire } from './wire.ts'

/** The most records that one command asks for: a server answers nobody else meanwhile. */
const together = 256
/** Up to so many are asked for one by one, so that what is not a string is told from what is not there. */
const few = 16

export class Records {
  readonly #wire: Wire
  readonly #layout: Layout

  constructor(wire: Wire, layout: Layout) {
    this.#wire = wire
    this.#layout = layout
  }

  /** One record. @throws {RecordCorrupt} {StoreCorrupt} */
  async one(key: Key): Promise<StoredRecord | undefined> {
    return recordOf(key, await this.#get(this.#layout.record(key)))
  }

  /** The records of the keys, in their order. @throws {PartialAnswer} when a shard doesn't answer. */
  async read(keys: readonly Key[]): Promise<readonly (StoredRecord | undefined)[]> {
    const [only, ...more] = keys
    if (only && more.length === 0) return [await this.one(only)]
    if (this.#wire.cluster || keys.length <= few)
      return await all(
        `reading ${keys.length} records`,
        keys.map((key) => this.one(key)),
      )
    const replies = await this.#several(keys, true)
    const pending = keys.map(async (key, i) => {
      // To MGET, what is not a string is not there. That must not be told of a record.
      return replies[i] ? recordOf(key, replies[i]) : await this.one(key)
    })
    return await all(`reading ${keys.length} records`, pending)
  }

  /** The same for a page: what is corrupt is left out. */
  async page(keys: readonly Key[], values: boolean): Promise<readonly (StoredRecord | undefined)[]> {
    const [only] = keys
    if (!only) return []
    const alone = this.#wire.cluster || keys.length === 1
    const replies = alone
      ? await all(
          `reading ${keys.length} records`,
          keys.map((key) => this.#orCorrupt(key, values)),
        )
      : await this.#several(keys, values)
    return keys.map((key, i) => recordIfWhole(key, replies[i], values))
  }

  async #orCorrupt(key: Key, values: boolean): Promise<unknown> {
    const name = this.#layout.record(key)
    try {
      if (values) return await this.#get(name)
      return await this.#wire.send(name, ['GETRANGE', name, '0', String(mostBeforeValue)])
    } catch (error) {
      if (error instanceof StoreCorrupt || error instanceof RecordCorrupt) return undefined
      throw error
    }
  }

  #get(name: string): Promise<unknown> {
    return this.#wire.send(name, ['GET', name])
  }

  /** Of a single server, many with one command. What isn't a string is missing. */
  async #several(keys: readonly Key[], values: boolean): Promise<readonly unknown[]> {
    const names = keys.map((key) => this.#layout.record(key))
    const groups: (readonly string[])[] = []
    for (let i = 0; i < names.length; i += together) groups.push(names.slice(i, i + together))
    const replies = await all(
      `reading ${keys.length} records`,
      groups.map((group) => {
        const [first = ''] = group
        if (values) return this.#wire.send(first, ['MGET', ...group])
        return run(this.#wire, heads, [first, ...group.slice(1)], [])
      }),
    )
    return replies.flatMap((reply) => reply as readonly unknown[])
  }
}
