/**
 * The tasks of one shard that are carried out together, while its lock is held. First everything is written beside:
 * entries and temporary files, all flushed. Then the files are renamed into place, and the folder is flushed. Only then
 * are the tasks answered. What fails before the renaming has changed nothing.
 */

import { type FileHandle, rename } from 'node:fs/promises'
import { join } from 'node:path'

import { OutcomeUnknown } from '../../errors.ts'
import { keyText, type StoredRecord } from '../../store/record.ts'
import { writingFailure } from './failure.ts'
import { flushesFolders, openFolder, readRecord, removeFile, writeAnew } from './files.ts'
import { entriesToAdd, entriesToDrop, type Entry, type EntryGroup, type Finder } from './finder.ts'
import { type Layout, nameOf } from './layout.ts'
import { encoded } from './record-file.ts'
import type { Reserve } from './reserve.ts'
import type { Decision, Task } from './tasks.ts'

/** A task that waits for its answer. */
export interface Pending {
  readonly task: Task<unknown>
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/** A task that has decided to change something. */
interface Staged {
  readonly pending: Pending
  readonly decision: Decision<unknown>
  readonly current: StoredRecord | undefined
  readonly path: string
  /** The file that is to be renamed into place. */
  readonly temp: string | undefined
}

/** What batches share. */
export interface Workshop {
  readonly layout: Layout
  readonly finder: Finder
  readonly reserve: Reserve
}

export class Batch {
  readonly #workshop: Workshop
  readonly #shard: string
  readonly #folder: string
  readonly #entries: EntryGroup

  constructor(workshop: Workshop, shard: string) {
    this.#workshop = workshop
    this.#shard = shard
    this.#folder = workshop.layout.records(shard)
    this.#entries = workshop.finder.group()
  }

  /** Carries out tasks over different keys, and answers each. Never rejects. */
  async run(all: readonly Pending[]): Promise<void> {
    try {
      const staged = await this.#staged(all)
      const published = await this.#published(staged)
      for (const { pending, decision } of published) pending.resolve(decision.answer)
      await this.#tidied(published)
    } catch (error) {
      // Whoever was answered already doesn't hear of it.
      for (const { reject } of all) reject(error)
    }
  }

  async #staged(all: readonly Pending[]): Promise<Staged[]> {
    const staging = all.map((pending, i) => this.#stage(pending, i))
    const staged = (await Promise.all(staging)).filter((each) => each !== undefined)
    try {
      await this.#entries.flush()
      return staged
    } catch (error) {
      await Promise.all(staged.map((each) => this.#abandon(each, error)))
      return []
    } finally {
      await this.#entries.close()
    }
  }

  /** Looks, decides and writes beside. Answers at once what changes nothing. */
  async #stage(pending: Pending, i: number): Promise<Staged | undefined> {
    const { task } = pending
    const path = join(this.#folder, nameOf(task.key))
    try {
      const current = this.#current(task, path)
      const decision = task.decide(current)
      const { record, isRemoved, add = [], drop = [] } = decision
      if (!record && !isRemoved && add.length + drop.length === 0) {
        pending.resolve(decision.answer)
        return undefined
      }
      const temp = record && this.#workshop.layout.temp(this.#shard, i)
      const entries = record ? entriesToAdd(this.#workshop.layout, record, current) : add
      const write = (): Promise<void> => this.#write(entries, record, temp)
      await (task.isBurial ? this.#workshop.reserve.used(write) : write())
      return { pending, decision, current, path, temp }
    } catch (error) {
      pending.reject(error)
      return undefined
    }
  }

  #current(task: Task<unknown>, path: string): StoredRecord | undefined {
    try {
      return readRecord(this.#folder, path, task.key, true)
    } catch (error) {
      if (task.ignoresDamage === true) return undefined
      throw error
    }
  }

  async #write(
    entries: readonly Entry[],
    record: StoredRecord | undefined,
    temp: string | undefined,
  ): Promise<void> {
    try {
      if (record && temp !== undefined) await writeAnew(temp, encoded(record))
      const added = await Promise.allSettled(entries.map((entry) => this.#entries.add(entry)))
      const failed = added.find((each) => each.status === 'rejected')
      if (failed) throw failed.reason
    } catch (error) {
      // What there was room for takes room from others.
      if (temp !== undefined) await removeFile(temp).catch(() => undefined)
      throw writingFailure(error, temp ?? this.#folder)
    }
  }

  /** Renames and removes, and flushes the folder: those that got so far. */
  async #published(staged: readonly Staged[]): Promise<Staged[]> {
    if (!staged.some(({ decision }) => decision.record ?? decision.isRemoved)) return [...staged]
    let folder: FileHandle | undefined
    try {
      // Before the renaming: what fails here has changed nothing, and a link in the folder's place is refused.
      if (flushesFolders) folder = await openFolder(this.#folder)
    } catch (error) {
      const failure = writingFailure(error, this.#folder)
      await Promise.all(staged.map((each) => this.#abandon(each, failure)))
      return []
    }
    const publishing = await Promise.all(staged.map((each) => this.#publish(each)))
    const published = publishing.filter((each) => each !== undefined)
    try {
      await folder?.sync()
      return published
    } catch (cause) {
      for (const { pending } of published) pending.reject(unflushed(pending, this.#folder, cause))
      return []
    } finally {
      await folder?.close().catch(() => undefined)
    }
  }

  async #publish(staged: Staged): Promise<Staged | undefined> {
    const { decision, path, temp } = staged
    try {
      if (temp !== undefined) await rename(temp, path)
      else if (decision.isRemoved === true) await removeFile(path)
      return staged
    } catch (error) {
      await this.#abandon(staged, writingFailure(error, path))
      return undefined
    }
  }

  async #abandon({ pending, temp }: Staged, error: unknown): Promise<void> {
    if (temp !== undefined) await removeFile(temp).catch(() => undefined)
    pending.reject(error)
  }

  /** Removes the entries that are too many now, and takes back the room that burials have used. */
  async #tidied(published: readonly Staged[]): Promise<void> {
    const { layout, finder, reserve } = this.#workshop
    const dropped = published.flatMap(({ decision, current }) => [
      ...(decision.drop ?? []),
      ...(current && (decision.record ?? decision.isRemoved)
        ? entriesToDrop(layout, current, decision.record)
        : []),
    ])
    await Promise.all(dropped.map((entry) => finder.remove(entry)))
    await reserve.refill()
  }
}

/** The file is in place, but may be gone after a power cut: asking for it again would tell nothing. */
function unflushed({ task }: Pending, folder: string, cause: unknown): OutcomeUnknown {
  return new OutcomeUnknown(
    `${folder} could not be flushed, so the change of ${keyText(task.key)} may or may not survive: check the disk`,
    { cause },
  )
}
