/** Answers that come in parts, from several servers. A part of them is not an answer. */

import { PartialAnswer } from '../errors.ts'
import { type Key, keyText } from './record.ts'

/**
 * Waits for all parts.
 *
 * @param what For the message: what was asked for.
 * @throws {PartialAnswer} when some are missing; the error itself when all are, or when there is only one.
 */
export async function all<T>(what: string, pending: readonly Promise<T>[]): Promise<readonly T[]> {
  const [only, ...more] = pending
  if (only && more.length === 0) return [await only]
  const settled = await Promise.allSettled(pending)
  const failed = settled.filter((each) => each.status === 'rejected')
  const [first] = failed
  if (!first) return settled.map((each) => (each as PromiseFulfilledResult<T>).value)
  if (failed.length === settled.length) throw first.reason
  throw new PartialAnswer(
    `${what}: ${failed.length} of ${settled.length} were not answered`,
    settled.map((each) => (each.status === 'fulfilled' ? { answer: each.value } : undefined)),
    { cause: first.reason },
  )
}

/** What a shard left out, in the order of the whole request: of the part that failed and of those never asked. */
export function partialOf(
  partial: PartialAnswer,
  keys: readonly Key[],
  failed: readonly Key[],
  answered: ReadonlyMap<string, { readonly answer: unknown }>,
): PartialAnswer {
  const all = new Map(answered)
  partial.answers.forEach((each, i) => {
    const key = failed[i]
    if (each && key) all.set(keyText(key), each)
  })
  return new PartialAnswer(
    partial.message,
    keys.map((key) => all.get(keyText(key))),
    { cause: partial.cause },
  )
}
