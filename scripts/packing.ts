/** Packing a package as it is published, for the scripts that use the tarball as its readers will. */

import { spawnSync } from 'node:child_process'
import { root } from './root.ts'

/** What npm says of a package that it has packed. */
export interface Packed {
  /** Of the tarball, in the folder that it was packed into. */
  readonly filename: string
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

/** Packs a package of this repository, as it was built. */
export function pack(name: string, folder: string): Packed {
  const output = run('npm', ['pack', '--json', '--workspace', name, '--pack-destination', folder])
  const [packed] = Object.values(JSON.parse(output) as Record<string, Packed>)
  if (!packed) throw new Error('npm pack made nothing')
  return packed
}

/** Runs a program to its end and gives its standard output. Throws with all of its output when it fails. */
export function run(program: string, args: readonly string[], folder = root): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`)
  return stdout
}
