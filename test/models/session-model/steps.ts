/** What can be done to sessions. */

import type { PlannedFault } from '../faulty-world.ts'

export const kinds = [
  'start',
  'load',
  'set',
  'delete',
  'clear',
  'push',
  'set an expiry',
  'refresh',
  'step up',
  'save',
  'update',
  'rotate',
  'cycle',
  'begin',
  'login',
  'login at once',
  'destroy',
  'destroy by id',
  'log out',
  'revoke',
  'revoke others',
  'list',
  'wait',
  'wait until',
  'sweep',
  'deliver late',
] as const

/** One step: what, and which of the things that there are; numbers are taken modulo how many there are. */
export interface Step {
  readonly kind: (typeof kinds)[number]
  readonly which: number
  readonly how: number
  readonly fault?: PlannedFault
}
