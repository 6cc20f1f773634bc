/** Reading records, many at once, each from its own slot. */

import type { Key, StoredRecord } from '../../store/record.ts'
import { all } from '../../store/parts.ts'
import type { Wire } from './wire.ts'
import { fields, type Layout, recordIfWhole, recordOf } from './layout.ts'

export class Records {
  readonly #wire: Wire
  readonly #layout: Layout

  constructor(wire: Wire, layout: Layout) {
    this.#wire = wire
    this.#layout = layout
  }

  /** The records of the keys, in their order. @throws {PartialAnswer} when a shard doesn't answer. */
  async read(keys: readonly Key[]): Promise<readonly (StoredRecord | undefined)[]> {
    const replies = await this.#fetch(keys, true)
    return keys.map((key, i) => recordOf(key, replies[i]))
  }

  /** The same for a page: what is corrupt is left out. */
  async page(keys: readonly Key[], values: boolean): Promise<readonly (StoredRecord | undefined)[]> {
    const replies = await this.#fetch(keys, values)
    return keys.map((key, i) => recordIfWhole(key, replies[i], values))
  }

  #fetch(keys: readonly Key[], values: boolean): Promise<readonly unknown[]> {
    const wanted = fields(values)
    return all(
      `reading ${keys.length} records`,
      keys.map((key) => {
        const { record } = this.#layout.place(key)
        return this.#wire.send(record, ['HMGET', record, ...wanted])
      }),
    )
  }
}
