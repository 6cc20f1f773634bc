/**
 * A folder, with one file for each record.
 *
 * Layout: below `ns-<namespace>`, `records` has 256 shards, by the digest of the key; a file is named for its
 * collection and id, in an alphabet that is safe where case is ignored, and holds lengths and checksums, then labels and
 * times as JSON, then the value. `labels` has a folder for each label, `expiry` one for each hour in which something may
 * expire; both hold empty files that name records. `locks` has a file for each shard, `temp` what is being written, and
 * `reserve`, beside the namespaces, room for burials on a full disk.
 *
 * Expiry: exact, from the record's file. The expired stay until `sweep` removes them, hour by hour.
 *
 * Atomic: each create, replace, touch and remove of one record, among all processes of the machine: it is decided and
 * carried out under the lock of its shard, which the system drops when a process dies. Entries are made before their
 * record and removed after it, and who meets one looks at the record: a crash leaves entries too many, never too few.
 * A touch or remove of many is one change for each. There are no batches of several records.
 *
 * Durability: an acknowledged change was flushed, file and folders, and survives a power cut; on Windows, where folders
 * can't be flushed, and in memory (tmpfs) only the end of the process. Nothing survives the loss of the disk.
 *
 * Locks: a shard that another process has is tried again without blocking, until the deadline. File systems that
 * machines share are refused: their locks are not to be relied on.
 *
 * Versions tested: Node.js 22.13 and 24 on Linux, ext4 and tmpfs.
 */

import { resolve } from 'node:path'

import { milliseconds } from '../duration.ts'
import { InvalidOption, StoreMisconfigured } from '../errors.ts'
import type { Driver } from '../store/contract.ts'
import { guard } from '../store/guard.ts'
import type { Store, StoreOptions } from '../store/store.ts'
import { DirectoryDriver } from './directory/driver.ts'

/** Settings of a store in a folder. */
export interface DirectoryOptions extends StoreOptions {
  /**
   * What to do with a folder on a file system that other machines may share (NFS, SMB, FUSE and others): `refused`,
   * or `accepted` by those who know that its locks and flushes hold. Told apart on Linux only.
   *
   * @default 'refused'
   */
  readonly sharedFileSystem?: 'refused' | 'accepted'
}

/**
 * A store in a folder, which is made if it is missing; the folder above it must exist. Several processes of one machine
 * may use it.
 *
 * Opening happens at the first call and fails with `StoreMisconfigured` when the folder can't be made, holds something
 * else, may be written by other users, is on a shared file system or was written by a newer version.
 *
 * @param path Relative to the working directory of this moment, or absolute.
 * @throws {StoreMisconfigured} when the path is empty.
 */
export function directoryStore(path: string, options: DirectoryOptions = {}): Store {
  if (path === '') throw new StoreMisconfigured('the path of the folder is empty: name a folder')
  return openDirectoryStore(path, options)
}

/**
 * Like {@link directoryStore}; without a path in a temporary folder, of which it warns
 * (`HOLDFAST_TEMPORARY_FOLDER`), and which is removed when the store is closed.
 */
export function openDirectoryStore(path: string | undefined, options: DirectoryOptions = {}): Store {
  return guard(directoryDriver(path, options), options)
}

/** The driver under {@link openDirectoryStore}, for those who put something between it and the guard. */
export function directoryDriver(path: string | undefined, options: DirectoryOptions = {}): Driver {
  const { namespace = 'holdfast', deadline = '5s', sharedFileSystem = 'refused' } = options
  if (path === '') throw new StoreMisconfigured('the path of the folder is empty: name a folder')
  if (!['refused', 'accepted'].includes(sharedFileSystem)) {
    throw new InvalidOption("sharedFileSystem must be 'refused' or 'accepted'")
  }
  return new DirectoryDriver({
    path: path === undefined ? undefined : resolve(path),
    namespace,
    acceptsShared: sharedFileSystem === 'accepted',
    patience: patienceOf(milliseconds(deadline, 'deadline')),
  })
}

/** Who waits for a lock gives up shortly before the deadline, while it can still be said that nothing was changed. */
function patienceOf(deadline: number): number {
  return deadline - Math.min(250, deadline / 4)
}
