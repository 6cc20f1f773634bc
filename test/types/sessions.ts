/** What a session is known to hold. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import { type Followed, type Json, type Session, Sessions, type Store } from 'holdfast'
import { z } from 'zod'

interface Visit {
  basket: string[]
  theme?: 'light' | 'dark'
}

declare const store: Store
declare const session: Session<Visit>
declare const untyped: Session

// What is taken out is there, or else it is what was given in its place.
expectTypeOf(session.pop('basket')).toEqualTypeOf<string[]>()
expectTypeOf(session.pop('basket', [])).toExtend<string[]>()
expectTypeOf(session.pop('theme')).toEqualTypeOf<'light' | 'dark'>()
expectTypeOf(session.pop('theme', undefined)).toEqualTypeOf<'light' | 'dark' | undefined>()
expectTypeOf(session.setDefault('theme', 'dark')).toEqualTypeOf<'light' | 'dark'>()
expectTypeOf(untyped.pop('anything')).toEqualTypeOf<Json>()
// @ts-expect-error -- no such key
session.pop('bakset')

// Who merges two values is told what they are.
const merging = new Sessions<Visit>(store, {
  conflicts: { basket: ({ mine, theirs }) => [...new Set([...(theirs ?? []), ...(mine ?? [])])] },
})
expectTypeOf(merging).toEqualTypeOf<Sessions<Visit>>()
new Sessions(store, { conflicts: { anything: ({ mine, theirs }) => theirs ?? mine } })
const checked = new Sessions(store, {
  schema: z.object({ visits: z.number().optional() }),
  conflicts: { visits: ({ mine = 0, theirs = 0, before = 0 }) => mine + theirs - before },
})
expectTypeOf((await checked.load(undefined)).get('visits')).toEqualTypeOf<number | undefined>()
// @ts-expect-error -- no such key
new Sessions<Visit>(store, { conflicts: { bakset: () => [] } })
// @ts-expect-error -- no such value
new Sessions<Visit>(store, { conflicts: { theme: () => 'pink' } })

// What is answered can be named in an application's own declarations.
expectTypeOf(await merging.follow(session)).toEqualTypeOf<Followed>()
