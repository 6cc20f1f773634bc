/**
 * Where the temporary files of the tests go, those of servers too: into memory, where there is room. What was
 * acknowledged must survive a process that is killed, which it does there as well; but a flush to a busy disk may take
 * longer than any deadline.
 */
import { accessSync, constants, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'

const inMemory = '/dev/shm'
/** Bytes. A run took 0.4 GiB; containers often have 64 MiB there. */
const enough = 8 * 1024 ** 3

/** Chooses it for this process and those that it starts, unless `TMPDIR` says where, and answers with it. */
export function chooseTemporaryFolder(): string {
  if (process.env['TMPDIR'] === undefined && hasRoom(inMemory)) process.env['TMPDIR'] = inMemory
  return tmpdir()
}

function hasRoom(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize >= enough
  } catch {
    return false
  }
}
