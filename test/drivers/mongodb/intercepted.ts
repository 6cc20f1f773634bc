/** A database whose answers a test may change: for what servers do that can't be had here. */

import type { Db, RunCommandOptions } from 'mongodb'
import type { MongodbDatabase } from '../../../packages/holdfast/src/drivers/mongodb.ts'

export type Fields = Readonly<Record<string, unknown>>

/**
 * Puts a test between the driver and a real server.
 *
 * @param answer Gets the command and a function that has the server carry it out; may answer or throw on its own.
 */
export function intercepted(
  database: Db,
  answer: (command: Fields, carriedOut: () => Promise<Fields>) => Promise<Fields>,
): MongodbDatabase {
  return {
    databaseName: database.databaseName,
    client: database.client,
    collection: (name) => database.collection(name),
    async command(command, options) {
      return await answer(command, async () => {
        return await database.command(command, options as RunCommandOptions)
      })
    },
  }
}
