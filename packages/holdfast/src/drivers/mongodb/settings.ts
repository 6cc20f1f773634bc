/** What the server in front of us is and how it is set: asked at open, assumed never. */

import type { Clock } from '../../clock.ts'
import { AnswerLost, StoreMisconfigured, StoreReadOnly } from '../../errors.ts'
import type { Call, Capabilities, Opened } from '../../store/contract.ts'
import { send, type Source } from './client.ts'
import { type Fields, indexes, type Layout, purging } from './layout.ts'
import { batchOf } from './records.ts'

/** What was found out about the server. */
export interface Server {
  /** Product and version, for people. */
  readonly product: string
  /** The address of the database, without a password. */
  readonly place: string
  /** Members that take over for each other: a replica set, or the shards behind a router. */
  readonly isReplicated: boolean
  /** The data outlive the loss of one machine. */
  readonly takesOver: boolean
  /** An update looks and writes in one step. FerretDB before version 2 looks first, and writes later. */
  readonly isAtomic: boolean
  /** What is written is on the disk before it is acknowledged. */
  readonly isJournaled: boolean
  /** The server removes what has expired on its own. */
  readonly purges: boolean
  /** Its clock minus ours, in milliseconds. */
  readonly skew: number
}

/** The oldest version that is let in: older ones are refused by the client as well. */
const oldest = 4.4

/**
 * Asks the server what it is, and makes the collection and its indexes.
 *
 * @param began What the clock's `elapsed` was at `call.now`.
 * @throws {StoreMisconfigured}
 */
export async function settingsOf(
  source: Source,
  layout: Layout,
  { clock, began }: { readonly clock: Clock; readonly began: number },
  call: Call,
): Promise<Server> {
  const sent = clock.elapsed()
  const hello = await send(source, { hello: 1 }, call)
  const middle = call.now - began + (sent + clock.elapsed()) / 2
  const members = Array.isArray(hello['hosts']) ? hello['hosts'].length : 0
  refuseSecondary(source, hello, members)
  const build = (await ask(source, { buildInfo: 1 }, call)) ?? {}
  const status = await ask(source, { serverStatus: 1, metrics: 0, locks: 0, repl: 0 }, call)
  const ferret = versionOf(build['ferretdbVersion'])
  const version = versionOf(build['version'])
  if (ferret === '' && version !== '' && Number.parseFloat(version) < oldest) {
    throw new StoreMisconfigured(`MongoDB ${version} is too old: ${oldest} or later is needed`)
  }
  const isAtomic = ferret === '' || Number.parseInt(ferret, 10) >= 2
  const set = hello['setName']
  const isRouter = hello['msg'] === 'isdbgrid'
  await refuseUnfit(source, layout, call)
  return {
    product: productOf(ferret, version, isRouter, set),
    place: `database ${source.database().databaseName}`,
    isReplicated: isAtomic && (typeof set === 'string' || isRouter),
    takesOver: isAtomic && (isRouter || (typeof set === 'string' && members > 1)),
    isAtomic,
    isJournaled: ferret === '' && (status?.['storageEngine'] as Fields | undefined)?.['persistent'] !== false,
    purges: await prepare(source, layout, call),
    skew: hello['localTime'] instanceof Date ? Math.round(hello['localTime'].getTime() - middle) + 0 : 0,
  }
}

/** What is said to those who open the store. @throws {StoreMisconfigured} when more was asked for than there is. */
export function openedOf(server: Server, asked: Pick<Capabilities, 'atomicBatch' | 'watch'>): Opened {
  const { product, place, isReplicated, isAtomic, isJournaled, takesOver, purges, skew } = server
  if ((asked.atomicBatch || asked.watch) && !isReplicated) {
    throw new StoreMisconfigured(
      `transactions and change streams need a replica set, which ${product} is not: leave out the options that ask for them`,
    )
  }
  const alone = isAtomic ? '' : ' (its updates are not atomic: for one process only)'
  return {
    capabilities: {
      durable: { process: true, machine: isJournaled, failover: takesOver },
      shared: isAtomic,
      listing: 'complete',
      scanning: true,
      counting: true,
      atomicLabels: true,
      nativeExpiry: purges,
      cheapTouch: isAtomic,
      cached: false,
      maxBatch: 500,
      ...asked,
    },
    skew,
    description: `${product}, ${place}${alone}`,
  }
}

/** Many users may not ask. What can't be asked isn't known. */
async function ask(source: Source, command: Fields, call: Call): Promise<Fields | undefined> {
  try {
    return await send(source, command, call)
  } catch (error) {
    if (error instanceof StoreMisconfigured) return undefined
    throw error
  }
}

/** A client that speaks to one member only would go on reading from it when it isn't the primary any more. */
function refuseSecondary(source: Source, hello: Fields, members: number): void {
  if (hello['isWritablePrimary'] !== true && hello['msg'] !== 'isdbgrid') {
    throw new StoreReadOnly(
      'this member of the replica set is not the primary: name all members in the URL, without directConnection',
    )
  }
  if (members > 1 && source.client().options?.directConnection === true) {
    throw new StoreMisconfigured(
      'this client speaks to one member of the replica set only: name all members in the URL, without directConnection',
    )
  }
}

/** A collation would make two users one, and some kinds of collections can't hold records. */
async function refuseUnfit(source: Source, layout: Layout, call: Call): Promise<void> {
  const name = layout.collection
  const reply = await ask(source, { listCollections: 1, filter: { name } }, call)
  const [found] = reply ? batchOf(reply) : []
  const { collation, capped } = (found?.['options'] ?? {}) as Fields
  if (found && found['type'] !== 'collection') {
    throw new StoreMisconfigured(
      `${name} is a ${String(found['type'])}, not a collection: choose another namespace`,
    )
  }
  if (collation !== undefined || capped === true) {
    throw new StoreMisconfigured(
      `the collection ${name} was made with a collation or as a capped one: drop it, and let the store make it`,
    )
  }
}

/** Makes the indexes that are missing; answers whether the server has an expiry of its own. */
async function prepare(source: Source, layout: Layout, call: Call): Promise<boolean> {
  const reply = await ask(source, { listIndexes: layout.collection }, call)
  const made = new Set(reply ? batchOf(reply).map(({ name }) => name) : [])
  for (const index of indexes) {
    if (!made.has(index['name'])) await makeIndex(source, layout, index, call)
  }
  if (made.has(purging['name'])) return true
  try {
    await makeIndex(source, layout, purging, call)
    return true
  } catch (error) {
    if (error instanceof StoreMisconfigured) return false
    throw error
  }
}

/** One at a time: FerretDB 1.24 breaks down over several of which another process has made some. */
async function makeIndex(source: Source, layout: Layout, index: Fields, call: Call): Promise<void> {
  const writeConcern = { w: 'majority', j: true }
  const command = { createIndexes: layout.collection, indexes: [index], writeConcern }
  try {
    await send(source, command, call)
  } catch (error) {
    // Made twice is made once.
    if (!(error instanceof AnswerLost)) throw error
    await send(source, command, call)
  }
}

function versionOf(text: unknown): string {
  return typeof text === 'string' ? text.replace(/^v/, '') : ''
}

function productOf(ferret: string, version: string, isRouter: boolean, set: unknown): string {
  const product = ferret === '' ? `MongoDB ${version}`.trimEnd() : `FerretDB ${ferret}`
  if (isRouter) return `${product}, sharded`
  return typeof set === 'string' ? `${product}, replica set ${set}` : product
}
