/** What express-session calls its types, by its name for the middleware. Checked by `tsc`, never run. */

import { expectTypeOf } from 'expect-type'
import session, {
  type Cookie,
  type CookieOptions,
  type MemoryStore,
  type Session,
  type SessionData,
  type SessionOptions,
  type Store,
} from 'holdfast/express'

expectTypeOf<session.Cookie>().toEqualTypeOf<Cookie>()
expectTypeOf<session.CookieOptions>().toEqualTypeOf<CookieOptions>()
expectTypeOf<session.MemoryStore>().toEqualTypeOf<MemoryStore>()
expectTypeOf<session.Session>().toEqualTypeOf<Session>()
expectTypeOf<session.SessionData>().toEqualTypeOf<SessionData>()
expectTypeOf<session.SessionOptions>().toEqualTypeOf<SessionOptions>()
expectTypeOf<session.Store>().toEqualTypeOf<Store>()

const store: session.MemoryStore = new session.MemoryStore()
export abstract class Extended extends session.Store {}
// @ts-expect-error -- it can neither read nor write
export class Incomplete extends session.Store {}
store.on('connect', () => undefined)
session({ store, user: (data: { passport?: { user?: string } }) => data.passport?.user })
// @ts-expect-error -- no such type
export type None = session.Nothing
