/**
 * Room on the disk that is kept for destroying, revoking and sweeping: a file of zeros beside the database, cut shorter
 * when one of these meets a full disk, and made longer again when there is room. It is larger than the write-ahead log
 * usually gets: so that can be folded into the database, and is then written from its start, which needs no more room.
 */

import { closeSync, constants, fstatSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs'

/** Bytes of the whole reserve; of a small disk, it takes no more than a quarter of the room. */
const wholeBytes = 5 * 1024 * 1024
/** Bytes that are given up at a time. */
const stepBytes = 256 * 1024

const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW || 0)

export class Reserve {
  readonly #path: string
  #isWhole = false

  /** @param database The path of the database. */
  constructor(database: string) {
    this.#path = `${database}-reserve`
  }

  /** Makes what is missing of it. Where there is no room, that is left for the next time. */
  fill(): void {
    if (this.#isWhole) return
    this.#withFile((file) => {
      const { size } = fstatSync(file)
      const { bavail, bsize } = statfsSync(this.#path)
      const most = Math.min(wholeBytes, (size + bavail * bsize) / 4)
      for (let length = size; length + stepBytes <= most; length += stepBytes) {
        try {
          writeSync(file, Buffer.alloc(stepBytes), 0, stepBytes, length)
        } catch (error) {
          // Half a step is room that somebody else could use.
          ftruncateSync(file, length)
          throw error
        }
      }
      this.#isWhole = most === wholeBytes
    })
  }

  /** Gives up a part of it. Answers false when there is none left. */
  giveUpSome(): boolean {
    let gaveUp = false
    this.#withFile((file) => {
      const { size } = fstatSync(file)
      if (size === 0) return
      this.#isWhole = false
      ftruncateSync(file, Math.max(0, size - stepBytes))
      gaveUp = true
    })
    return gaveUp
  }

  /** Without a reserve the store works all the same, so that nothing which fails here is an error. */
  #withFile(act: (file: number) => void): void {
    try {
      const file = openSync(this.#path, flags, 0o600)
      try {
        act(file)
      } finally {
        closeSync(file)
      }
    } catch {
      // No room, or no permission.
    }
  }
}
