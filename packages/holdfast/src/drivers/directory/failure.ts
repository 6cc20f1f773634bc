/** What the file system reports, as the coded errors of the contract. */

import { constants } from 'node:os'

import { HoldfastError, StoreCorrupt, StoreFull, StoreReadOnly, StoreUnavailable } from '../../errors.ts'
import { Damaged } from './record-file.ts'

const quotaUsedUp = -constants.errno.EDQUOT

/** The system's name of an error, such as `ENOENT`. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  // Node.js has no name for a quota that is used up.
  if ('errno' in error && error.errno === quotaUsedUp) return 'EDQUOT'
  return typeof error.code === 'string' ? error.code : ''
}

/** An error of reading. */
export function readingFailure(error: unknown, path: string): HoldfastError {
  return (
    common(error, path) ?? unavailable(error, path, 'could not be read', 'Check its permissions and the disk')
  )
}

/** An error of writing, after which nothing is changed that anybody can see. */
export function writingFailure(error: unknown, path: string): HoldfastError {
  const found = common(error, path)
  if (found) return found
  const details = { cause: error }
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new StoreFull(
        `no room left for ${path} (${messageOf(error)}); nothing was changed. Free disk space or inodes, or raise the quota`,
        details,
      )
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new StoreReadOnly(
        `${path} cannot be written (${messageOf(error)}); nothing was changed. Give this process write permission ` +
          'for the folder and everything in it',
        details,
      )
    default:
      return unavailable(error, path, 'could not be written', 'Check the disk and the limit of open files')
  }
}

function common(error: unknown, path: string): HoldfastError | undefined {
  if (error instanceof HoldfastError) return error
  if (error instanceof Damaged) {
    return new StoreCorrupt(
      `${path} is not the record that it is named for: ${error.message}. Restore it from a backup, or move it away ` +
        'to let go of the record',
      { cause: error },
    )
  }
  const code = codeOf(error)
  if (code === 'ELOOP' || code === 'ENOTDIR' || code === 'EISDIR' || code === 'EMLINK') {
    return new StoreCorrupt(
      `${path} is not what this store put there (${messageOf(error)}). Symbolic links are not followed: move it away`,
      { cause: error },
    )
  }
  return undefined
}

/** What should be there since the store was opened has vanished: unmounted, or removed. */
export function vanished(path: string, cause?: unknown): StoreUnavailable {
  return new StoreUnavailable(
    `${path} has vanished: its disk was unmounted, or somebody removed it. Bring it back; while it is away, nothing ` +
      'can be said of any record',
    { cause },
  )
}

function unavailable(error: unknown, path: string, what: string, cure: string): StoreUnavailable {
  if (codeOf(error) === 'ENOENT') return vanished(path, error)
  return new StoreUnavailable(`${path} ${what} (${messageOf(error)}); nothing was changed. ${cure}`, {
    cause: error,
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
