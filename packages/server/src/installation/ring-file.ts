/**
 * The key ring of an installation, `keys.json`: the first key seals, all of them open. It seals what the service hands
 * out to be handed back (the texts of two-step logins) and, where `seal` is on, the values in the store.
 */

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { generateRingKey, KeyRing, type RingKey } from 'holdfast'
import { createPrivate, InstallationRefused, readPrivate } from './private-file.ts'

const ringFile = 'keys.json'

/** The ring of the installation; made at the first start. @throws {InstallationRefused} */
export async function installedRing(folder: string): Promise<KeyRing> {
  const path = join(folder, ringFile)
  const there = await readPrivate(path)
  if (there !== undefined) return ringIn(there, path)
  // Unique, so that a ring of another installation is told from a damaged value.
  const id = `${new Date().toISOString().slice(0, 10)}-${randomBytes(4).toString('hex')}`
  await createPrivate(path, written([generateRingKey(id)]))
  // Another process may have been faster, and then its ring is the one.
  return await existingRing(folder)
}

/** The ring of the installation, which must be there already. @throws {InstallationRefused} */
export async function existingRing(folder: string): Promise<KeyRing> {
  const path = join(folder, ringFile)
  const there = await readPrivate(path)
  if (there === undefined) {
    throw new InstallationRefused(
      `values are sealed and there is no key ring at ${path}: give the state folder of the service (--state-folder)`,
    )
  }
  return ringIn(there, path)
}

function written(keys: readonly RingKey[]): string {
  const texts = keys.map(({ id, secret }) => ({ id, secret: Buffer.from(secret).toString('base64url') }))
  return `${JSON.stringify({ keys: texts }, null, 2)}\n`
}

function ringIn(text: string, path: string): KeyRing {
  try {
    const { keys } = JSON.parse(text) as { keys: readonly { id: string; secret: string }[] }
    return new KeyRing(keys.map(({ id, secret }) => ({ id, secret: Buffer.from(secret, 'base64url') })))
  } catch (cause) {
    // The cause of a parser quotes the text, which is secret: only its name is kept.
    throw new InstallationRefused(
      `${path} does not hold a key ring: restore it from a backup. What was sealed under a lost key stays unreadable`,
      { cause: (cause as Error).name },
    )
  }
}
