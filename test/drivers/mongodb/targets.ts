/** The servers that `npm test` has started, and clients of them. */

import { randomBytes } from 'node:crypto'
import { MongoClient, MongoServerError } from 'mongodb'

/** One kind of server to run the same tests over. */
export interface Target {
  readonly name: string
  readonly url: string
  /** Why its tests are skipped; false when they aren't. */
  readonly skip: string | false
}

/** Whatever is there (MongoDB or FerretDB), and a replica set, which has transactions and change streams. */
export const single = targetOf('a single server', 'HOLDFAST_TEST_MONGODB')
export const replicaSet = targetOf('a replica set', 'HOLDFAST_TEST_MONGODB_REPLICA_SET')

function targetOf(name: string, variable: string): Target {
  const url = process.env[variable] ?? ''
  return { name, url, skip: url === '' && `${variable} is not set: run this by \`npm test\`` }
}

/** The database of all tests. */
export const databaseName = 'holdfast_test'

/** A client that gives up a server which is away after two seconds. */
export async function connected(url: string, options: object = {}): Promise<MongoClient> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 2_000, ...options })
  await client.connect()
  return client
}

/**
 * Whether the server looks and writes in one step. FerretDB 1 doesn't: of two writers at one version both are told that
 * they were first, so what several stores do at once can't be tested with it.
 */
export async function isAtomic({ url, skip }: Target): Promise<boolean> {
  if (skip !== false) return false
  const client = await connected(url)
  try {
    const { ferretdbVersion = 'v2' } = await client.db('admin').command({ buildInfo: 1 })
    return !String(ferretdbVersion).startsWith('v1.')
  } finally {
    await client.close()
  }
}

/** A namespace that nobody else uses. */
export function freshNamespace(): string {
  return `test-${randomBytes(6).toString('hex')}`
}

/** Removes everything of a namespace. */
export async function clear(client: MongoClient, namespace: string): Promise<void> {
  try {
    await client.db(databaseName).command({ drop: `holdfast_${namespace}` })
  } catch (error) {
    // Before version 7 it is an error where nothing is.
    if (!(error instanceof MongoServerError && error.code === 26)) throw error
  }
}
