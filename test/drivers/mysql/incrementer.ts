/** One of several processes that count up the same record: `incrementer.ts <url> <namespace> <times>`. */

import { openMysqlStore } from '../../../packages/holdfast/src/drivers/mysql.ts'

const [url = '', namespace = '', times = '0'] = process.argv.slice(2)
const store = openMysqlStore(url, () => import('mysql2/promise'), { namespace })
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
