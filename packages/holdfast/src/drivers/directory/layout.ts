/**
 * Where things lie in the folder, and how they are called. A name holds small letters, digits, dots and hyphens only,
 * so that no two of them become one on a file system that ignores case, and none is one that Windows reserves.
 */

import { hash } from 'node:crypto'
import { join } from 'node:path'

import { isId, type Instant, type Key, type Label, never } from '../../store/record.ts'

/** How many shards there are: each has a folder of records and a lock of its own. */
export const shards = 256

/** How many digests there are: slices are ranges of them. */
export const digests = 2 ** 32

const hourMs = 3_600_000
/** RFC 4648's base32hex: what is encoded sorts as what it stands for. */
const alphabet = '0123456789abcdefghijklmnopqrstuv'
const valueOf = new Map(Array.from(alphabet, (letter, i) => [letter, i]))

/** The paths of one namespace. */
export class Layout {
  /** The folder that was named by the user. */
  readonly root: string
  /** Everything of the namespace. */
  readonly home: string

  constructor(root: string, namespace: string) {
    this.root = root
    this.home = join(root, `ns-${namespace}`)
  }

  get temps(): string {
    return join(this.home, 'temp')
  }

  get locks(): string {
    return join(this.home, 'locks')
  }

  get expiry(): string {
    return join(this.home, 'expiry')
  }

  /** The folders that are made when the store is, outermost first. */
  get folders(): readonly string[] {
    return [
      this.home,
      ...['records', 'labels', 'locks', 'expiry', 'temp'].map((name) => join(this.home, name)),
      ...allShards.map((shard) => this.records(shard)),
      ...Array.from('0123456789abcdef', (digit) => join(this.home, 'labels', digit)),
    ]
  }

  records(shard: string): string {
    return join(this.home, 'records', shard)
  }

  record(key: Key): string {
    return join(this.records(shardOf(key)), nameOf(key))
  }

  lock(shard: string): string {
    return join(this.locks, shard)
  }

  /** A file that is being written. Only the holder of the shard's lock uses it. */
  temp(shard: string, n: number): string {
    return join(this.temps, `${shard}.${n}`)
  }

  /** The folder that finds the ids of the records of one label. */
  label(collection: string, label: Label): string {
    const digest = hash('sha256', `${collection}/${label}`, 'hex')
    return join(this.home, 'labels', digest.charAt(0), digest)
  }

  /** The folder of hints at what may expire in an hour. */
  hour(hour: number): string {
    return join(this.expiry, String(hour))
  }
}

/** The names of all shards, in order. */
export const allShards: readonly string[] = Array.from({ length: shards }, (_, i) => shardName(i))

/** The head of the digest of a key: what shards and slices are drawn from. */
export function digestOf({ collection, id }: Key): number {
  return hash('sha256', `${collection}/${id}`, 'buffer').readUInt32BE(0)
}

/** The shard that holds a key. */
export function shardOf(key: Key): string {
  return shardName(Math.floor((digestOf(key) * shards) / digests))
}

function shardName(n: number): string {
  return n.toString(16).padStart(2, '0')
}

/** The name of a record's file. */
export function nameOf({ collection, id }: Key): string {
  return `${collection}.${encodedId(id)}`
}

/** The key that a file is named for; `undefined` for a name that is not ours. */
export function keyOfName(name: string): Key | undefined {
  const dot = name.indexOf('.')
  const collection = name.slice(0, Math.max(dot, 0))
  const id = decodedId(name.slice(dot + 1))
  return id !== undefined && /^[a-z][a-z0-9-]{0,31}$/.test(collection) ? { collection, id } : undefined
}

/** The name of the hint at a record's expiry. By shard first, so that a sweep takes few locks. */
export function hintOf(key: Key): string {
  return `${shardOf(key)}.${nameOf(key)}`
}

/** The key that a hint speaks of. */
export function keyOfHint(hint: string): Key | undefined {
  return /^[0-9a-f]{2}\./.test(hint) ? keyOfName(hint.slice(3)) : undefined
}

/** The hour in which something expires; `undefined` when it never does. */
export function hourOf(expiresAt: Instant): number | undefined {
  return expiresAt === never ? undefined : Math.floor(expiresAt / hourMs)
}

/** An id as the name of a file. Names sort as their ids do. */
export function encodedId(id: string): string {
  let [name, bits, held] = ['', 0, 0]
  for (let i = 0; i < id.length; i++) {
    held = (held << 8) | id.charCodeAt(i)
    for (bits += 8; bits >= 5; bits -= 5) name += alphabet.charAt((held >>> (bits - 5)) & 31)
    held &= (1 << bits) - 1
  }
  return bits > 0 ? name + alphabet.charAt((held << (5 - bits)) & 31) : name
}

/** The id of a name; `undefined` for a name that no id has. */
export function decodedId(name: string): string | undefined {
  let [id, bits, held] = ['', 0, 0]
  for (const letter of name) {
    const value = valueOf.get(letter)
    if (value === undefined) return undefined
    held = (held << 5) | value
    bits += 5
    if (bits < 8) continue
    bits -= 8
    id += String.fromCharCode((held >>> bits) & 255)
    held &= (1 << bits) - 1
  }
  return isId(id) && encodedId(id) === name ? id : undefined
}
