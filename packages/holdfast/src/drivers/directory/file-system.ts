/** What kind of file system a folder is on: whether locks and flushes can be relied on there. */

import { statfs } from 'node:fs/promises'

/** What is known of a file system. */
export interface FileSystem {
  readonly name: string
  /** Other machines may change what is in it. */
  readonly isShared: boolean
  /** It is gone with the power. */
  readonly isVolatile: boolean
  /** Who reads a folder finds a file in it also while another is renamed over it. */
  readonly renamesInPlace: boolean
}

/** What Linux calls them, by their magic numbers. */
const known: ReadonlyMap<number, FileSystem> = new Map([
  ...named('in place', [
    ['ext4', 0xef53],
    ['xfs', 0x58465342],
  ]),
  ...named('local', [
    ['btrfs', 0x9123683e],
    ['zfs', 0x2fc12fc1],
    ['f2fs', 0xf2f52010],
    ['bcachefs', 0xca451a4e],
    ['overlayfs', 0x794c7630],
  ]),
  ...named('memory', [
    ['tmpfs', 0x01021994],
    ['ramfs', 0x858458f6],
  ]),
  ...named('shared', [
    ['NFS', 0x6969],
    ['SMB', 0x517b],
    ['SMB', 0xff534d42],
    ['SMB', 0xfe534d42],
    ['FUSE', 0x65735546],
    ['9P', 0x01021997],
    ['Ceph', 0x00c36400],
    ['AFS', 0x5346414f],
    ['AFS', 0x6b414653],
    ['Coda', 0x73757245],
    ['NCP', 0x564c],
    ['GFS2', 0x01161970],
    ['OCFS2', 0x7461636f],
    ['Lustre', 0x0bd00bd0],
    ['GPFS', 0x47504653],
    ['virtiofs', 0x6a656a63],
    ['VirtualBox shared folder', 0x786f4256],
  ]),
])

const unknown: FileSystem = { name: 'unknown', isShared: false, isVolatile: false, renamesInPlace: false }

/** The file system of a magic number of Linux. */
export function fileSystemOf(magic: number): FileSystem {
  // Some kernels report the number as a signed one.
  return known.get(magic >>> 0) ?? unknown
}

/** The file system that a folder is on. Elsewhere than on Linux nothing is known of it. */
export async function fileSystemAt(folder: string): Promise<FileSystem> {
  if (process.platform !== 'linux') return unknown
  const { type } = await statfs(folder)
  return fileSystemOf(type)
}

function named(
  kind: 'in place' | 'local' | 'memory' | 'shared',
  list: readonly (readonly [name: string, magic: number])[],
): (readonly [number, FileSystem])[] {
  return list.map(([name, magic]) => [
    magic,
    {
      name,
      isShared: kind === 'shared',
      isVolatile: kind === 'memory',
      renamesInPlace: kind === 'in place',
    },
  ])
}
