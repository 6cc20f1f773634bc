/**
 * Room that is kept for destroying, revoking and sweeping: files of zeros, given up one by one when a burial meets a
 * full disk, and made again when there is room.
 */

import { mkdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'

import { StoreFull } from '../../errors.ts'
import { removeFile, writeAnew } from './files.ts'

/** How many files the reserve has. */
const files = 16
/** Bytes of each: a large record fits. */
const fileBytes = 64 * 1024

export class Reserve {
  readonly #folder: string
  #missing = new Set<string>()
  #isFilling = false

  /** @param root The folder of the store: all its namespaces share one reserve. */
  constructor(root: string) {
    this.#folder = join(root, 'reserve')
  }

  /** Makes what is missing of it, as far as there is room. */
  async fill(existing: ReadonlySet<string>): Promise<void> {
    this.#missing = new Set(names.filter((name) => !existing.has(name)))
    await this.refill()
  }

  /** Where the files are. */
  get folder(): string {
    return this.#folder
  }

  /** Does something, again and again with more room while the disk is full. */
  async used(act: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await act()
        return
      } catch (error) {
        if (!(error instanceof StoreFull) || !(await this.#giveUpOne())) throw error
      }
    }
  }

  /** Makes again what was given up. A disk that is still full is left for the next time. */
  async refill(): Promise<void> {
    if (this.#missing.size === 0 || this.#isFilling) return
    this.#isFilling = true
    try {
      await mkdir(this.#folder, 0o700).catch(() => undefined)
      const { bavail, bsize } = await statfs(this.#folder)
      // Of a small disk it takes no more than a quarter of the room.
      const held = (names.length - this.#missing.size) * fileBytes
      let room = (bavail * bsize + held) / 4 - held
      for (const name of this.#missing) {
        room -= fileBytes
        if (room < 0) return
        await writeAnew(join(this.#folder, name), Buffer.alloc(fileBytes))
        this.#missing.delete(name)
      }
    } catch {
      // Half a file is room that somebody else could use.
      for (const name of this.#missing) await removeFile(join(this.#folder, name)).catch(() => undefined)
    } finally {
      this.#isFilling = false
    }
  }

  async #giveUpOne(): Promise<boolean> {
    for (const name of names) {
      this.#missing.add(name)
      if (await removeFile(join(this.#folder, name)).catch(() => false)) return true
    }
    return false
  }
}

const names: readonly string[] = Array.from({ length: files }, (_, i) => String(i).padStart(2, '0'))
