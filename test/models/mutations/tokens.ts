/** The lines that protect tokens. */

import { noticedBy } from './mutation.ts'

export const tokens = [
  ...noticedBy('test/models/tokens.test.ts', [
    {
      name: 'a name can be had twice',
      edits: [
        {
          file: 'records/names.ts',
          from: 'if (holding.claiming || (await isAlive(records, holding.id))) throw taken(owned)',
          to: '',
        },
        {
          file: 'records/names.ts',
          from: "await finishTree(records, holding.id, 'name taken over')",
          to: '',
        },
      ],
      titles: ['keep their promises in memory'],
    },
    {
      name: 'a claim is as good as a name',
      edits: [
        { file: 'records/names.ts', from: 'claiming: true }, lapses)', to: 'claiming: true }, expiresAt)' },
      ],
      titles: ['keep their promises in memory without atomic batches, with faults'],
    },
    {
      name: 'revoking ends at the first page',
      edits: [
        { file: 'records/revoking.ts', from: 'const pageSize = 200', to: 'const pageSize = 1' },
        { file: 'records/revoking.ts', from: 'after = page.next', to: 'after = undefined' },
        {
          file: 'records/revoking.ts',
          from: 'while ((await buryAll(records, mark, end, revoked)) > 0) {',
          to: 'if ((await buryAll(records, mark, end, revoked)) > 0) {',
        },
      ],
      titles: ['keep their promises in memory'],
    },
    {
      name: 'a tombstone carries no labels',
      edits: [
        {
          file: 'tokens/revocations.ts',
          from: "return ['state:revoked', hourLabel(Math.floor(at / hour))]",
          to: 'return [] ',
        },
      ],
      titles: ['keep their promises in memory'],
    },
  ]),
  ...noticedBy('test/tokens/tokens.test.ts', [
    {
      name: 'an unknown key keeps a token alive',
      edits: [
        { file: 'records/trees.ts', from: `if (error instanceof KeyUnknown) return 'unreadable'`, to: '' },
      ],
      titles: ['an unknown key is an error'],
    },
  ]),
]
