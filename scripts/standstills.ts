/**
 * Notices when the machine itself stands still: what a test says of that time, it says of the machine. On disks that
 * are shared with other machines, reading a program takes 20 s at times, and a flush 14.
 */
import { readFileSync } from 'node:fs'

/** A time in which nothing, or nothing that needed the disk, went on: milliseconds of `Date.now()`. */
export interface Standstill {
  readonly from: number
  readonly to: number
}

/** Milliseconds between two looks. */
const interval = 1_000
/** Milliseconds: shorter ones are what tests have to bear. */
const least = 2_000

/** Looks at the clock and, on Linux, at the time that work waited for the disk, once a second. */
export class Standstills {
  readonly #seen: Standstill[] = []
  readonly #timer: NodeJS.Timeout
  #looked = Date.now()
  #waited = waitedForDisk()
  /** When the disk was last seen to keep up. */
  #kept = Date.now()

  constructor() {
    this.#timer = setInterval(() => this.#look(), interval)
  }

  /** Ends the watch. @returns what there was. */
  end(): readonly Standstill[] {
    this.#look()
    clearInterval(this.#timer)
    return this.#seen
  }

  #look(): void {
    const now = Date.now()
    const waited = waitedForDisk()
    const passed = now - this.#looked
    // A look that comes late was kept from it: the processors were elsewhere.
    const isLate = passed > interval + least
    const isWaiting = waited - this.#waited > 0.8 * passed
    if (!isWaiting) this.#kept = now
    const from = isLate ? this.#looked : this.#kept
    if (now - from >= least) this.#add({ from, to: now })
    this.#looked = now
    this.#waited = waited
  }

  /** Adds to the last one, where that goes on. */
  #add({ from, to }: Standstill): void {
    const last = this.#seen.at(-1)
    if (last && last.to >= from) this.#seen[this.#seen.length - 1] = { from: Math.min(last.from, from), to }
    else this.#seen.push({ from, to })
  }
}

/**
 * Milliseconds since the start of the machine in which at least one task waited for a disk. Always 0 where the system
 * doesn't tell. Source: Linux, Documentation/accounting/psi.rst.
 */
function waitedForDisk(): number {
  try {
    const [, total] = /^some .*total=(\d+)$/m.exec(readFileSync('/proc/pressure/io', 'utf8')) ?? []
    return Number(total ?? 0) / 1_000
  } catch {
    return 0
  }
}
