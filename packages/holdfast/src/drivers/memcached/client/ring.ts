/**
 * Which server a key belongs to: consistent hashing in the manner of ketama, 160 points for each server on a circle,
 * drawn from its name alone. A key has one server and never another: that one being away is an error, not a reason
 * to ask its neighbour, where an older copy could be found when it is back.
 */

import { hash } from 'node:crypto'

/** Digests for each server, with eight points of 32 bits in each. */
const digests = 20
const pointsInDigest = 8

export class Ring {
  /** What stands for this list of servers. */
  readonly id: string
  readonly #points: Float64Array
  readonly #count: number

  /** @param names The names of the servers, sorted; what {@link of} answers with is an index into them. */
  constructor(names: readonly string[]) {
    this.id = hash('sha256', names.join('\n'), 'hex').slice(0, 32)
    this.#count = names.length
    // The point above, the index of its server below: so sorting numbers sorts both. All of it is exact up to 2^53.
    const points = names.flatMap((name, index) => pointsOf(name).map((point) => point * 2 ** 16 + index))
    this.#points = Float64Array.from(points).sort()
  }

  /** The index of the server that the key belongs to. */
  of(key: string): number {
    if (this.#count === 1) return 0
    const point = hash('sha256', key, 'buffer').readUInt32BE(0) * 2 ** 16
    let low = 0
    let high = this.#points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#points[middle]! < point) low = middle + 1
      else high = middle
    }
    return this.#points[low === this.#points.length ? 0 : low]! % 2 ** 16
  }
}

function pointsOf(name: string): readonly number[] {
  return Array.from({ length: digests }, (_, i) => {
    const digest = hash('sha256', `${name}-${i}`, 'buffer')
    return Array.from({ length: pointsInDigest }, (_, j) => digest.readUInt32BE(4 * j))
  }).flat()
}
