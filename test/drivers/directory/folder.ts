/** A folder of their own for the stores of the tests, removed when they have ended. */

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

let made = 0

/** Makes the folder; the answer gives a path in it that is not in use. */
export function temporaryFolder(above = tmpdir()): (name?: string) => string {
  const folder = mkdtempSync(join(above, 'holdfast-directory-'))
  // Children that run as another user have to get in.
  chmodSync(folder, 0o755)
  after(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return (name = 'store') => join(folder, `${made++}-${name}`)
}
