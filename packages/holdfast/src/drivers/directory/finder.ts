/**
 * The entries that find records: empty files, named for the record, in a folder for each label and for each hour in
 * which something may expire. An entry is there before the record is, and goes after it: so a crash leaves entries too
 * many, never too few, and who finds one looks at the record.
 */

import { mkdir, rmdir } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { StoredRecord } from '../../store/record.ts'
import { codeOf, writingFailure } from './failure.ts'
import { flushesFolders, flushFolder, makeEmpty, openFolder, removeFile } from './files.ts'
import { encodedId, hintOf, hourOf, type Layout } from './layout.ts'

/** An entry: the name of a file, and its folder. */
export interface Entry {
  readonly folder: string
  readonly name: string
}

/** How many folders are remembered as flushed into the folders above them. */
const mostRemembered = 10_000
/** Others may remove a folder while it is empty, but not for ever. */
const mostAttempts = 20

/** Makes and removes entries. */
export class Finder {
  /** Folders whose own name is known to be on disk, by their number on the disk. */
  readonly #settled = new Map<string, bigint>()

  /** A group of entries that are flushed together. */
  group(): EntryGroup {
    return new EntryGroup(this.#settled)
  }

  /** Removes an entry, and its folder with the last one. What fails here leaves an entry too many. */
  async remove({ folder, name }: Entry): Promise<void> {
    try {
      await removeFile(join(folder, name))
    } catch {
      return
    }
    await removeIfEmpty(folder)
  }
}

/** Removes a folder unless there is something in it. */
export async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder)
  } catch {
    // It is in use.
  }
}

export class EntryGroup {
  readonly #settled: Map<string, bigint>
  readonly #folders = new Map<string, Promise<FileHandle>>()

  constructor(settled: Map<string, bigint>) {
    this.#settled = settled
  }

  /** Makes an entry and, where needed, its folder. */
  async add({ folder, name }: Entry): Promise<void> {
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#opened(folder)
          await makeEmpty(join(folder, name))
          return
        } catch (error) {
          // Removed as empty between the two steps: what was opened is not what is there.
          if (codeOf(error) !== 'ENOENT' || attempt === mostAttempts) throw error
          await this.#forget(folder)
        }
      }
    } catch (error) {
      throw writingFailure(error, join(folder, name))
    }
  }

  /** Resolves when the entries are on disk. */
  async flush(): Promise<void> {
    if (!flushesFolders) return
    await Promise.all([...this.#folders].map(([folder, handle]) => this.#flush(folder, handle)))
  }

  async close(): Promise<void> {
    const handles = await Promise.allSettled(this.#folders.values())
    this.#folders.clear()
    for (const handle of handles)
      if (handle.status === 'fulfilled') await handle.value.close().catch(() => undefined)
  }

  async #flush(folder: string, opening: Promise<FileHandle>): Promise<void> {
    try {
      const handle = await opening
      await handle.sync()
      const { ino } = await handle.stat({ bigint: true })
      if (this.#settled.get(folder) === ino) return
      await flushFolder(dirname(folder))
      this.#remember(folder, ino)
    } catch (error) {
      throw writingFailure(error, folder)
    }
  }

  #remember(folder: string, inode: bigint): void {
    this.#settled.set(folder, inode)
    if (this.#settled.size <= mostRemembered) return
    for (const oldest of this.#settled.keys()) {
      this.#settled.delete(oldest)
      return
    }
  }

  /** Opened before anything is made in it, so that a link in its place is refused. */
  #opened(folder: string): Promise<FileHandle> {
    let opening = this.#folders.get(folder)
    if (!opening) {
      opening = openOrMake(folder)
      this.#folders.set(folder, opening)
      // Whoever wanted an entry in it is told; the others of the group have nothing to do with it.
      opening.catch(() => this.#folders.delete(folder))
    }
    return opening
  }

  async #forget(folder: string): Promise<void> {
    const opening = this.#folders.get(folder)
    this.#folders.delete(folder)
    const handle = await opening?.catch(() => undefined)
    await handle?.close().catch(() => undefined)
  }
}

async function openOrMake(folder: string): Promise<FileHandle> {
  try {
    return await openFolder(folder)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  try {
    await mkdir(folder, 0o700)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
  return await openFolder(folder)
}

/** The entries that a record needs and has not, given what is there. */
export function entriesToAdd(layout: Layout, now: StoredRecord, before: StoredRecord | undefined): Entry[] {
  const { collection, id } = now.key
  const name = encodedId(id)
  const added = now.labels.filter((label) => before?.labels.includes(label) !== true)
  const entries = added.map((label) => ({ folder: layout.label(collection, label), name }))
  const [hour, had] = [hourOf(now.expiresAt), before && hourOf(before.expiresAt)]
  // A hint too early does no harm, so one is only made where the expiry comes nearer.
  const isHinted = had !== undefined && hour !== undefined && had <= hour
  if (hour !== undefined && !isHinted) entries.push({ folder: layout.hour(hour), name: hintOf(now.key) })
  return entries
}

/** The entries that a record had and needs no more. Hints are left to the sweep. */
export function entriesToDrop(layout: Layout, before: StoredRecord, now: StoredRecord | undefined): Entry[] {
  const { collection, id } = before.key
  const name = encodedId(id)
  const dropped = before.labels.filter((label) => now?.labels.includes(label) !== true)
  return dropped.map((label) => ({ folder: layout.label(collection, label), name }))
}
