/** The lines that protect rotation. */

import { noticedBy } from './mutation.ts'
import {
  buryWithoutCompare,
  listsIgnoreMarks,
  onePassOnly,
  readersIgnoreMarks,
  savesOnWhatWasRead,
} from './shared.ts'

export const rotation = noticedBy('test/records/rotation-schedules.test.ts', [
  {
    name: 'burying does not try again when somebody was faster',
    edits: [buryWithoutCompare],
    titles: ['[races: A2]', '[races: B3]'],
  },
  {
    name: 'burying does not try again, there is one pass only, and readers ignore marks',
    edits: [buryWithoutCompare, onePassOnly, readersIgnoreMarks, listsIgnoreMarks],
    titles: ['[races: A1]', '[races: E1]', '[races: B1]'],
  },
  {
    name: 'logging out asks for the current secret',
    edits: [{ file: 'records/admission.ts', from: ".as !== 'unknown'", to: ".as === 'current'" }],
    titles: ['[races: A2]'],
  },
  {
    name: 'a change is applied to what was read, not to what is there',
    edits: [savesOnWhatWasRead],
    titles: ['[races: A3]', '[races: B2]'],
  },
  {
    name: 'windows do not end',
    edits: [
      {
        file: 'records/rotation.ts',
        from: "if (now >= envelope.past[at]!.ends) return { as: 'ended' }",
        to: '',
      },
      {
        file: 'records/rotation.ts',
        from: 'return now < predecessor.ends ? predecessor',
        to: 'return now ? predecessor',
      },
    ],
    titles: ['[races: A4]'],
  },
  {
    name: 'a predecessor does not lead to its successor',
    edits: [
      {
        file: 'records/rotation.ts',
        from: 'next: sealSuccessor(secrets.current, id, secrets.next),',
        to: '',
      },
    ],
    titles: ['[races: A5]', '[races: lost response]', '[races: out-of-order'],
  },
  {
    name: 'a window opens when its secret is made',
    edits: [
      {
        file: 'records/rotation.ts',
        from: 'ends: now + windows.cap,\n    opened: false,',
        to: 'ends: now + windows.grace,\n    opened: true,',
      },
    ],
    titles: ['[races: lost response]'],
  },
  {
    name: 'every request that rotates makes a secret of its own',
    edits: [
      {
        file: 'sessions/storing.ts',
        from: "if (adopts && (hasSuccessor || recognition.as === 'predecessor')) {",
        to: "if (!adopts && (hasSuccessor || recognition.as === 'predecessor')) {",
      },
    ],
    titles: ['[races: B2]'],
  },
  {
    name: 'a login leaves the secrets before it a window',
    edits: [
      {
        file: 'sessions/storing.ts',
        from: '...cycled(isAnother(envelope, login) ? withoutFacts(envelope) : envelope, next, now),',
        to: '...rotated(envelope, _id, { current: _current, next }, { grace: 60_000, cap: 60_000 }, now),',
      },
    ],
    titles: ['log in | a request with the secret from before', 'log in | rotate'],
  },
  {
    name: 'a save does not check secret and principal again',
    edits: [
      {
        file: 'sessions/storing.ts',
        from: 'if (envelope.user !== entry.envelope.user && envelope.digest !== digestOf(secret)) return undefined',
        to: '',
      },
      {
        file: 'sessions/storing.ts',
        from: "return 'secret' in recognition ? found.entry : undefined",
        to: 'return recognition && found.entry',
      },
      {
        file: 'sessions/storing.ts',
        from: "if (!('secret' in recognition)) return { stop: 'gone' }",
        to: '',
      },
    ],
    titles: ['log in | a request with the secret from before', 'log in | log in as another'],
  },
])
