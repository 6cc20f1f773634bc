/** The lines that protect trees. */

import { noticedBy } from './mutation.ts'

export const trees = noticedBy('test/records/trees-schedules.test.ts', [
  {
    name: 'a parent is not closed before its children are listed',
    edits: [
      {
        file: 'records/trees.ts',
        from: 'const closing = await close(records, id)',
        to: `const closing = 'nothing' as Closing`,
      },
    ],
    titles: ['derive | revoke the parent', 'derive | derive from that'],
  },
  {
    name: 'whoever derives does not look at the parent again',
    edits: [
      {
        file: 'records/creating.ts',
        from: 'if (parent !== undefined && !(await isAlive(records, parent))) {',
        to: 'if (!id && parent) {',
      },
    ],
    titles: [
      'derive | revoke the parent',
      'derive | derive from that',
      'what it struck has no more children',
    ],
  },
  {
    name: 'a derived record has epochs of its own, and whoever derives does not ask whether the parent was struck',
    edits: [
      {
        file: 'records/creating.ts',
        from: "return found.state === 'live' && !(await records.marks.strikesStrictly(found.entry))",
        to: "return found.state === 'live'",
      },
    ],
    titles: ['what it struck has no more children'],
  },
  {
    name: 'nobody finishes what was left half done',
    edits: [
      {
        file: 'tokens/tokens.ts',
        from: 'if (answer.closed) await this.#finish(parts.id)',
        to: '',
      },
    ],
    titles: ['a revocation that stops halfway'],
  },
  {
    name: 'a mark does not reach what is derived, and children are not buried with their parent',
    edits: [
      {
        file: 'records/creating.ts',
        from: 'await records.marks.strikesStrictly(entry)',
        to: 'false',
      },
      {
        file: 'records/creating.ts',
        from: 'if (parent !== undefined && !(await isAlive(records, parent))) {',
        to: 'if (!id && parent) {',
      },
      {
        file: 'tokens/tokens.ts',
        from: "if (found.state === 'live' && !(await this.#isStruck(found.entry))) tokens",
        to: "if (found.state === 'live') tokens",
      },
    ],
    titles: ['derive | revoke everything of the user'],
  },
])
