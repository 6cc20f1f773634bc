/** Opening a folder: whose it is, what is missing of it, and what it can do. */

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, link, lstat, mkdir, mkdtemp, readdir, readFile, realpath, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { HoldfastError, StoreCorrupt, StoreMisconfigured } from '../../errors.ts'
import type { Capabilities } from '../../store/contract.ts'
import { codeOf, writingFailure } from './failure.ts'
import { type FileSystem, fileSystemAt } from './file-system.ts'
import { flushesFolders, flushFolder, writeAnew } from './files.ts'
import { Layout } from './layout.ts'
import type { Reserve } from './reserve.ts'

/** What was found at opening. */
export interface Found {
  readonly root: string
  readonly layout: Layout
  readonly fileSystem: FileSystem
  readonly isReadOnly: boolean
  /** Made by us for this one time. */
  readonly isTemporary: boolean
}

/** The file by which a folder is known as ours. */
const marker = 'holdfast-directory'
const markerText = 'holdfast directory 1\n'

/** What else may be in a folder that is to become ours. */
const unremarkable = new Set(['lost+found', '.DS_Store'])

/** Makes a folder that is gone when the store is closed, and warns. */
export async function temporaryRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-'))
  process.emitWarning(
    `No folder was named for the directory store, so it keeps its records in ${root} and removes them when it is ` +
      'closed: everybody is logged out by a restart, and no other process sees them. Name a folder',
    { type: 'HoldfastWarning', code: 'HOLDFAST_TEMPORARY_FOLDER' },
  )
  return root
}

/**
 * Looks at a folder, and makes the store in it where there is none.
 *
 * @throws {StoreMisconfigured} when it can't be one.
 * @throws {StoreCorrupt} when something else is in the place of what should be there.
 */
export async function openRoot(
  path: string,
  namespace: string,
  { isTemporary, acceptsShared }: { readonly isTemporary: boolean; readonly acceptsShared: boolean },
): Promise<Found> {
  try {
    const root = await existing(path)
    const fileSystem = await fileSystemAt(root)
    if (fileSystem.isShared && !acceptsShared) throw refusedShared(root, fileSystem)
    await markAsOurs(root)
    const layout = new Layout(root, namespace)
    await makeFolders(layout)
    return { root, layout, fileSystem, isReadOnly: !(await isWritable(layout.temps)), isTemporary }
  } catch (error) {
    throw error instanceof HoldfastError ? error : misconfigured(error, path)
  }
}

async function existing(path: string): Promise<string> {
  try {
    await mkdir(path, 0o700)
    // The folder above is somebody else's, who may not let us read it.
    await flushFolder(dirname(path)).catch(() => undefined)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST' && codeOf(error) !== 'EROFS') throw error
  }
  const root = await realpath(path)
  const { mode } = await lstat(root).then((at) => (at.isDirectory() ? at : Promise.reject(notAFolder(path))))
  if (process.platform !== 'win32' && (mode & 0o022) !== 0) {
    throw new StoreMisconfigured(
      `${root} may be written by other users, who could put anything in the place of records. Run chmod go-w on it`,
    )
  }
  return root
}

/** A folder is ours by a file in it, and becomes ours only while it is empty. */
async function markAsOurs(root: string): Promise<void> {
  const path = join(root, marker)
  if (await isOurs(path)) return
  const names = await readdir(root)
  // Another process may be at the same point.
  const foreign = names.filter((name) => !unremarkable.has(name) && !name.startsWith(marker))
  if (foreign.length > 0 && !(await isOurs(path))) {
    throw new StoreMisconfigured(
      `${root} is not empty, and not the folder of a Holdfast store. Name a folder of its own, which is made if it ` +
        'is missing',
    )
  }
  const temp = `${path}.${randomBytes(8).toString('hex')}`
  await writeAnew(temp, Buffer.from(markerText))
  try {
    await link(temp, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    await unlink(temp)
  }
  await flushFolder(root)
}

async function isOurs(path: string): Promise<boolean> {
  const at = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (!at) return false
  const text = at.isFile() ? await readFile(path, 'utf8') : ''
  const format = /^holdfast directory (\d+)\n$/.exec(text)?.[1]
  if (format === undefined) throw new StoreCorrupt(`${path} is not what this store put there. Move it away`)
  if (format === '1') return true
  throw new StoreMisconfigured(
    `${dirname(path)} has format ${format}, of a newer Holdfast; this one knows 1. Update the library in this process`,
  )
}

/** All folders are made at once, so that a missing one is known for damage and never for "not there". */
async function makeFolders(layout: Layout): Promise<void> {
  const changed = new Set<string>()
  const present = new Map<string, ReadonlySet<string>>()
  for (const folder of layout.folders) {
    const parent = dirname(folder)
    const siblings = present.get(parent) ?? (await foldersIn(parent))
    present.set(parent, siblings)
    if (siblings.has(folder)) continue
    changed.add(parent)
    await mkdir(folder, 0o700).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
  }
  for (const folder of changed) await flushFolder(folder)
}

/** The paths of the folders in a folder. @throws {StoreCorrupt} for a link. */
async function foldersIn(parent: string): Promise<ReadonlySet<string>> {
  const entries = await readdir(parent, { withFileTypes: true })
  const linked = entries.find((entry) => entry.isSymbolicLink())
  if (linked) {
    throw new StoreCorrupt(
      `${join(parent, linked.name)} is a symbolic link, and such are not followed. Move it away`,
    )
  }
  return new Set(entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(parent, name)))
}

/** Makes what is missing of the reserve. */
export async function fillReserve(reserve: Reserve): Promise<void> {
  const names = await readdir(reserve.folder).catch(() => [])
  await reserve.fill(new Set(names))
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

function refusedShared(root: string, { name }: FileSystem): StoreMisconfigured {
  return new StoreMisconfigured(
    `${root} is on ${name}, a file system that other machines may share: its locks and flushes are not to be relied ` +
      "on, and acknowledged changes could be lost. Name a folder on a local disk. Where you know better, set sharedFileSystem: 'accepted'",
  )
}

function notAFolder(path: string): StoreMisconfigured {
  return new StoreMisconfigured(`${path} is not a folder. Name a folder, which is made if it is missing`)
}

function misconfigured(error: unknown, path: string): HoldfastError {
  const code = codeOf(error)
  const details = { cause: error }
  if (code === 'ENOENT') {
    return new StoreMisconfigured(
      `${path} cannot be made: the folder above it is missing. Create ${dirname(path)} first`,
      details,
    )
  }
  if (code === 'ENOTDIR') return notAFolder(path)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new StoreMisconfigured(
      `${path} cannot be made into a store: this process may not write there. Give it a folder of its own, or make ` +
        'the store with one that may',
      details,
    )
  }
  return writingFailure(error, path)
}

/** What a folder can do. */
export function capabilitiesOf({ fileSystem, isTemporary }: Found): Capabilities {
  return {
    durable: {
      process: !isTemporary,
      machine: !isTemporary && flushesFolders && !fileSystem.isVolatile,
      failover: false,
    },
    shared: !isTemporary,
    listing: 'complete',
    scanning: true,
    counting: true,
    atomicBatch: false,
    atomicLabels: false,
    nativeExpiry: false,
    cheapTouch: false,
    cached: false,
    watch: false,
    maxBatch: 256,
  }
}

/** What was opened, for people. */
export function descriptionOf({ root, fileSystem, isReadOnly }: Found): string {
  const on = fileSystem.name === 'unknown' ? '' : ` on ${fileSystem.name}`
  return `directory ${root}${on}${isReadOnly ? ' (read-only)' : ''}`
}
