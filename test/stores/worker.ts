/** One of several processes over one store: told what to do line by line as JSON, it answers each line with one. */

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** How long a process gets to close its store. */
const patienceMs = 10_000

export class Worker<Order> {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  readonly #reader: Interface

  /** Starts a program. It says `"ready"` when it is. */
  constructor(program: URL) {
    this.#process = spawn(process.execPath, [fileURLToPath(program)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#process.stdin.on('error', () => undefined)
    this.#reader = createInterface({ input: this.#process.stdout })
    this.#lines = this.#reader[Symbol.asyncIterator]()
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  async answer(): Promise<unknown> {
    const line = await this.#lines.next()
    if (line.done === true) throw new Error('the process ended')
    return JSON.parse(line.value) as unknown
  }

  async obey(order: Order): Promise<unknown> {
    this.#process.stdin.write(`${JSON.stringify(order)}\n`)
    return await this.answer()
  }

  /** As the system does when memory is short. */
  async kill(): Promise<void> {
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
    this.#reader.close()
  }

  async end(): Promise<void> {
    if (!this.isRunning) return
    const exited = once(this.#process, 'exit')
    this.#process.stdin.end()
    const patience = setTimeout(() => this.#process.kill('SIGKILL'), patienceMs)
    const [, signal] = (await exited) as [unknown, unknown]
    clearTimeout(patience)
    this.#reader.close()
    if (signal !== null)
      throw new Error(`a process that was to close its store did not end in ${patienceMs} ms`)
  }
}

/** Several processes that run the same program. Those that have died are replaced. */
export class Crew<Order> {
  readonly #program: URL
  readonly #size: number
  #workers: readonly Worker<Order>[] = []

  constructor(program: URL, size: number) {
    this.#program = program
    this.#size = size
  }

  /** All of them, ready to be told what to do. */
  async ready(): Promise<readonly Worker<Order>[]> {
    const living = this.#workers.filter((worker) => worker.isRunning)
    const fresh = Array.from({ length: this.#size - living.length }, () => new Worker<Order>(this.#program))
    this.#workers = [...living, ...fresh]
    for (const worker of fresh) {
      const first = await worker.answer()
      if (first !== 'ready') throw new Error(`the process began with ${JSON.stringify(first)}`)
    }
    return this.#workers
  }

  /** Ends them all. @throws when one of them doesn't end. */
  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.end()))
  }
}
