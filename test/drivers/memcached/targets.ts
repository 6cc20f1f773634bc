/** The Memcached servers that `npm test` has started. */

import { randomBytes } from 'node:crypto'

/** One list of servers to run the same tests over. */
export interface Target {
  readonly name: string
  readonly servers: readonly string[]
  /** Why its tests are skipped; false when they aren't. */
  readonly skip: string | false
}

const variable = 'HOLDFAST_TEST_MEMCACHED'
const given = (process.env[variable] ?? '')
  .replace(/^memcached:\/\//, '')
  .split(',')
  .filter(Boolean)

const skip = given.length === 0 && `${variable} is not set: run this by \`npm test\``

/** One server, and all of them. */
export const targets: readonly Target[] = [
  { name: 'one server', servers: given.slice(0, 1), skip },
  {
    name: `${given.length} servers`,
    servers: given,
    skip: skip || (given.length < 2 && `${variable} names one server only`),
  },
]

/** Lists of other tests on the same servers are other lists: a stamp of their own for each. */
export function stampKey(): string {
  return `test-${randomBytes(6).toString('hex')}:servers`
}
