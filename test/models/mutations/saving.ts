/** The lines that protect saving. */

import { noticedBy } from './mutation.ts'
import { savesOnWhatWasRead } from './shared.ts'

export const saving = noticedBy('test/records/saving-schedules.test.ts', [
  {
    name: 'a save is applied to what was read, not to what is there',
    edits: [savesOnWhatWasRead],
    titles: [
      'two saves of different keys',
      'two pushes into the same cart',
      'two pushes with a merge function',
    ],
  },
  {
    name: 'of two that changed one key the later wins',
    edits: [
      {
        file: 'records/saving.ts',
        from: 'conflicts.push(name)\n      continue',
        to: 'settled.set(name, change)\n      continue',
      },
    ],
    titles: ['two pushes into the same cart'],
  },
  {
    name: 'a merge is done again after a lost answer',
    edits: [
      {
        file: 'sessions/storing.ts',
        from: 'const policy = uncertain ? onceOnly(conflicts) : conflicts',
        to: 'const policy = conflicts',
      },
    ],
    titles: ['two pushes with a merge function'],
  },
  {
    name: 'nobody may win',
    edits: [{ file: 'records/saving.ts', from: " || policy === 'last'", to: '' }],
    titles: ['the last wins where that was asked for'],
  },
  {
    name: 'an update is done again after a lost answer',
    edits: [{ file: 'records/records.ts', from: 'if (!repeatable) throw this.#unknown(id)', to: '' }],
    titles: ['update | update'],
  },
  {
    name: 'clearing keeps what others added',
    edits: [{ file: 'records/saving.ts', from: 'cleared ? {} : { ...data }', to: '{ ...data }' }],
    titles: ['clear | save'],
  },
])
