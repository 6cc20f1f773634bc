/** Ending a long command by Ctrl-C or SIGTERM, tidily: what is under way is finished, then it ends. */

import { HoldfastError } from 'holdfast'

/** The command was told to end before it was done. */
export class Interrupted extends HoldfastError {
  readonly code = 'HOLDFAST_INTERRUPTED'
}

/**
 * Runs the work with a signal that aborts when this process is told to end. The second time it ends at once.
 *
 * @param message What to say then.
 */
export async function interruptible<R>(
  message: string,
  work: (signal: AbortSignal) => Promise<R>,
): Promise<R> {
  const controller = new AbortController()
  const interrupt = (): void => {
    stopListening()
    controller.abort(new Interrupted(message))
  }
  const stopListening = (): void => {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    return await work(controller.signal)
  } finally {
    stopListening()
  }
}
