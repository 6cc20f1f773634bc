/**
 * Lost answers. The request was sent and its answer never came: the write may have happened or not, and repeating
 * it blindly would count twice what was asked once. The version that the writer drew tells: one strict read, and
 * - it shows mine: done;
 * - it shows what I expected to replace: not applied, send again;
 * - it shows anything else: unknown, and the caller decides (key-wise saves re-apply; what must not happen twice
 *   fails with `OutcomeUnknown`).
 */

import { OutcomeUnknown } from '../errors.ts'
import type { Outcome } from './contract.ts'
import { type Key, keyText, type Version } from './record.ts'

/** One sending: the driver's answer, or why there is none. */
export type Sent<T> = { readonly answer: T } | { readonly lost: unknown }

/** What a strict read tells about one write. */
export type Trace = 'mine' | 'untouched' | 'other'

/** A write that can be settled. */
export interface Attempt<T> {
  /** For messages: what is written where. */
  readonly what: string
  /** Sends it once more. Definite failures reject. */
  send(): Promise<Sent<T>>
  /** Whether the answer is final even though an earlier sending was lost. */
  isDone(answer: T): boolean
  /** Reads strictly what became of it. */
  trace(): Promise<Trace>
  /** Waits before the next sending; false when the deadline has passed. */
  pause(sent: number): Promise<boolean>
}

/** How often a write is sent before its outcome is given up as unknown. */
const mostSendings = 3
/** How often it is asked what became of a write. */
const mostReads = 5

/**
 * Finds out what became of a write, and sends it again until it is settled.
 *
 * @param lost Why the answer to the first sending is missing.
 * @throws {OutcomeUnknown} when it cannot be settled.
 */
export async function settle<T>(attempt: Attempt<T>, lost: unknown): Promise<T | 'mine' | 'unknown'> {
  let sent: Sent<T> = { lost }
  for (let sendings = 1; ; sendings++) {
    const trace = await traced(attempt, 'lost' in sent ? sent.lost : undefined)
    if (trace === 'mine') return 'mine'
    // A refusal after a sending that was lost may be the refusal of my own second copy, so it proves nothing.
    if (trace === 'other' || 'answer' in sent) return 'unknown'
    if (sendings === mostSendings || !(await attempt.pause(sendings))) {
      throw unknown(attempt, sent.lost)
    }
    sent = await sentAgain(attempt)
    if ('answer' in sent && attempt.isDone(sent.answer)) return sent.answer
  }
}

/** However definitely a second sending fails, the first may still arrive. */
async function sentAgain<T>(attempt: Attempt<T>): Promise<Sent<T>> {
  try {
    return await attempt.send()
  } catch (cause) {
    throw unknown(attempt, cause)
  }
}

/** A cut connection is often back at once, so the read that settles is tried again while there is time. */
async function traced<T>(attempt: Attempt<T>, lost: unknown): Promise<Trace> {
  for (let reads = 1; ; reads++) {
    try {
      return await attempt.trace()
    } catch (cause) {
      if (reads === mostReads || !(await attempt.pause(reads))) throw unknown(attempt, lost ?? cause)
    }
  }
}

function unknown<T>(attempt: Attempt<T>, cause: unknown): OutcomeUnknown {
  return new OutcomeUnknown(
    `the answer to ${attempt.what} was lost and could not be settled: it may or may not have happened`,
    { cause },
  )
}

/** What one record tells about a write of mine to it. */
export function traceOf(
  found: { readonly version: Version; readonly live: boolean } | undefined,
  mine: Version,
  expected: Version | undefined,
): Trace {
  if (found?.version === mine) return 'mine'
  const untouched = expected === undefined ? !found?.live : found?.version === expected
  return untouched ? 'untouched' : 'other'
}

/** The words for a write in messages. */
export function described(operation: string, key: Key): string {
  return `the ${operation} of ${keyText(key)}`
}

/** Whether an outcome of a single write is final after a resend. */
export function isDone(outcome: Outcome): boolean {
  return outcome === 'done'
}
