/**
 * `bytes`: what a record costs in the memory of a process beside its own data (its id, value and labels), decoded and as
 * it was read; and whether that memory stays where it should, however many records pass through it. The records are
 * tokens in SQLite; each measurement has a process of its own, which collects its garbage before it counts. The
 * estimate, by which the memory keeps to its bound, is set beside what was measured. Verifying keeps the marks of the last
 * 10,000 users as well, some 2 MB that the estimate doesn't know of.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStore } from 'holdfast'
import { freshNamespace, shortened } from './backends.ts'
import type { Measured, Reading } from './bytes-process.ts'
import { ownBytes, tokenDraft } from './bytes-tokens.ts'
import { draftsFrom, hour, inParts } from './filling.ts'
import { loadSqlite } from './loading.ts'
import type { Finding, Series } from './measure.ts'
import { Progress } from './progress.ts'
import { inScratch } from './scratch.ts'
import { scaled } from './sizes.ts'

const program = fileURLToPath(new URL('./bytes-process.ts', import.meta.url))
const mebibyte = 1024 * 1024
/** Enough for all of them. */
const roomy = 8192 * mebibyte
/** What a bounded memory is given. */
const bounded = 16 * mebibyte
/** How many tokens tell what one of them has for data. */
const sample = 1_000

/** A store full of tokens. */
interface Filled {
  readonly url: string
  readonly namespace: string
  /** Product and version. */
  readonly over: string
  /** Bytes of a token's own data, on average. */
  readonly own: number
}

export const bytes: Series = async function* (settings) {
  const kept = [...new Set([10_000, 100_000, 1_000_000].map((count) => scaled(count, settings.scale)))]
  const passing = settings.large ? [...kept, scaled(10_000_000, settings.scale)] : kept
  const found = await inScratch(async (folder) => {
    const filled = await fill(join(folder, 'tokens.db'), passing.at(-1) ?? 0)
    return [
      ...(await perRecord(filled, 'decoded', kept)),
      ...(await perRecord(filled, 'records', kept)),
      ...(await passedThrough(filled, passing)),
    ]
  })
  yield* found
}

/** What is kept of so many tokens when all of them fit. */
async function perRecord(
  filled: Filled,
  what: Reading['what'],
  steps: readonly number[],
): Promise<readonly Finding[]> {
  const found = await measure({ ...filled, what, maxBytes: roomy, steps })
  return found.map(({ read, kept, measured, estimated }) => {
    if (kept !== read) throw new Error(`of ${read} records ${kept} are kept, though there is room for all`)
    const own = Math.round(filled.own)
    return {
      of: `${what} ${read}`,
      ours: measured / kept - filled.own,
      theirs: estimated / kept - filled.own,
      ratio: estimated / measured,
      unit: 'bytes a record',
      note: `tokens of ${filled.over}, ${shown[what]}, all of them kept, beside the ${own} bytes of a token's own data; theirs is the memory's own estimate`,
    }
  })
}

const shown = { decoded: 'verified and so kept decoded', records: 'read and so kept as their bytes' }

/** What is there after so many tokens have been verified, of which not nearly all can be kept. */
async function passedThrough(filled: Filled, steps: readonly number[]): Promise<readonly Finding[]> {
  const found = await measure({ ...filled, what: 'decoded', maxBytes: bounded, steps })
  return found.map(({ read, kept, measured, estimated, resident }) => ({
    of: `bounded ${read}`,
    ours: measured / mebibyte,
    theirs: estimated / mebibyte,
    ratio: estimated / measured,
    unit: 'MiB',
    note: `${read} tokens of ${filled.over} verified, of which ${kept} are kept in ${bounded / mebibyte} MiB; the process as a whole takes ${Math.round(resident / mebibyte)} MiB; theirs is the memory's own estimate`,
  }))
}

async function fill(path: string, count: number): Promise<Filled> {
  const url = `sqlite://${path}`
  const namespace = freshNamespace()
  const store = await openStore(url, { namespace })
  const { description } = await store.open()
  const now = Date.now()
  const draftOf = (i: number) => tokenDraft(i, now, now + 24 * hour)
  const loader = loadSqlite(url, namespace)
  const progress = new Progress('sqlite')
  progress.expect(count)
  progress.start()
  try {
    await inParts(0, count, loader.size, 1, async (first, next) => {
      await loader.load(draftsFrom(first, next, draftOf))
      progress.filled(next - first)
      // Otherwise signals would wait until all are loaded.
      await new Promise((resolve) => setImmediate(resolve))
    })
    await loader.settle()
  } finally {
    progress.stop()
    await loader.end()
    await store.close()
  }
  const own = draftsFrom(0, Math.min(sample, count), draftOf).map(ownBytes)
  const sum = own.reduce((total, each) => total + each, 0)
  return { url, namespace, over: shortened(description), own: sum / own.length }
}

/**
 * In a process of its own, so that nothing else is measured. The code of what runs once, and its megabytes of texts, stays
 * there: otherwise it would go in the middle of the measurement, and be taken off what is kept.
 */
async function measure(reading: Reading): Promise<readonly Measured[]> {
  const execArgv = [...process.execArgv, '--expose-gc', '--no-flush-bytecode', '--max-old-space-size=8192']
  const child = fork(program, { execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const answer = once(child, 'message') as Promise<[readonly Measured[]]>
  const exit = once(child, 'exit').then(() => undefined)
  child.send(reading)
  const found = await Promise.race([answer, exit])
  if (!found) throw new Error('the process that is measured has ended')
  await exit
  return found[0]
}
