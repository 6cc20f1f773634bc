/** The few things done to files and folders, none of which follows a symbolic link at the end of its path. */

import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'

import type { Key, StoredRecord } from '../../store/record.ts'
import { maxValueBytes } from '../../store/record.ts'
import { codeOf, readingFailure, vanished } from './failure.ts'
import { Damaged, decoded, headLength } from './record-file.ts'

/** Windows has none of the three; there, links are only found when the store is opened. */
const flag = (name: 'O_NOFOLLOW' | 'O_NONBLOCK' | 'O_DIRECTORY'): number =>
  (constants as Readonly<Record<string, number | undefined>>)[name] ?? 0
const toRead = constants.O_RDONLY | flag('O_NOFOLLOW') | flag('O_NONBLOCK')
const toMake = constants.O_WRONLY | constants.O_CREAT | flag('O_NOFOLLOW')
const toMakeAnew = toMake | constants.O_EXCL
const asFolder = constants.O_RDONLY | flag('O_NOFOLLOW') | flag('O_DIRECTORY')

/** Folders can't be flushed on Windows. */
export const flushesFolders = process.platform !== 'win32'

/** How much is read at first when the value isn't wanted. */
const firstBytes = 4_096
/** No file of ours is longer: the longest value, and room for the head. */
const longestFile = maxValueBytes + 64 * 1024

/**
 * Reads a record, at once and on this thread. `undefined` only when its folder is there and the file isn't.
 *
 * @throws {StoreCorrupt} when the file is not the record, or no file.
 * @throws {StoreUnavailable} when that can't be told.
 */
export function readRecord(
  folder: string,
  path: string,
  key: Key,
  values: boolean,
): StoredRecord | undefined {
  try {
    const found = readBytes(path, values)
    if (found) return decoded(found.bytes, found.size, key, values)
  } catch (error) {
    throw readingFailure(error, path)
  }
  const at = lstatSync(folder, { throwIfNoEntry: false })
  if (at?.isDirectory() !== true) throw vanished(folder)
  return undefined
}

function readBytes(path: string, values: boolean): { bytes: Buffer; size: number } | undefined {
  let file: number
  try {
    file = openSync(path, toRead)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const at = fstatSync(file)
    if (!at.isFile()) throw new Damaged('it is no file')
    const { size } = at
    if (size > longestFile) throw new Damaged('it is longer than any record')
    if (values || size <= firstBytes) return { bytes: readFrom(file, size), size }
    const length = headLength(readFrom(file, firstBytes))
    return { bytes: readFrom(file, Math.min(length, size)), size }
  } finally {
    closeSync(file)
  }
}

/** Reads from the beginning. A file of its own memory: what is handed out may be changed. */
function readFrom(file: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length)
  let end = 0
  while (end < length) {
    const count = readSync(file, bytes, end, length - end, end)
    if (count === 0) break
    end += count
  }
  return bytes.subarray(0, end)
}

/** Writes a new file and flushes it. What a crash has left under its name is removed first. */
export async function writeAnew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await openAnew(path)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function openAnew(path: string): Promise<FileHandle> {
  try {
    return await open(path, toMakeAnew, 0o600)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    await unlink(path)
    return await open(path, toMakeAnew, 0o600)
  }
}

/** Makes an empty file unless it is there. */
export async function makeEmpty(path: string): Promise<void> {
  const file = await open(path, toMake, 0o600)
  await file.close()
}

/** Removes a file. Answers whether it was there. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** Opens a folder, to flush it. Refuses a link to one. */
export async function openFolder(path: string): Promise<FileHandle> {
  return await open(path, asFolder)
}

/** Flushes a folder, so that a power cut doesn't undo what was made or renamed in it. */
export async function flushFolder(path: string): Promise<void> {
  if (!flushesFolders) return
  const folder = await openFolder(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Removes the temporary files of a shard. What fails here is tried again when one is written. */
export async function clearTemps(folder: string, shard: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  const left = names.filter((name) => name.startsWith(`${shard}.`))
  await Promise.all(left.map((name) => removeFile(join(folder, name)).catch(() => false)))
}
