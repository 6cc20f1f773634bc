/**
 * MongoDB, a single server, a replica set or a sharded one, over a client of the package `mongodb` that the user gives.
 *
 * Layout. A namespace is one collection, `holdfast_<namespace>`, so that rights, size and removal are an application's
 * own. A record is one document: `_id`, `<collection>/<id>`; `version`; `labels`, each as `<collection>/<label>`;
 * `value`, bytes; `expiresAt` and `touchedAt`, numbers; `slot`, a digest in front of the `_id`, for `scan`; `purgeAt`, a
 * date. Indexes: `labels` with `_id`, one entry for each label, in byte order of ids; `expiresAt`, for `sweep`; `slot`;
 * `purgeAt`. Nothing is compared by a collation: a collection that has one is refused.
 *
 * Expiry. A record is live iff `now < expiresAt`, by the `now` that comes with each call. The server removes a document
 * when `purgeAt` has passed, twice the margin later, as a backstop; where it can't (FerretDB 1), only `sweep` does.
 *
 * Atomic. Each change of a record is one conditional update of one document, its labels with it. Several records at
 * once are changed by a transaction, if the option `transactions` asks for it. Not atomic: anything on FerretDB before
 * version 2, which looks for a document, and writes it in a second step whatever has become of it meanwhile: two
 * writers of one version are both told that they were first. There the store has its own writers wait for each other,
 * and says that it is for one process only (`shared` is false).
 *
 * Durability, fail-over. Whatever the URL and the client say, every write is acknowledged by most members from their
 * disks (`w: 'majority'`, `j: true`), and every read is answered by the primary from what most members have, so a
 * fail-over undoes nothing that was acknowledged. A primary that was cut off from the others may answer reads for some
 * seconds before it notices. Commands are sent once: the client repeats none by itself.
 *
 * Needs MongoDB 4.4 and `mongodb` 6.13. Tested with FerretDB 1.24 (over SQLite) through `mongodb` 7.8, 6.22 and 6.13, not
 * with a MongoDB of MongoDB's own. Transactions and change streams were not tested with a real replica set, and are off
 * unless asked for.
 */

import type { Driver } from '../store/contract.ts'
import { guard } from '../store/guard.ts'
import type { OpenOptions, Store } from '../store/store.ts'
import { type MongodbClient, type MongodbDatabase, sourceOf } from './mongodb/client.ts'
import { MongodbDriver, type MongodbOptions } from './mongodb/driver.ts'
import { ownSource } from './mongodb/own-client.ts'

export type {
  MongodbChangeStream,
  MongodbClient,
  MongodbCollection,
  MongodbDatabase,
  MongodbSession,
  MongodbSessions,
} from './mongodb/client.ts'
export type { MongodbOptions } from './mongodb/driver.ts'

/**
 * A store over MongoDB.
 *
 * @param client A `MongoClient`, for the database that its URL names, or a database of it, `client.db('app')`. It stays
 *   yours: the store never closes it. Its settings for reading, writing and types are not used. Let it give up a server
 *   that is away before the store's deadline does: `serverSelectionTimeoutMS: 2000`.
 */
export function mongodbStore(client: MongodbClient | MongodbDatabase, options: MongodbOptions = {}): Store {
  return guard(mongodbDriver(client, options), options)
}

/**
 * A store over a client of its own, for `openStore`.
 *
 * @param url `mongodb://[user:password@][host[:27017]][,host…]/database[?options]`, or `mongodb+srv://`. Percent-encode
 *   the password.
 * @param load Loads the package `mongodb`.
 * @throws {StoreMisconfigured} when the URL can't be right.
 */
export function openMongodbStore(
  url: string,
  load: () => Promise<unknown>,
  options: MongodbOptions & OpenOptions = {},
): Store {
  return guard(new MongodbDriver(ownSource(url, load, options.tls), options), options)
}

/** The driver without its guard, for those who build a store of their own. */
export function mongodbDriver(client: MongodbClient | MongodbDatabase, options: MongodbOptions = {}): Driver {
  return new MongodbDriver(sourceOf(client), options)
}
