/**
 * A lock for each shard, which the system drops when its holder dies: the write lock of an empty SQLite database,
 * because Node.js has no locks of files. Nothing is ever written to the database. No lock file may be opened by other
 * means in the same process: closing it again would drop the lock.
 */

import { closeSync, constants, lstatSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

import { StoreCorrupt, StoreReadOnly, StoreUnavailable } from '../../errors.ts'
import { codeOf, vanished, writingFailure } from './failure.ts'
import type { Layout } from './layout.ts'

/** A lock that is held. */
export interface Held {
  release(): void
}

interface Connection {
  readonly database: DatabaseSync
  readonly inode: bigint
}

const anew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

export class Locks {
  readonly #layout: Layout
  readonly #mostOpen: number
  /** Those not in use, the longest unused first. */
  readonly #idle = new Map<string, Connection>()

  /** @param mostOpen How many connections are kept open for the next time. */
  constructor(layout: Layout, mostOpen: number) {
    this.#layout = layout
    this.#mostOpen = mostOpen
  }

  /**
   * Takes the lock of a shard, or answers `undefined` when another process has it.
   *
   * @throws {StoreReadOnly} @throws {StoreUnavailable} @throws {StoreCorrupt}
   */
  take(shard: string): Held | undefined {
    const path = this.#layout.lock(shard)
    const connection = this.#connection(shard, path)
    try {
      connection.database.exec('begin immediate')
    } catch (error) {
      const code = resultCode(error)
      if (code === busy || code === locked) {
        this.#keep(shard, connection)
        return undefined
      }
      connection.database.close()
      throw lockFailure(error, path)
    }
    return {
      release: () => {
        try {
          connection.database.exec('rollback')
          this.#keep(shard, connection)
        } catch {
          // Closing lets go of it as well.
          connection.database.close()
        }
      },
    }
  }

  /** Closes what is not in use. */
  close(): void {
    for (const { database } of this.#idle.values()) database.close()
    this.#idle.clear()
  }

  #connection(shard: string, path: string): Connection {
    const found = this.#idle.get(shard)
    this.#idle.delete(shard)
    const inode = inodeOf(path)
    if (found && found.inode === inode) return found
    // Somebody removed the file: who opens it from now on would not meet us at the old one.
    found?.database.close()
    if (inode === undefined) make(path)
    try {
      const database = new DatabaseSync(path)
      // Nothing is ever written, so there is nothing to be undone: no journal is made beside the file.
      database.exec('pragma busy_timeout = 0; pragma journal_mode = memory')
      return { database, inode: inodeOf(path) ?? -1n }
    } catch (error) {
      throw lockFailure(error, path)
    }
  }

  #keep(shard: string, connection: Connection): void {
    this.#idle.set(shard, connection)
    if (this.#idle.size <= this.#mostOpen) return
    for (const [oldest, { database }] of this.#idle) {
      this.#idle.delete(oldest)
      database.close()
      return
    }
  }
}

/** Made by us, because SQLite would follow a link. Another process may be faster. */
function make(path: string): void {
  try {
    closeSync(openSync(path, anew, 0o600))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw writingFailure(error, path)
  }
}

function inodeOf(path: string): bigint | undefined {
  const at = lstatSync(path, { throwIfNoEntry: false, bigint: true })
  if (at && !at.isFile()) {
    throw new StoreCorrupt(`${path} is no file of ours: symbolic links are not followed. Move it away`)
  }
  return at?.ino
}

const busy = 5
const locked = 6
const readOnly = 8
const cannotOpen = 14
const notADatabase = 26

function lockFailure(error: unknown, path: string): Error {
  const details = { cause: error }
  const why = error instanceof Error ? error.message : String(error)
  const code = resultCode(error)
  if (code === cannotOpen && inodeOf(path) === undefined) return vanished(path, error)
  if (code === readOnly) {
    return new StoreReadOnly(
      `${path} cannot be locked (${why}); nothing was changed. Give this process write permission for the folder ` +
        'and everything in it',
      details,
    )
  }
  if (code === notADatabase) {
    return new StoreCorrupt(`${path} holds something, but locks are empty. Move it away`, details)
  }
  return new StoreUnavailable(
    `${path} could not be locked (${why}); nothing was changed. Check its permissions, the limit of open files, and ` +
      'whether the file system supports locks',
    details,
  )
}

function resultCode(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return 0
  return typeof error.errcode === 'number' ? error.errcode % 256 : 0
}
