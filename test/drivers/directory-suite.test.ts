import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, it } from 'node:test'

import { directoryStore } from '../../packages/holdfast/src/drivers/directory.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { temporaryFolder } from './directory/folder.ts'

// In memory where that can be had: the other tests flush a real disk. There, folders are read under their lock.
const folder = temporaryFolder(existsSync('/dev/shm') ? '/dev/shm' : tmpdir())('suite')

storeSuite(
  { describe, it },
  {
    name: 'directoryStore',
    make: (options) => directoryStore(folder, options),
    another: (options) => directoryStore(folder, options),
    reopen: (options) => directoryStore(folder, options),
  },
)
