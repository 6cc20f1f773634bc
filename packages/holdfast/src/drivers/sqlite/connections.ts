/** Where a driver's connections come from: handed in, in memory, or a file that we open ourselves. */

import { DatabaseSync } from 'node:sqlite'

import type { Awaitable } from '../../store/contract.ts'
import type { OwnDatabase, SqliteDatabase } from './database.ts'
import { type Failure, failureOf, isFailure } from './failure.ts'
import type { Group } from './jobs.ts'
import type { Writer } from './queue.ts'
import { type Found, openGiven, openOwn, settle, type Synchronous } from './settings.ts'
import { WriterThread } from './thread.ts'
import { Transactions } from './transaction.ts'

/** Open connections. */
export interface Connected {
  readonly found: Found
  readonly reader: SqliteDatabase
  readonly writer: Writer
}

export interface Connections {
  /** What to call the database in messages. */
  readonly name: string
  open(): Awaitable<Connected | Failure>
  close(): Awaitable<void>
}

/** A connection of somebody else's: reads and writes on it, on this thread, and never closes it. */
export function givenConnection(database: SqliteDatabase, namespace: string): Connections {
  const name = 'the database that was handed in'
  return {
    name,
    open: () => attempted(() => inThread(database, namespace, openGiven(database, name))),
    close: () => undefined,
  }
}

/** A database in the memory of this process, gone when it is closed. */
export function memoryConnection(namespace: string, synchronous: Synchronous): Connections {
  let database: OwnDatabase | undefined
  return {
    name: ':memory:',
    open: () =>
      attempted(() => {
        database = new DatabaseSync(':memory:')
        return inThread(database, namespace, openOwn(database, ':memory:', synchronous))
      }),
    close: () => {
      database?.close()
      database = undefined
    },
  }
}

/** A file: one writing connection in a thread of its own, one reading connection on this one. */
export function fileConnections(path: string, namespace: string, synchronous: Synchronous): Connections {
  const thread = new WriterThread({ path, namespace, synchronous })
  let reader: OwnDatabase | undefined
  return {
    name: path,
    open: async () => {
      const found = await thread.open()
      if (isFailure(found)) return found
      return attempted(() => {
        reader ??= openReader(path, synchronous)
        return { found, reader, writer: thread }
      })
    },
    close: async () => {
      // The last connection to a file folds the log into it, and that is the thread's work.
      reader?.close()
      reader = undefined
      await thread.close()
    },
  }
}

function openReader(path: string, synchronous: Synchronous): OwnDatabase {
  const reader = new DatabaseSync(path)
  try {
    settle(reader, synchronous)
    // Not opened as read-only: after a crash even a reader has to be able to recover the log.
    reader.exec('pragma query_only = on')
    return reader
  } catch (error) {
    reader.close()
    throw error
  }
}

function inThread(database: SqliteDatabase, namespace: string, found: Found): Connected {
  const transactions = new Transactions(database, namespace)
  return { found, reader: database, writer: { run: (groups: readonly Group[]) => transactions.run(groups) } }
}

function attempted<T>(open: () => T): T | Failure {
  try {
    return open()
  } catch (error) {
    return failureOf(error)
  }
}
