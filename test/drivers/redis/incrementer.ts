/** One of several processes that count up the same record: `incrementer.ts <urls> <namespace> <times>`. */

import { redisStore } from '../../../packages/holdfast/src/drivers/redis.ts'
import { connected } from './targets.ts'

const [urls = '', namespace = '', times = '0'] = process.argv.slice(2)
const client = await connected(urls.split(','))
const store = redisStore(client, { namespace })
const key = { collection: 'counters', id: 'shared' }

for (let done = 0; done < Number(times);) {
  const record = await store.read(key, { strict: true })
  if (!record) throw new Error('the counter is gone')
  const value = Buffer.from(String(Number(Buffer.from(record.value).toString()) + 1))
  const { status } = await store.replace({
    key,
    expected: record.version,
    value,
    expiresAt: record.expiresAt,
  })
  if (status === 'done') done++
}
await store.close()
client.destroy()
