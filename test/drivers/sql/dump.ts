/** Dumps of schemas that are checked in, so that no step changes them unnoticed. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'

/** Compares; with HOLDFAST_WRITE_DUMPS set, writes the dump instead. */
export function assertDumped(file: string, lines: readonly string[]): void {
  const path = new URL(file, import.meta.url)
  const dump = `${lines.join('\n')}\n`
  if (process.env['HOLDFAST_WRITE_DUMPS'] !== undefined) writeFileSync(path, dump)
  assert.equal(dump, readFileSync(path, 'utf8'), `run this with HOLDFAST_WRITE_DUMPS=1 to write ${file} anew`)
}
