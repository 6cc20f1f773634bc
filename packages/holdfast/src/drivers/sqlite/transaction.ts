/**
 * Group commit: the writes of one moment share a transaction, and none is answered before it is committed.
 *
 * `conflict` and `gone` are values and disturb nobody. An error does: SQLite may have ended the transaction (a full
 * disk does) and with it undone the neighbours. So the group is rolled back and each of its writes is run again in
 * a transaction of its own: only those fail that fail alone.
 */

import { ChangeLog } from './change-log.ts'
import { prepared, type SqliteDatabase } from './database.ts'
import { type Failure, failureOf } from './failure.ts'
import { type Answer, type Group, isBurial, type Job } from './jobs.ts'
import type { Reserve } from './reserve.ts'
import { Writing } from './writing.ts'

export class Transactions {
  readonly #database: SqliteDatabase
  readonly #writing: Writing
  readonly #log: ChangeLog
  readonly #reserve: Reserve | undefined

  /** @param reserve Room for burials, where the file is ours. */
  constructor(database: SqliteDatabase, namespace: string, reserve?: Reserve) {
    this.#database = database
    this.#reserve = reserve
    this.#writing = new Writing(database, namespace)
    this.#log = new ChangeLog(database, namespace)
  }

  /** Runs groups in one transaction and gives the answers of each, after the commit. Never throws. */
  run(groups: readonly Group[]): Answer[][] {
    const answers = this.#inOne(() =>
      groups.map((group) => group.jobs.map((job) => this.#apply(job, group.values))),
    )
    if (Array.isArray(answers)) {
      this.#reserve?.fill()
      return answers
    }
    // Nobody got as far as a write: another connection has the lock, or none can be had at all.
    if (!answers.began) return groups.map((group) => group.jobs.map(() => answers.failure))
    if (answers.failure.failure === 'full') this.#makeRoom()
    return groups.map((group) => group.jobs.map((job) => this.#alone(job, group.values)))
  }

  #alone(job: Job, values: Uint8Array): Answer {
    for (;;) {
      const answers = this.#inOne(() => [this.#apply(job, values)])
      if (Array.isArray(answers)) return answers[0] as Answer
      const { failure } = answers
      if (failure.failure !== 'full' || !isBurial(job) || this.#reserve?.giveUpSome() !== true) return failure
      this.#makeRoom()
    }
  }

  #inOne<T>(write: () => T[]): T[] | { failure: Failure; began: boolean } {
    let stage: 'begin' | 'write' | 'commit' = 'begin'
    try {
      this.#database.exec('begin immediate')
      stage = 'write'
      this.#writing.changed = []
      const answers = write()
      this.#log.add(this.#writing.changed)
      stage = 'commit'
      this.#database.exec('commit')
      return answers
    } catch (error) {
      const began = stage !== 'begin'
      if (began) this.#rollBack()
      return { failure: failureOf(error, stage === 'commit'), began }
    }
  }

  #apply(job: Job, values: Uint8Array): Answer {
    switch (job[0]) {
      case 'touches':
        return job[1].map((touch) => this.#writing.touch(touch))
      case 'batch':
        return this.#writing.batch(job[1], values)
      case 'sweep':
        return this.#writing.sweep(job[1], job[2])
      case 'remove':
        this.#writing.remove(job[1])
        return 'done'
      default:
        return this.#writing.write(job, values)
    }
  }

  #rollBack(): void {
    try {
      this.#database.exec('rollback')
    } catch {
      // The error has already ended the transaction.
    }
  }

  /** On a full disk the log can't grow, but once its pages are in the database it is written from the start again. */
  #makeRoom(): void {
    try {
      prepared(this.#database, 'pragma wal_checkpoint(passive)').get()
    } catch {
      // Then each write says for itself that there is no room.
    }
  }
}
