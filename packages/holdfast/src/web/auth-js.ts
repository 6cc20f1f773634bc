/**
 * The sessions of Auth.js, in a store of Holdfast. Users, accounts and all else stay where they are: with the adapter
 * of your database, which is given.
 *
 * A session that was signed out is not brought back by an update that was under way, and a user's sessions can be
 * listed and ended.
 */

import type { Duration } from '../duration.ts'
import { InvalidOption, SessionGone } from '../errors.ts'
import { type Kept, KeyedSessions } from '../sessions/keyed.ts'
import type { Json } from '../store/codec.ts'
import type { Store } from '../store/store.ts'

/** Settings of {@link authJsAdapter}. */
export interface AuthJsOptions {
  /** The collection that sessions are kept in. @default 'auth-js' */
  readonly collection?: string
  /** How long a session that was signed out is remembered as such. @default '1d' */
  readonly retention?: Duration
}

/** What is needed of the adapter for users. */
export interface AuthJsUsers<User> {
  getUser?(id: string): User | null | PromiseLike<User | null>
  deleteUser?(id: string): unknown
}

/** A session as Auth.js has it. */
export interface AuthJsSession {
  /** Secret. */
  readonly sessionToken: string
  readonly userId: string
  readonly expires: Date
}

/** What of an adapter is about sessions. */
export interface AuthJsSessionMethods<User> {
  createSession(session: AuthJsSession): Promise<AuthJsSession>
  getSessionAndUser(sessionToken: string): Promise<{ session: AuthJsSession; user: User } | null>
  updateSession(
    session: Partial<AuthJsSession> & Pick<AuthJsSession, 'sessionToken'>,
  ): Promise<AuthJsSession | null>
  deleteSession(sessionToken: string): Promise<AuthJsSession | null>
  /** Deletes a user, and ends all his sessions. */
  deleteUser(id: string): Promise<never>
}

/**
 * For `Auth(request, { adapter: authJsAdapter(store, users), session: { strategy: 'database' } })`, @auth/core 0.41.
 *
 * @param store Where sessions are kept; or sessions by secret id that you made, to list and end them: they must name
 *   their user by `userOf: ({ userId }) => userId`.
 * @param users The adapter that has the users. Its own methods about sessions are not used.
 * @throws {TypeError} when it can't get a user.
 * @throws {InvalidOption} when options are given that come too late.
 * @throws {InvalidDuration}
 */
export function authJsAdapter<User, Users extends AuthJsUsers<User>>(
  store: Store | KeyedSessions,
  users: Users & AuthJsUsers<User>,
  options: AuthJsOptions = {},
): Omit<Users, keyof AuthJsSessionMethods<User>> & AuthJsSessionMethods<User> {
  if (typeof users.getUser !== 'function') throw new TypeError('the adapter for users has no getUser')
  if (store instanceof KeyedSessions && Object.keys(options).length > 0) {
    throw new InvalidOption('give the options to the KeyedSessions: they are made already')
  }
  const sessions = store instanceof KeyedSessions ? store : authJsSessions(store, options)
  const methods = new Methods<User>(sessions, users)
  return {
    ...users,
    // Auth.js takes them out of the object and calls them on their own.
    createSession: (session) => methods.createSession(session),
    getSessionAndUser: (sessionToken) => methods.getSessionAndUser(sessionToken),
    updateSession: (session) => methods.updateSession(session),
    deleteSession: (sessionToken) => methods.deleteSession(sessionToken),
    deleteUser: (id) => methods.deleteUser(id),
  }
}

/** The sessions that an adapter keeps: to list them and end them by user, beside Auth.js. */
export function authJsSessions(store: Store, options: AuthJsOptions = {}): KeyedSessions {
  const { collection = 'auth-js', retention = '1d' } = options
  return new KeyedSessions(store, {
    collection,
    retention,
    userOf: ({ userId }) => (typeof userId === 'string' ? userId : undefined),
  })
}

class Methods<User> implements AuthJsSessionMethods<User> {
  readonly #sessions: KeyedSessions
  readonly #users: AuthJsUsers<User>

  constructor(sessions: KeyedSessions, users: AuthJsUsers<User>) {
    this.#sessions = sessions
    this.#users = users
  }

  async createSession({ sessionToken, expires, ...rest }: AuthJsSession): Promise<AuthJsSession> {
    const kept = await this.#sessions.create(sessionToken, plain(rest), expires.getTime())
    return sessionOf(sessionToken, kept)
  }

  async getSessionAndUser(sessionToken: string): Promise<{ session: AuthJsSession; user: User } | null> {
    const kept = await this.#sessions.read(sessionToken)
    if (!kept) return null
    const session = sessionOf(sessionToken, kept)
    const user = await this.#users.getUser!(session.userId)
    return user ? { session, user } : null
  }

  async updateSession(
    given: Partial<AuthJsSession> & Pick<AuthJsSession, 'sessionToken'>,
  ): Promise<AuthJsSession | null> {
    const { sessionToken, expires, ...rest } = given
    const kept = await this.#sessions.read(sessionToken)
    if (!kept) return null
    try {
      const data = { ...kept.data, ...plain(rest) }
      const ends = expires?.getTime() ?? kept.expiresAt
      return sessionOf(sessionToken, await this.#sessions.save(sessionToken, kept, data, ends))
    } catch (error) {
      // Signed out meanwhile.
      if (error instanceof SessionGone) return null
      throw error
    }
  }

  async deleteSession(sessionToken: string): Promise<AuthJsSession | null> {
    const kept = await this.#sessions.read(sessionToken)
    await this.#sessions.destroy(sessionToken)
    return kept ? sessionOf(sessionToken, kept) : null
  }

  async deleteUser(id: string): Promise<never> {
    const deleted = await this.#users.deleteUser?.(id)
    const { capabilities } = await this.#sessions.store.open()
    // Where the store can't list, their sessions are none without the user, and end by themselves.
    if (capabilities.listing === 'complete') await this.#sessions.revoke({ user: id })
    return deleted as never
  }
}

function sessionOf(sessionToken: string, { data, expiresAt }: Kept): AuthJsSession {
  const { userId, ...rest } = structuredClone(data)
  return {
    ...rest,
    sessionToken,
    userId: typeof userId === 'string' ? userId : '',
    expires: new Date(expiresAt),
  }
}

/** What JSON keeps of it. */
function plain(values: object): Record<string, Json | undefined> {
  return JSON.parse(JSON.stringify(values)) as Record<string, Json | undefined>
}
