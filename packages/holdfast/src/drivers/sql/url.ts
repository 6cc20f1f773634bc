/** What a URL of an SQL server refers to. */

import { readFileSync } from 'node:fs'
import { StoreMisconfigured } from '../../errors.ts'

/** The content of a file that a parameter of the URL names. @throws {StoreMisconfigured} */
export function contentOf(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new StoreMisconfigured(`the file of ${name}, ${path}, cannot be read`, { cause })
  }
}
