/** A service in operation: its store opened, its port taken, the expired swept, and all of that let go in order. */

import { openStore, sealedCodec } from 'holdfast'
import type { Settings } from '../configuration/settings.ts'
import { type Installation, install } from '../installation/installation.ts'
import { createService, type Service } from './service.ts'
import { startSweeping } from './sweeping.ts'

/** A service that answers. */
export interface RunningService {
  /** Where it listens: `http://127.0.0.1:7070`. */
  readonly address: string
  /** What its store is, for people. */
  readonly store: string
  readonly installation: Installation
  /**
   * Stops in order: not ready; after `shutdownDelay` nothing new is accepted; what is under way may finish within
   * `shutdownGrace`; then the store is closed.
   */
  stop(): Promise<void>
}

/** Starts a service. @throws what the store, the state folder or the network throw; nothing is left open then. */
export async function startService(settings: Settings): Promise<RunningService> {
  const installation = await install(settings)
  const store = await openStore(settings.store, {
    namespace: settings.namespace,
    deadline: settings.deadline,
    ...(settings.seal
      ? { codec: sealedCodec(installation.ring, { acceptPlain: settings.acceptPlain }) }
      : {}),
  })
  try {
    const service = await createService({ store, settings, installation })
    const address = await service.app.listen({ host: settings.host, port: settings.port })
    const { description } = await store.open()
    const stopSweeping = startSweeping(store, settings.sweepEvery, service.app.log)
    const stop = async () => {
      service.health.stop()
      await stopSweeping()
      await drain(service, settings)
      await store.close()
    }
    return { address, store: description, installation, stop: once(stop) }
  } catch (error) {
    await store.close()
    throw error
  }
}

async function drain({ app }: Service, { shutdownDelay, shutdownGrace }: Settings): Promise<void> {
  if (shutdownDelay > 0) await new Promise((resolve) => setTimeout(resolve, shutdownDelay))
  const tooLong = setTimeout(() => {
    app.log.warn({ ms: shutdownGrace }, 'requests under way took too long to finish and are cut off')
    app.server.closeAllConnections()
  }, shutdownGrace)
  await app.close()
  clearTimeout(tooLong)
}

function once(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => (running ??= action())
}
