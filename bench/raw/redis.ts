/** Redis: one string per record, one set per owner; a compare-and-swap is a script of three lines. */

import { createClient } from 'redis'
import { idOf, ownerOf, valueOf } from '../filling.ts'
import { parts, type Raw } from './raw.ts'

const swap = `local found = redis.call('GET', KEYS[1])
if string.sub(found, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`

export async function rawRedis(url: string): Promise<Raw> {
  const client = createClient({ url })
  client.on('error', () => undefined)
  await client.connect()
  const sha = await client.scriptLoad(swap)
  const versions: number[] = []
  const stored = (i: number, version: number): string =>
    `${version}\n${valueOf(i, version).toString('latin1')}`
  const keyOf = (i: number): string => `raw:r:${idOf(i)}`
  return {
    note: 'node-redis, one connection: GET; a script that compares and SETs; SMEMBERS and MGET',
    async fill(shape) {
      for (const numbers of parts(shape, 1_000)) {
        await Promise.all(
          numbers.flatMap((i) => {
            versions[i] = 0
            const owner = `raw:o:${ownerOf(i, shape)}`
            return [client.set(keyOf(i), stored(i, 0)), client.sAdd(owner, keyOf(i))]
          }),
        )
      }
    },
    async read(i) {
      if ((await client.get(keyOf(i))) === null) throw new Error('a record was not read')
    },
    async save(i) {
      const version = versions[i] ?? 0
      const next = version + 1
      const answer = await client.evalSha(sha, {
        keys: [keyOf(i)],
        arguments: [`${version}\n`, stored(i, next)],
      })
      if (answer !== 1) throw new Error('a record was not saved')
      versions[i] = next
    },
    async list(owner) {
      const keys = await client.sMembers(`raw:o:${owner}`)
      return (await client.mGet(keys)).length
    },
    async end() {
      for await (const keys of client.scanIterator({ MATCH: 'raw:*', COUNT: 1_000 })) {
        if (keys.length > 0) await client.unlink(keys)
      }
      client.destroy()
    },
  }
}
