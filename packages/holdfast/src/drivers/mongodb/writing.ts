/** What changes records. Each change is one conditional update of one document, which MongoDB carries out atomically. */

import { AnswerLost, RecordCorrupt } from '../../errors.ts'
import type { Call, Outcome, Replacement, Swept, SweptBatch, Sweeping, Touch } from '../../store/contract.ts'
import { isLive, type Key, keyText, type StoredRecord } from '../../store/record.ts'
import { inLanes } from './lanes.ts'
import { type Fields, invalid, type Layout, projection, recordIfWhole } from './layout.ts'
import type { Records } from './records.ts'
import type { Turns } from './turns.ts'

/** What decides about a write. */
interface Head {
  readonly version: unknown
  readonly expiresAt: number
}

/** Where a sweep goes on: what it removed is gone, so at the beginning. */
const more = 'more'

export class Writing {
  readonly #records: Records
  readonly #layout: Layout
  /** Only where the server's updates are not atomic. */
  readonly #turns: Turns | undefined

  constructor(records: Records, layout: Layout, turns: Turns | undefined) {
    this.#records = records
    this.#layout = layout
    this.#turns = turns
  }

  async create(record: StoredRecord, call: Call): Promise<'done' | 'conflict'> {
    const document = this.#layout.documentOf(record)
    const _id = keyText(record.key)
    return await this.#inTurn([_id], async () => {
      for (;;) {
        if (await this.#records.insert(document, call)) return 'done'
        if (await this.#records.update({ _id, expiresAt: { $lte: call.now } }, document, call)) return 'done'
        const head = await this.#head(_id, call)
        if (head && isLive(head, call.now)) return 'conflict'
        refuseAborted(call)
      }
    })
  }

  async replace(replacement: Replacement, call: Call): Promise<Outcome> {
    const { key, expected, expired } = replacement
    return await this.#conditionally(key, expected, expired, changeOf(replacement, this.#layout), call)
  }

  async touch(touches: readonly Touch[], call: Call): Promise<readonly Outcome[]> {
    const { answers, failed } = await inLanes(touches, async ({ key, version, expiresAt, touchedAt }) => {
      const change = { $max: { ...this.#layout.expiry(expiresAt), touchedAt } }
      return await this.#conditionally(key, version, false, change, call)
    })
    if (!failed) return answers as readonly Outcome[]
    if (answers.every((answer) => answer === undefined)) throw failed
    // Some have happened: only a failure that is repeated as a whole says nothing wrong about them.
    throw new AnswerLost(`touching ${touches.length} records was not completed`, { cause: failed })
  }

  /** Each is removed as it was seen, so that a record which has changed since stays, and one sweeper gets it. */
  async sweep({ before, limit, after }: Sweeping, call: Call): Promise<SweptBatch> {
    if (after !== undefined && after !== more) throw invalid(after)
    const documents = await this.#records.find(
      {
        filter: { expiresAt: { $lte: before } },
        sort: { expiresAt: 1 },
        hint: 'expiry',
        limit: limit + 1,
        projection: projection(false),
      },
      call,
    )
    const batch = documents.slice(0, limit)
    const { answers, failed } = await inLanes(batch, async (document) => await this.#swept(document, call))
    const removed = answers.filter((answer): answer is Swept => typeof answer === 'object')
    // What was removed has to be told, or nobody ever learns of it. The rest comes with the next batch.
    if (failed && removed.length === 0) throw failed
    return documents.length > limit || failed ? { removed, next: more } : { removed }
  }

  async remove(keys: readonly Key[], call: Call): Promise<void> {
    const ids = keys.map(keyText)
    await this.#inTurn(ids, async () => {
      await this.#records.removeAll({ _id: { $in: ids } }, call)
    })
  }

  async #swept(document: Fields, call: Call): Promise<Swept | false> {
    const { _id, version, expiresAt } = document
    const asSeen = { _id, version: version ?? null, expiresAt }
    const isMine = await this.#inTurn([String(_id)], () => this.#records.remove(asSeen, call))
    const record = isMine ? recordIfWhole(document, false) : undefined
    return record ? { key: record.key, labels: record.labels, expiresAt: record.expiresAt } : false
  }

  /** Changes the record at exactly this version. Where nothing matched, one look tells why. */
  async #conditionally(
    key: Key,
    version: string,
    expired: boolean,
    change: Fields,
    call: Call,
  ): Promise<Outcome> {
    const _id = keyText(key)
    const filter = { _id, version, ...(expired ? {} : { expiresAt: { $gt: call.now } }) }
    return await this.#inTurn([_id], async () => {
      for (;;) {
        if (await this.#records.update(filter, change, call)) return 'done'
        const head = await this.#head(_id, call)
        if (!head || !(expired || isLive(head, call.now))) return 'gone'
        if (head.version !== version) return 'conflict'
        // It matches now: it was in the middle of changing.
        refuseAborted(call)
      }
    })
  }

  async #head(_id: string, call: Call): Promise<Head | undefined> {
    const search = { filter: { _id }, limit: 1, projection: { version: 1, expiresAt: 1 } }
    const [head] = await this.#records.find(search, call)
    if (!head) return undefined
    const { version, expiresAt } = head
    if (typeof expiresAt === 'number') return { version, expiresAt }
    throw new RecordCorrupt(`${_id} is not a record that this library wrote`)
  }

  async #inTurn<T>(keys: readonly string[], act: () => Promise<T>): Promise<T> {
    return this.#turns ? await this.#turns.run(keys, act) : await act()
  }
}

/** What a replacement does to a document. Only greater times are taken over, unless the expiry is set on purpose. */
export function changeOf(replacement: Replacement, layout: Layout): Fields {
  const { key, version, value, labels, expiresAt, setsExpiry, touchedAt } = replacement
  const prefix = `${key.collection}/`
  const content = {
    version,
    value: Buffer.from(value),
    ...(labels && { labels: labels.map((label) => prefix + label) }),
  }
  const expiry = layout.expiry(expiresAt)
  return setsExpiry
    ? { $set: { ...content, ...expiry }, $max: { touchedAt } }
    : { $set: content, $max: { ...expiry, touchedAt } }
}

/** What the caller has given up must not be written later. */
function refuseAborted(call: Call): void {
  if (call.signal.aborted) throw new AnswerLost('given up before it was written')
}
