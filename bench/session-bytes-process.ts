/** The process that `session-bytes` measures: it starts ever more sessions in memory. Started with `--expose-gc`. */

import { Sessions } from 'holdfast'
import { memoryStore } from 'holdfast/memory'
import { bytesInUse } from './heap.ts'

/** What there is after so many sessions have been started. */
export interface SessionBytes {
  readonly sessions: number
  /** Bytes in and outside of the heap, beside what there was before the first. */
  readonly measured: number
  /** Bytes of their own data: id, value and labels. */
  readonly own: number
}

/** Code and tables of the process are in place after so many. */
const warmUp = 2_000
const inRow = 500

const steps = JSON.parse(process.argv[2]!) as readonly number[]
process.send?.(await measured(), () => process.exit(0))

async function measured(): Promise<readonly SessionBytes[]> {
  await started(new Sessions(memoryStore()), 0, warmUp)
  const store = memoryStore({ maxBytes: 4 * 1024 ** 3 })
  const sessions = new Sessions(store)
  const before = await bytesInUse()
  const found: SessionBytes[] = []
  let start = 0
  for (const end of steps) {
    await started(sessions, start, end)
    start = end
    const inUse = (await bytesInUse()) - before
    found.push({ sessions: end, measured: inUse, own: await ownBytes(store, end) })
  }
  return found
}

async function started(sessions: Sessions, start: number, end: number): Promise<void> {
  for (let i = start; i < end; i++) {
    await sessions.start({ user: `user-${i}`, data: { basket: [`item-${i}`], theme: 'dark', visits: i } })
    if (i % inRow === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** By the average of a page of them. */
async function ownBytes(store: ReturnType<typeof memoryStore>, count: number): Promise<number> {
  const { records } = await store.list('sessions', { limit: 1_000 })
  const sum = records.reduce(
    (all, { key, value, labels }) => all + key.id.length + value.byteLength + labels.join('').length,
    0,
  )
  return (sum / records.length) * count
}
