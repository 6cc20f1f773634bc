/**
 * The root credential: what the first caller of a new installation shows.
 *
 * `root.json` holds its digest and is all that the service needs. `root-token` holds the credential itself, for whoever
 * installs to pick up, and may be deleted once it is kept elsewhere. To replace the credential, delete both files and
 * start again.
 *
 * Order: the credential is handed over before its digest counts. A crash in between leaves a `root-token` without
 * `root.json`, which the next start completes; there is no moment in which a digest counts whose credential nobody has.
 */

import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, equalInConstantTime, mintSecret } from 'holdfast'
import { rootCredential } from '../configuration/kinds.ts'
import { createPrivate, InstallationRefused, readPrivate } from './private-file.ts'

/** Tells the root credential from every other. */
export interface RootCredential {
  /** Whether the text is the root credential. Takes the same time whatever the text is. */
  matches(credential: string): boolean
  /** The credential itself, only in the process that has just made it. */
  readonly minted?: string
  /** Where it can be picked up, where there is such a file. */
  readonly file?: string
}

const digestFile = 'root.json'
const handoverFile = 'root-token'

/** Of a credential that the operator chose. Nothing is written down. */
export function givenRootCredential(credential: string): RootCredential {
  return { matches: matcher(digestOf(credential)) }
}

/** Of the installation in the folder; made there at the first start. @throws {InstallationRefused} */
export async function installedRootCredential(folder: string): Promise<RootCredential> {
  const file = join(folder, handoverFile)
  for (;;) {
    const digest = await storedDigest(join(folder, digestFile))
    const handedOver = await readPrivate(file)
    if (digest !== undefined) {
      const matches = matcher(digest)
      return handedOver !== undefined && matches(handedOver.trim()) ? { matches, file } : { matches }
    }
    const credential = handedOver === undefined ? `hfroot_${mintSecret()}` : usable(handedOver.trim(), file)
    const made = await establish(folder, credential, handedOver === undefined)
    if (made) return { matches: matcher(digestOf(credential)), minted: credential, file }
    // Another process was faster at one of the steps: look again at what it left.
  }
}

/** Hands the credential over, then makes its digest count. False when another process was faster. */
async function establish(folder: string, credential: string, isNew: boolean): Promise<boolean> {
  const file = join(folder, handoverFile)
  if (isNew && !(await createPrivate(file, `${credential}\n`))) return false
  const written = JSON.stringify({ digest: digestOf(credential), algorithm: 'sha256', encoding: 'base64url' })
  if (await createPrivate(join(folder, digestFile), `${written}\n`)) return true
  // Somebody else's digest counts. A credential that we handed over and that isn't its own would open nothing.
  const counting = await storedDigest(join(folder, digestFile))
  if (isNew && counting !== undefined && counting !== digestOf(credential)) await unlink(file)
  return false
}

/** A handed over credential that may count: an empty file must not make an installation that opens to nothing. */
function usable(credential: string, path: string): string {
  try {
    return rootCredential(credential)
  } catch (error) {
    throw new InstallationRefused(
      `the root credential in ${path} ${(error as Error).message}: write such a one there, or delete the file`,
    )
  }
}

async function storedDigest(path: string): Promise<string | undefined> {
  const text = await readPrivate(path)
  if (text === undefined) return undefined
  const digest = digestIn(text)
  if (digest === undefined) {
    throw new InstallationRefused(
      `${path} does not hold the digest of a root credential: restore it from a backup, or delete it and root-token ` +
        'beside it to get a new root credential',
    )
  }
  return digest
}

function digestIn(text: string): string | undefined {
  try {
    const { digest } = JSON.parse(text) as { digest?: unknown }
    return typeof digest === 'string' && /^[A-Za-z0-9_-]{43}$/.test(digest) ? digest : undefined
  } catch {
    return undefined
  }
}

function matcher(digest: string): RootCredential['matches'] {
  return (credential) => equalInConstantTime(digestOf(credential), digest)
}
