/** Waiting in tests for what comes about in its own time. */

import { AssertionError } from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds: far more than anything takes, also on a busy machine. */
const patience = 30_000

/**
 * Asks again and again, where asking may fail meanwhile, except in an assertion.
 *
 * @throws when it doesn't hold within 30 s.
 */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + patience
  for (;;) {
    try {
      if (await holds()) return
    } catch (error) {
      if (error instanceof AssertionError || performance.now() > end) throw error
    }
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`)
    await delay(20)
  }
}
