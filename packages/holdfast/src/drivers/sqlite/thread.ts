/** The writing connection in a thread of its own, seen from the caller's thread. */

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'

import { AnswerLost, StoreClosed } from '../../errors.ts'
import { type Failure, isFailure } from './failure.ts'
import type { Answer, Group } from './jobs.ts'
import type { Writer } from './queue.ts'
import type { Found, Synchronous } from './settings.ts'

/** What the worker is started with. */
export interface Order {
  readonly path: string
  readonly namespace: string
  readonly synchronous: Synchronous
}

/** What the worker is given. The port is one of its own, because Deno can't look into the one that it has anyhow. */
export interface Start {
  readonly order: Order
  readonly port: MessagePort
}

/** What the worker is asked. Each request has one reply, and replies come in the order of the requests. */
export type Request =
  | { readonly type: 'open' }
  | { readonly type: 'run'; readonly groups: readonly Group[] }
  | { readonly type: 'close' }

/** The answers of each group, or what was found at opening, or why nothing could be done. */
export type Reply = readonly (readonly Answer[])[] | Found | Failure | 'closed'

interface Thread {
  readonly worker: Worker
  readonly port: MessagePort
}

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

const workerFile = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

export class WriterThread implements Writer {
  readonly #order: Order
  #thread: Thread | undefined
  #waiting: Waiting[] = []
  #reopening: Promise<Found | Failure> | undefined
  #wasOpened = false
  #isClosed = false

  constructor(order: Order) {
    this.#order = order
  }

  /** Starts the thread unless it runs, and opens its connection. */
  async open(): Promise<Found | Failure> {
    this.#thread ??= this.#start()
    const found = (await this.#ask({ type: 'open' })) as Found | Failure
    if (!isFailure(found)) this.#wasOpened = true
    return found
  }

  async run(groups: readonly Group[]): Promise<readonly (readonly Answer[])[]> {
    // A thread that died is replaced by the first call that finds it dead.
    if (!this.#thread || this.#reopening) {
      const failure = await this.#reopened()
      if (failure) return groups.map(({ jobs }) => jobs.map(() => failure))
    }
    const sent = groups.map(({ jobs, values }) => ({ jobs, values: values.slice() }))
    const transfer = sent.map(({ values }) => values.buffer)
    const reply = await this.#ask({ type: 'run', groups: sent }, transfer)
    if (isFailure(reply)) return groups.map(({ jobs }) => jobs.map(() => reply))
    return reply as readonly (readonly Answer[])[]
  }

  /** Closes the connection and ends the thread. */
  async close(): Promise<void> {
    this.#isClosed = true
    const thread = this.#thread
    if (!thread) return
    await this.#ask({ type: 'close' }).catch(() => undefined)
    this.#thread = undefined
    await thread.worker.terminate()
  }

  async #reopened(): Promise<Failure | undefined> {
    if (this.#isClosed || !this.#wasOpened) throw new StoreClosed('the store was closed')
    this.#reopening ??= this.open().finally(() => {
      this.#reopening = undefined
    })
    const found = await this.#reopening
    return isFailure(found) ? found : undefined
  }

  #ask(request: Request, transfer: ArrayBuffer[] = []): Promise<Reply> {
    const port = this.#thread?.port
    if (!port) return Promise.reject(new AnswerLost('the writing thread ended'))
    // The thread keeps the process alive only as long as something is waiting for it.
    if (this.#waiting.length === 0) port.ref()
    port.postMessage(request, transfer)
    return new Promise<Reply>((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    })
  }

  #start(): Thread {
    const { port1: port, port2: its } = new MessageChannel()
    const start: Start = { order: this.#order, port: its }
    const worker = new Worker(workerFile, {
      workerData: start,
      transferList: [its],
      name: 'holdfast-sqlite',
      execArgv: inherited(),
    })
    let cause: unknown
    const thread = { worker, port }
    port.on('message', (replies: readonly Reply[]) => {
      for (const [i, { resolve }] of this.#waiting.splice(0, replies.length).entries())
        resolve(replies[i] as Reply)
      if (this.#waiting.length === 0) port.unref()
    })
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', () => {
      port.close()
      if (this.#thread === thread) this.#lose(cause)
    })
    worker.unref()
    return thread
  }

  #lose(cause: unknown): void {
    this.#thread = undefined
    const why = cause instanceof Error ? cause.message : 'it was ended'
    const error = new AnswerLost(`the writing thread of ${this.#order.path} died: ${why}`, { cause })
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}

/**
 * The flags of this process that the thread needs, so that sources in TypeScript run wherever they run here. Of the
 * others, threads refuse some.
 */
function inherited(): string[] {
  return process.execArgv.filter((flag) =>
    /^--((no-)?experimental-(strip|transform)-types|disable-warning=|no-warnings)/.test(flag),
  )
}
