/** A small disk that a test can fill. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  readonly folder: string
  /** A file that takes a part of it: removed, there is room again. */
  readonly filler: string
  unmount(): void
}

/** A disk of some megabytes, 600 kB of it taken by a filler, where one can be mounted. */
export function smallDisk(megabytes = 2): SmallDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-disk-'))
  const filler = join(folder, 'filler')
  const options = `size=${megabytes}m,mode=700`
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0
  const unmount = (): void => {
    if (isMounted) spawnSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  }
  if (isMounted) {
    writeFileSync(filler, Buffer.alloc(600_000))
    return { folder, filler, unmount }
  }
  unmount()
  return undefined
}
