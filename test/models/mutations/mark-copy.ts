/** The lines that protect marks and their copy. */

import { noticedBy } from './mutation.ts'

export const markCopy = noticedBy('test/records/mark-copy.test.ts', [
  {
    name: 'the copy of marks counts an echo from its arrival',
    edits: [
      {
        file: 'store/tiers/feed.ts',
        from: 'this.#freshAt = Math.max(this.#freshAt, asked)',
        to: 'this.#freshAt = this.#store.clock.elapsed()',
      },
    ],
    titles: ['counts as fresh from when its echo was asked for'],
  },
  {
    name: 'the copy of marks is used beyond its bound',
    edits: [
      {
        file: 'store/tiers/feed.ts',
        from: 'return now - this.#freshAt < this.#bound\n',
        to: 'return this.#bound > 0\n',
      },
    ],
    titles: ['is not used beyond the bound while the feed is silent'],
  },
  {
    name: 'the copy of marks is used while the feed is broken',
    edits: [
      {
        file: 'store/tiers/feed.ts',
        from: 'this.#broken = true\n        this.#follower.forgetAll()',
        to: '',
      },
    ],
    titles: ['is not used between `broken` and `restored`'],
  },
  {
    name: 'the copy of marks keeps what was read before an invalidation',
    edits: [
      { file: 'records/mark-copy.ts', from: 'before === this.#invalidations && ', to: 'before >= 0 && ' },
    ],
    titles: ['does not keep what was read before an invalidation'],
  },
  {
    name: 'marks go by the clock alone',
    edits: [
      {
        file: 'records/marks.ts',
        from: 'epoch: Math.max(this.#store.clock.now(), highest(marks) + 1),',
        to: 'epoch: this.#store.clock.now(),',
      },
    ],
    titles: ['of one instant are told apart'],
  },
])
