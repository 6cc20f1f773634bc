/** The lines that protect destroying and revoking. */

import { noticedBy } from './mutation.ts'
import { buryWithoutCompare, readersIgnoreMarks } from './shared.ts'

export const revocation = noticedBy('test/records/revocation-schedules.test.ts', [
  {
    name: 'a save in flight is not waited for by burying',
    edits: [buryWithoutCompare],
    titles: ['destroy | save in flight'],
  },
  {
    name: 'a touch writes the record again',
    edits: [
      {
        file: 'records/records.ts',
        from: 'const deferred = await this.store.touchBehind({ key, version, expiresAt }, by)',
        to: `const present = await this.store.read(key, { strict: true })
    const value = this.store.codec.encode(key, packed(entry.envelope))
    const { labels } = entry.record
    const rewrite = { key, expected: present?.version ?? version, value, labels, expiresAt: Math.max(expiresAt, by) }
    const deferred = (await this.store.replace(rewrite)).status`,
      },
    ],
    titles: ['destroy | touch in flight'],
  },
  {
    name: 'whoever creates does not look again',
    edits: [
      {
        file: 'records/creating.ts',
        from: 'await records.marks.strikesStrictly(entry)',
        to: 'false',
      },
    ],
    titles: ['a password checked before does not survive', 'a visitor’s session logs in'],
  },
  {
    name: 'readers ignore marks',
    edits: [readersIgnoreMarks],
    titles: ['a revocation stopped after its mark'],
  },
  {
    name: 'a login brings back what was struck',
    edits: [{ file: 'sessions/storing.ts', from: 'await this.#refuseStruck(held.entry)', to: '' }],
    titles: ['a revocation stopped after its mark'],
  },
  {
    name: 'a revocation sees the first page only',
    edits: [
      { file: 'records/revoking.ts', from: 'after = page.next', to: 'after = undefined' },
      {
        file: 'records/revoking.ts',
        from: 'while ((await buryAll(records, mark, end, revoked)) > 0) {',
        to: 'if ((await buryAll(records, mark, end, revoked)) > 0) {',
      },
    ],
    titles: ['save | log out everywhere, page by page'],
  },
  {
    name: 'nobody is spared',
    edits: [
      { file: 'records/mark.ts', from: '!mark.except?.includes(id),', to: 'true,' },
      { file: 'records/revoking.ts', from: ' || mark.except?.includes(id)', to: '' },
    ],
    titles: ['my other devices'],
  },
  {
    name: 'a mark that spares somebody takes the place of one that does not',
    edits: [
      {
        file: 'records/mark.ts',
        from: 'spared.every((each) => earlier.except?.includes(each) === true)',
        to: 'spared.length >= 0',
      },
    ],
    titles: ['everything | my other devices'],
  },
  {
    name: 'a mark of several labels is governed by the byte-least',
    edits: [
      {
        file: 'records/marks.ts',
        from: 'const ordered = governedFirst(orderedLabels(labels))',
        to: 'const ordered = orderedLabels(labels)',
      },
    ],
    titles: ['a mark of several labels'],
  },
  {
    name: 'a login carries the epoch of its user only',
    edits: [
      {
        file: 'sessions/storing.ts',
        from: '...(others.length > 0 ? await this.records.marks.epochs(others) : {}), ',
        to: '',
      },
      {
        file: 'sessions/sessions.ts',
        from: "epochs([label('user', user), ...labels])",
        to: "epochs([label('user', user)])",
      },
    ],
    titles: ['log in with a tenant’s label'],
  },
  {
    name: 'a login reads the epochs of its other labels too late',
    edits: [
      { file: 'sessions/sessions.ts', from: '...(labels.length > 0 ? { labels } : {}) }', to: '}' },
      { file: 'sessions/storing.ts', from: ', ...login?.epochs }', to: ' }' },
    ],
    titles: ['log in with a tenant’s label'],
  },
  {
    name: 'logging out does not look at what has just expired',
    edits: [
      {
        file: 'records/records.ts',
        from: `read(this.key(id), { strict: true, expired: true })
    return this.past(record)?.envelope`,
        to: `read(this.key(id), { strict: true })
    return this.past(record)?.envelope`,
      },
    ],
    titles: ['log out | touch, at the last instant'],
  },
  {
    name: 'burying does not look at what has just expired',
    edits: [
      {
        file: 'records/records.ts',
        from: `read(this.key(id), { strict: true, expired: true })
        if (!record) return mayBeMine`,
        to: `read(this.key(id), { strict: true })
        if (!record) return mayBeMine`,
      },
    ],
    titles: ['log out | touch, at the last instant'],
  },
  {
    name: 'a revocation does not list what has just expired',
    edits: [{ file: 'records/revoking.ts', from: 'expired: true,', to: '' }],
    titles: ['revoke by labels | touch, at the last instant'],
  },
  {
    name: 'a late secret is not told of',
    edits: [
      { file: 'records/admission.ts', from: "late ? 'late-secret' : 'wrong-secret'", to: "'wrong-secret'" },
    ],
    titles: ['an event is told for a secret that comes too late'],
  },
  {
    name: 'two who destroy both say that they did',
    edits: [
      {
        file: 'records/records.ts',
        from: "if (envelope?.state === 'dead') return mayBeMine",
        to: "if (envelope?.state === 'dead') return 'buried'",
      },
    ],
    titles: ['destroy | destroy | save'],
  },
])
