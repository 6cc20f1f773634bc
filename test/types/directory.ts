/** The settings of a directory store. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import {
  type DirectoryOptions,
  directoryStore,
  openDirectoryStore,
} from '../../packages/holdfast/src/drivers/directory.ts'
import type { Store, StoreOptions } from '../../packages/holdfast/src/store/store.ts'

expectTypeOf<DirectoryOptions>().toExtend<StoreOptions>()
expectTypeOf(directoryStore('folder', { sharedFileSystem: 'accepted' })).toEqualTypeOf<Store>()
expectTypeOf(openDirectoryStore(undefined)).toEqualTypeOf<Store>()

// @ts-expect-error the folder is named, or openDirectoryStore is told that it isn't
directoryStore(undefined)
// @ts-expect-error no such setting
directoryStore('folder', { sharedFileSystem: true })
