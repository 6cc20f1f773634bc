/**
 * The thread of the writing connection. Whatever waits in its port when it looks shares one transaction, so that
 * the slower the disk is, the more writes one flush carries. Checkpoints happen here as well.
 */

import { DatabaseSync } from 'node:sqlite'
import { isMainThread, type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads'

import { failureOf } from './failure.ts'
import type { Group } from './jobs.ts'
import { Reserve } from './reserve.ts'
import { openOwn } from './settings.ts'
import type { Order, Reply, Request, Start } from './thread.ts'
import { Transactions } from './transaction.ts'

/** How many jobs one transaction takes at most, give or take a message. */
const mostJobs = 1_000

class Connection {
  readonly #order: Order
  #database: DatabaseSync | undefined
  #transactions: Transactions | undefined

  constructor(order: Order) {
    this.#order = order
  }

  open(): Reply {
    const { path, namespace, synchronous } = this.#order
    try {
      this.#database ??= new DatabaseSync(path)
      const found = openOwn(this.#database, path, synchronous)
      const reserve = new Reserve(path)
      if (!found.readOnly) reserve.fill()
      this.#transactions = new Transactions(this.#database, namespace, reserve)
      return found
    } catch (error) {
      this.#database?.close()
      this.#database = undefined
      return failureOf(error)
    }
  }

  /** Replies to several requests to run at once: one transaction for all. */
  run(requests: readonly (readonly Group[])[]): Reply[] {
    const transactions = this.#transactions
    if (!transactions)
      return requests.map(() => ({ failure: 'unavailable', why: 'the connection is not open' }))
    const answers = transactions.run(requests.flat())
    return requests.map((groups) => answers.splice(0, groups.length))
  }

  /** Tidies up as far as that is possible: whatever fails here has no effect on what was committed. */
  close(): Reply {
    try {
      this.#database?.exec('pragma optimize')
    } catch {
      // A locked or full database is closed all the same.
    }
    this.#database?.close()
    this.#database = undefined
    return 'closed'
  }
}

function serve({ order, port }: Start): void {
  const connection = new Connection(order)
  port.on('message', (first: Request) => {
    port.postMessage(replies(connection, waiting(port, first)))
  })
}

function waiting(port: MessagePort, first: Request): Request[] {
  const requests = [first]
  for (let jobs = size(first); jobs < mostJobs;) {
    const next = receiveMessageOnPort(port) as { message: Request } | undefined
    if (!next) break
    requests.push(next.message)
    jobs += size(next.message)
  }
  return requests
}

function size(request: Request): number {
  return request.type === 'run' ? request.groups.reduce((sum, { jobs }) => sum + jobs.length, 0) : 0
}

function replies(connection: Connection, requests: readonly Request[]): Reply[] {
  const given: Reply[] = []
  let runs: (readonly Group[])[] = []
  const runAll = (): void => {
    if (runs.length > 0) given.push(...connection.run(runs))
    runs = []
  }
  for (const request of requests) {
    if (request.type === 'run') {
      runs.push(request.groups)
      continue
    }
    runAll()
    given.push(request.type === 'open' ? connection.open() : connection.close())
  }
  runAll()
  return given
}

if (!isMainThread) serve(workerData as Start)
