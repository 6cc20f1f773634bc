/**
 * Files and folders that only their owner may read.
 *
 * A file appears complete or not at all, and when several processes create the same one at once exactly one of them
 * wins: it is written and flushed under a name of its own and then linked to its final name, which fails where that
 * is taken.
 */

import { randomUUID } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { HoldfastError } from 'holdfast'

/** The state folder or a file in it cannot be used. The message says what to do. */
export class InstallationRefused extends HoldfastError {
  readonly code = 'HOLDFAST_INSTALLATION_REFUSED'
}

const ownerOnly = 0o077

/** Creates the folder where it is missing and refuses one that others may enter. @throws {InstallationRefused} */
export async function privateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new InstallationRefused(`the state folder cannot be created: ${(cause as Error).message}`, {
      cause,
    })
  }
  await refuseLoose(path, '700')
}

/**
 * Reads a private file; `undefined` when there is none.
 *
 * @throws {InstallationRefused} when others may read it, or it cannot be read.
 */
export async function readPrivate(path: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    await refuseLoose(path, '600')
    return text
  } catch (cause) {
    if (cause instanceof InstallationRefused) throw cause
    if (codeOf(cause) === 'ENOENT') return undefined
    throw new InstallationRefused(`a file of the state folder cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/**
 * Creates a private file with the content, flushed to disk.
 *
 * @returns false when somebody else's is there already; it is left as it is.
 * @throws {InstallationRefused}
 */
export async function createPrivate(path: string, content: string): Promise<boolean> {
  const draft = join(dirname(path), `.draft-${randomUUID()}`)
  try {
    await writeFlushed(draft, content)
    try {
      await link(draft, path)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false
      throw error
    } finally {
      await unlink(draft)
    }
    await flushFolder(dirname(path))
    return true
  } catch (cause) {
    throw new InstallationRefused(`${path} cannot be created: ${(cause as Error).message}`, { cause })
  }
}

async function writeFlushed(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the new name itself durable. Windows can't open a folder and doesn't need it. */
async function flushFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined
  try {
    folder = await open(path, 'r')
    await folder.sync()
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EINVAL', 'EACCES'].includes(codeOf(error) ?? '')) throw error
  } finally {
    await folder?.close()
  }
}

async function refuseLoose(path: string, mode: string): Promise<void> {
  if (process.platform === 'win32') return
  const found = (await stat(path)).mode
  if ((found & ownerOnly) === 0) return
  throw new InstallationRefused(
    `${path} can be read by others (mode ${(found & 0o777).toString(8)}) and holds secrets: run  chmod ${mode} ${path}`,
  )
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
