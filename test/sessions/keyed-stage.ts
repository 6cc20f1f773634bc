/** What another library has stored, played by a store of its own: its rows are read and removed one by one. */

import { digestOf } from '../../packages/holdfast/src/credentials/digest.ts'
import type { OldSession, OldSessionReader } from '../../packages/holdfast/src/sessions/keyed.ts'
import { jsonCodec } from '../../packages/holdfast/src/store/codec.ts'
import type { Store } from '../../packages/holdfast/src/store/store.ts'

const key = (sid: string) => ({ collection: 'rows', id: digestOf(sid) })

/** Rows of another library. */
export class OldRows implements OldSessionReader {
  readonly description = 'rows of a test'
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async put(sid: string, row: OldSession): Promise<void> {
    const value = jsonCodec.encode(key(sid), row)
    const written = await this.#store.create({ key: key(sid), value, expiresAt: row.expiresAt })
    if (written.status !== 'done') throw new Error('there is such a row')
  }

  async read(sid: string): Promise<OldSession | undefined> {
    const record = await this.#store.read(key(sid), { strict: true })
    return record && (jsonCodec.decode(record.key, record.value) as OldSession)
  }

  async remove(sid: string): Promise<void> {
    await this.#store.remove([key(sid)])
  }
}
