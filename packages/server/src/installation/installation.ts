/** What an installation of the service holds besides its store: the root credential and the key ring. */

import { resolve } from 'node:path'
import type { KeyRing } from 'holdfast'
import type { Settings } from '../configuration/settings.ts'
import { privateFolder } from './private-file.ts'
import { existingRing, installedRing } from './ring-file.ts'
import { givenRootCredential, installedRootCredential, type RootCredential } from './root-credential.ts'

/** What the service starts with. */
export interface Installation {
  readonly root: RootCredential
  readonly ring: KeyRing
}

/** The installation in the state folder; what is missing is made. @throws {InstallationRefused} */
export async function install({ stateFolder, rootToken }: Settings): Promise<Installation> {
  const folder = resolve(stateFolder)
  await privateFolder(folder)
  const root =
    rootToken === undefined ? await installedRootCredential(folder) : givenRootCredential(rootToken)
  return { root, ring: await installedRing(folder) }
}

/**
 * The key ring for a command that works on the store beside the service. Never makes one: values that a command sealed
 * under a ring of its own could be read by nobody else.
 */
export async function ringOfService({ stateFolder, seal }: Settings): Promise<KeyRing | undefined> {
  return seal ? await existingRing(resolve(stateFolder)) : undefined
}
