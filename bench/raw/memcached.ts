/** Memcached: one item per record, one per owner with the keys of its records; a compare-and-swap is gets and cas. */

import Memcached from 'memcached'
import { idOf, ownerOf, valueOf } from '../filling.ts'
import { parts, type Raw } from './raw.ts'

const lifetime = 86_400

export async function rawMemcached(url: string): Promise<Raw> {
  const hosts = url.replace(/^memcached:\/\//, '').split(',')
  const client = new Memcached(hosts, { poolSize: 10 })
  const owners = new Set<string>()
  const versions: number[] = []
  const keyOf = (i: number): string => `raw:r:${idOf(i)}`
  const set = (key: string, value: unknown): Promise<unknown> =>
    answered((done) => {
      client.set(key, value, lifetime, done)
    })
  return {
    note: 'the package memcached, 10 connections a server: get; gets and cas; get and a get of many',
    async fill(shape) {
      for (const numbers of parts(shape, 500)) {
        await Promise.all(
          numbers.map((i) => {
            owners.add(ownerOf(i, shape))
            return set(keyOf(i), valueOf(i))
          }),
        )
      }
      for (let start = 0; start < shape.count; start += shape.perOwner) {
        const length = Math.min(shape.perOwner, shape.count - start)
        const keys = Array.from({ length }, (_, i) => keyOf(start + i))
        await set(`raw:o:${ownerOf(start, shape)}`, keys.join(' '))
      }
    },
    async read(i) {
      const found = await answered((done) => {
        client.get(keyOf(i), done)
      })
      if (found === undefined) throw new Error('a record was not read')
    },
    async save(i) {
      versions[i] = (versions[i] ?? 0) + 1
      const found = (await answered((done) => {
        client.gets(keyOf(i), done)
      })) as { cas: string }
      const saved = await answered((done) => {
        client.cas(keyOf(i), valueOf(i, versions[i]), found.cas, lifetime, done)
      })
      if (saved !== true) throw new Error('a record was not saved')
    },
    async list(owner) {
      const keys = (await answered((done) => {
        client.get(`raw:o:${owner}`, done)
      })) as string
      const found = await answered((done) => {
        client.getMulti(keys.split(' '), done)
      })
      return Object.keys(found as object).length
    },
    async end() {
      // What is left expires within a day, as everything in a Memcached does.
      client.end()
    },
  }
}

/** A promise of what a callback is told. */
async function answered(call: (done: (error: unknown, answer: unknown) => void) => void): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    call((error, answer) => {
      if (error instanceof Error) reject(error)
      else resolve(answer)
    })
  })
}
