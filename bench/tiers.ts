/**
 * What the memory of a process costs where it has the answer.
 *
 * `tier-hit`: a record is looked at as it was decoded; against a plain Map that holds the same by its key. Theirs checks
 * neither freshness nor expiry, and forgets nothing.
 * `verify`: a token is verified, credential to decision; against one SHA-256 of the same secret, which is a part of it.
 */

import { hash } from 'node:crypto'
import { join } from 'node:path'
import { type Key, processMemory, type StoredRecord, tiered, Tokens } from 'holdfast'
import { openSqliteStore } from 'holdfast/sqlite'
import { type Benchmark, inTurn, perSecond } from './measure.ts'
import { inScratch } from './scratch.ts'

const howMany = 5_000
/** Spreads the readings, so that none follows its neighbour. */
const step = 7_919

export const tierHit: Benchmark = (settings) =>
  inScratch(async (folder) => {
    const times = 1_000_000
    const store = tiered(processMemory(), openSqliteStore(join(folder, 'bench.db')))
    const keys: Key[] = Array.from({ length: howMany }, (_, i) => ({
      collection: 'things',
      id: `thing-${i}`,
    }))
    const value = Buffer.from(JSON.stringify({ some: 'text', count: 1, more: ['a', 'b'] }))
    const expiresAt = Date.now() + 3_600_000
    for (const key of keys) await store.create({ key, value, expiresAt })
    const view = ({ value: bytes }: StoredRecord) =>
      JSON.parse(Buffer.from(bytes).toString()) as { readonly count: number }
    const map = new Map<string, { readonly count: number }>()
    for (const key of [...keys, ...keys]) {
      const seen = await store.view(key, view)
      if (seen) map.set(`${key.collection}/${key.id}`, seen)
    }
    const figures = await inTurn(
      settings,
      async () => {
        const began = performance.now()
        let sum = 0
        for (let i = 0; i < times; i++) {
          const seen = store.view(keys[(i * step) % howMany]!, view)
          sum += (seen instanceof Promise ? await seen : seen)!.count
        }
        if (sum !== times) throw new Error('a record was not read')
        return perSecond(times, began)
      },
      () => {
        const began = performance.now()
        let sum = 0
        for (let i = 0; i < times; i++) {
          const { collection, id } = keys[(i * step) % howMany]!
          sum += map.get(`${collection}/${id}`)!.count
        }
        if (sum !== times) throw new Error('a record was not read')
        return Promise.resolve(perSecond(times, began))
      },
    )
    await store.close()
    const note = `${howMany} records of SQLite in the process's memory, decoded, against a Map by collection and id`
    return { ...figures, unit: 'looks/s', note }
  })

export const verify: Benchmark = (settings) =>
  inScratch(async (folder) => {
    const times = 200_000
    const store = tiered(processMemory(), openSqliteStore(join(folder, 'bench.db')))
    const tokens = new Tokens(store)
    const issued = await Promise.all(
      Array.from({ length: howMany }, (_, i) => tokens.issue({ user: `user-${i}`, scopes: ['read'] })),
    )
    const credentials = issued.map(({ credential }) => credential)
    const secrets = credentials.map((credential) => credential.slice(credential.lastIndexOf('.') + 1, -6))
    const ours = async (): Promise<number> => {
      const began = performance.now()
      for (let i = 0; i < times; i++) {
        if (!(await tokens.verify(credentials[(i * step) % howMany]!))) throw new Error('a token was refused')
      }
      return perSecond(times, began)
    }
    const figures = await inTurn(settings, ours, () => {
      const began = performance.now()
      let length = 0
      for (let i = 0; i < times; i++) {
        length += hash('sha256', secrets[(i * step) % howMany]!, 'base64url').length
      }
      if (length !== 43 * times) throw new Error('a secret was not digested')
      return Promise.resolve(perSecond(times, began))
    })
    await store.close()
    const note = `${howMany} tokens of SQLite in the process's memory, one after the other, against one SHA-256 of the same secrets`
    return { ...figures, unit: 'checks/s', note }
  })
