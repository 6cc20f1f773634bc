/**
 * The lines that protect. Each mutation takes one away, or two where either would do, and names the test that must
 * notice. `npm run test:mutations` tries them all; a test sees to it that each still fits the sources.
 */

import { markCopy } from './mutations/mark-copy.ts'
import { names } from './mutations/names.ts'
import { revocation } from './mutations/revocation.ts'
import { rotation } from './mutations/rotation.ts'
import { saving } from './mutations/saving.ts'
import { trees } from './mutations/trees.ts'
import { sessionObject } from './mutations/session-object.ts'
import { sessions } from './mutations/sessions.ts'
import { tokens } from './mutations/tokens.ts'
import type { Mutation } from './mutations/mutation.ts'

/** The folder that the files of edits are in. */
export const sourceFolder = new URL('../../packages/holdfast/src/', import.meta.url)

export const mutations: readonly Mutation[] = [
  ...rotation,
  ...revocation,
  ...saving,
  ...trees,
  ...names,
  ...markCopy,
  ...sessions,
  ...sessionObject,
  ...tokens,
]
