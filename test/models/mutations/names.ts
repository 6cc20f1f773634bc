/** The lines that protect unique names. */

import { noticedBy } from './mutation.ts'

export const names = noticedBy('test/records/names-schedules.test.ts', [
  {
    name: 'a name that is held is free',
    edits: [
      {
        file: 'records/names.ts',
        from: 'if (holding.claiming || (await isAlive(records, holding.id))) throw taken(owned)',
        to: '',
      },
      { file: 'records/names.ts', from: "await finishTree(records, holding.id, 'name taken over')", to: '' },
    ],
    titles: ['issue | issue under one name', 'issue, stopped anywhere'],
  },
  {
    name: 'the holder lives before its name is kept',
    edits: [
      {
        file: 'records/names.ts',
        from: 'const entry = await records.create(id, envelope, labels, lapses)',
        to: 'const entry = await records.create(id, envelope, labels, expiresAt)',
      },
    ],
    titles: ['without atomic batches / issue, stopped anywhere'],
  },
  {
    name: 'a name is taken over from a holder that could come back',
    edits: [
      { file: 'records/names.ts', from: "await finishTree(records, holding.id, 'name taken over')", to: '' },
    ],
    titles: ['without atomic batches / issue, stopped anywhere'],
  },
  {
    name: 'a name stays with the dead',
    edits: [
      {
        file: 'records/names.ts',
        from: 'if (holding.claiming || (await isAlive(records, holding.id))) throw taken(owned)',
        to: 'if (holding.claiming || holding.id) throw taken(owned)',
      },
      { file: 'tokens/tokens.ts', from: 'onBurial: (id, was) => this.#freeName(id, was),', to: '' },
    ],
    titles: ['revoke the holder | issue', 'issue | revoke everything of the user'],
  },
])
