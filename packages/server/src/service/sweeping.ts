/**
 * Removing the expired, again and again while the service runs. The library starts no jobs of its own, so this is the
 * place. Several processes may do it over one store: each record is removed by one of them.
 */

import type { FastifyBaseLogger } from 'fastify'
import { type Store, sweepAll } from 'holdfast'

/** Starts sweeping; the answer stops it and waits for the batch under way. */
export function startSweeping(store: Store, every: number, log: FastifyBaseLogger): () => Promise<void> {
  if (every === 0) return async () => undefined
  const stopping = new AbortController()
  let timer: NodeJS.Timeout
  let running: Promise<void> = Promise.resolve()
  const schedule = () => {
    timer = setTimeout(() => {
      running = sweepOnce(store, stopping.signal, log).then(() => {
        if (!stopping.signal.aborted) schedule()
      })
    }, jittered(every))
  }
  schedule()
  return async () => {
    stopping.abort()
    clearTimeout(timer)
    await running
  }
}

/** Never rejects: a store that is away now may be back the next time. */
async function sweepOnce(store: Store, signal: AbortSignal, log: FastifyBaseLogger): Promise<void> {
  const began = performance.now()
  try {
    const removed = await sweepAll(store, { signal })
    log.info({ removed, ms: Math.round(performance.now() - began) }, 'swept the expired')
  } catch (error) {
    if (!signal.aborted) log.warn({ err: error }, 'sweeping failed; it is tried again')
  }
}

/** Up to a tenth more or less, so that processes which started together don't sweep together. */
function jittered(every: number): number {
  return Math.round(every * (0.9 + 0.2 * Math.random()))
}
