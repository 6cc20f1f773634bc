/**
 * Sessions and change streams that do as a test says, for the parts of the driver that need a replica set where there is
 * none. Commands go to a real server all the same.
 */

import type { MongodbChangeStream, MongodbSession } from '../../../packages/holdfast/src/drivers/mongodb.ts'

/** An error as the client throws it, with its labels. */
export function labelled(message: string, ...errorLabels: readonly string[]): Error {
  return Object.assign(new Error(message), { errorLabels })
}

/** A session that notes what is done with it. */
export class ScriptedSession implements MongodbSession {
  readonly notes: string[]
  readonly #commit: () => void

  /** @param commit May throw in the place of the server. */
  constructor(notes: string[], commit: () => void) {
    this.notes = notes
    this.#commit = commit
  }

  startTransaction(options: Parameters<MongodbSession['startTransaction']>[0]): void {
    this.notes.push(`start ${options.readConcern.level} ${options.writeConcern.w}`)
  }

  async commitTransaction(): Promise<void> {
    this.notes.push('commit')
    await Promise.resolve()
    this.#commit()
  }

  async abortTransaction(): Promise<void> {
    this.notes.push('abort')
    await Promise.resolve()
  }

  async endSession(): Promise<void> {
    this.notes.push('end')
    await Promise.resolve()
  }
}

/** A change stream that is fed by hand. */
export class ScriptedStream implements MongodbChangeStream {
  readonly #waiting: (Record<string, unknown> | Error)[] = []
  #wake: () => void = () => undefined
  isClosed = false

  feed(...changes: readonly (Record<string, unknown> | Error)[]): void {
    this.#waiting.push(...changes)
    this.#wake()
  }

  async tryNext(): Promise<Record<string, unknown> | null> {
    if (this.#waiting.length === 0) await this.#fed(20)
    if (this.isClosed) throw new Error('ChangeStream is closed')
    const next = this.#waiting.shift() ?? null
    if (next instanceof Error) throw next
    return next
  }

  close(): Promise<void> {
    this.isClosed = true
    this.#wake()
    return Promise.resolve()
  }

  async #fed(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      setTimeout(resolve, ms)
    })
  }
}
