/**
 * The stores of Holdfast for express-session and for @fastify/session, for those who keep these.
 *
 * Their contract says `set(sid, session)`, and not what the session was when it was read. So what `get` answers with
 * carries that along, where neither of the two libraries looks and JSON doesn't see it: then only what was changed is
 * stored, and others' changes stay. What the contract gives no hold on is told in docs/express-store.md.
 */

import type { EventEmitter } from 'node:events'
import { InvalidOption, NotSupported, SessionGone } from '../errors.ts'
import { type KeyedOptions, KeyedSessions } from '../sessions/keyed.ts'
import type { Store as HoldfastStore } from '../store/store.ts'
import { type HoldfastStoreOptions, HoldfastStore as Callbacks } from './express/holdfast-store.ts'
import { setSource, sourceOf } from './express/session.ts'
import { Store } from './express/store.ts'

/** Settings of {@link holdfastStore}. */
export interface ExpressStoreOptions extends HoldfastStoreOptions, KeyedOptions {
  /**
   * What express-session exports: the store is then one of its own. Without it the store brings methods that do the
   * same. @fastify/session needs none.
   */
  readonly session?: { readonly Store: abstract new () => EventEmitter }
  /**
   * What is told of a save whose session was destroyed meanwhile. It is never stored. `ignore`: nothing, for the
   * library would cut a response off that is on its way; the store emits `gone` with the public id. `fail`: an error,
   * `SessionGone`. @default 'ignore'
   */
  readonly gone?: 'ignore' | 'fail'
}

/** What a callback is told. */
export type StoreDone = (error?: unknown) => void

/** A store for express-session and @fastify/session. */
export interface ExpressStore extends EventEmitter {
  /** What is beneath: for listing and ending the sessions of a user. */
  readonly sessions: KeyedSessions
  /** The session as it is stored. Its type is the application's, so here it is none. */
  get(sid: string, callback: (error: unknown, session?: never) => void): void
  set(sid: string, session: object, callback?: StoreDone): void
  touch(sid: string, session: object, callback?: StoreDone): void
  destroy(sid: string, callback?: StoreDone): void
  /** All live sessions, without their ids, which the store doesn't know. */
  all(callback: (error: unknown, sessions?: never) => void): void
  length(callback: (error: unknown, length?: number) => void): void
  /** Destroys all of them. */
  clear(callback?: StoreDone): void
  /** For the library only, as the two below; what they take and give is its own. */
  regenerate(req: object, callback: StoreDone): void
  load(sid: string, callback: (error: unknown, session?: never) => void): void
  createSession(req: object, session: object): never
}

/**
 * A store for express-session 1.19 and @fastify/session 11.
 *
 * @param store Where sessions are kept; or sessions by secret id that you made, and then their options are theirs.
 * @throws {InvalidOption} @throws {InvalidDuration}
 */
export function holdfastStore(
  store: HoldfastStore | KeyedSessions,
  options: ExpressStoreOptions = {},
): ExpressStore {
  if (store instanceof KeyedSessions) refuseTheirs(options)
  const sessions = store instanceof KeyedSessions ? store : new KeyedSessions(store, options)
  // What is abstract in it is written below.
  const Base = (options.session?.Store ?? Store) as new () => EventEmitter
  return new (storeOver(Base))(sessions, options) as unknown as ExpressStore
}

/** Options that are none of the store's own, when the sessions were made elsewhere. */
const ofSessions = [
  'collection',
  'retention',
  'longest',
  'conflicts',
  'revocationBound',
  'userOf',
  'old',
  'onEvent',
] as const satisfies readonly (keyof KeyedOptions)[]

/** @throws {InvalidOption} */
function refuseTheirs(options: ExpressStoreOptions): void {
  const given = ofSessions.filter((name) => options[name] !== undefined)
  if (given.length > 0) {
    throw new InvalidOption(`give ${given.join(', ')} to the KeyedSessions: they are made already`)
  }
}

/** What a session was when it was read. The sid is there because applications copy what is in one session to another. */
class Origin {
  readonly #sid: string
  readonly #source: object

  constructor(sid: string, source: object) {
    this.#sid = sid
    this.#source = source
  }

  static of(carried: unknown, sid: string): object | undefined {
    return carried instanceof Origin && carried.#sid === sid ? carried.#source : undefined
  }
}

/** What the origin is called, where it is carried. */
const carrier = '~holdfast'

interface Carrying {
  cookie?: { originalMaxAge?: unknown; [carrier]?: unknown }
  [carrier]?: unknown
}

function storeOver(Base: new () => EventEmitter) {
  return class ExpressStore extends Base {
    readonly sessions: KeyedSessions
    readonly #callbacks: Callbacks
    readonly #fails: boolean

    constructor(sessions: KeyedSessions, options: ExpressStoreOptions) {
      super()
      this.sessions = sessions
      this.#callbacks = new Callbacks(sessions, options)
      this.#fails = options.gone === 'fail'
    }

    get(sid: string, callback: (error: unknown, session?: object | null) => void): void {
      this.#callbacks.get(sid, (error, session) => {
        const source = session ? sourceOf(session) : undefined
        if (session && source) this.#carry(session, new Origin(sid, source))
        callback(error ?? null, session)
      })
    }

    set(sid: string, session: object, callback?: StoreDone): void {
      recall(sid, session)
      const stored = lasting(session)
      this.#callbacks.set(sid, stored, this.#saved(sid, callback))
      // Its next save goes on from this one.
      const source = sourceOf(stored)
      if (source) setSource(session, source)
    }

    touch(sid: string, session: object, callback?: StoreDone): void {
      recall(sid, session)
      // Where the settings of the cookie were changed it is a save.
      this.#callbacks.touch(sid, session, this.#saved(sid, callback))
    }

    destroy(sid: string, callback?: StoreDone): void {
      this.#callbacks.destroy(sid, callback)
    }

    all(callback: (error: unknown, sessions?: unknown) => void): void {
      this.#listing((error) => {
        if (error) callback(error)
        else this.#callbacks.all(callback)
      })
    }

    length(callback: (error: unknown, length?: number) => void): void {
      this.#listing((error) => {
        if (error) callback(error)
        else this.#callbacks.length(callback)
      })
    }

    clear(callback?: StoreDone): void {
      this.#listing((error) => {
        if (error) callback?.(error)
        else this.#callbacks.clear(callback)
      })
    }

    /** What the library is told of a save. */
    #saved(sid: string, callback: StoreDone | undefined): StoreDone {
      return (error) => {
        if (error instanceof SessionGone && !this.#fails) {
          this.emit('gone', this.sessions.idOf(sid))
          callback?.()
        } else callback?.(error)
      }
    }

    /** What may miss sessions must not pass for all of them. */
    #listing(then: StoreDone): void {
      this.sessions.store.open().then(
        ({ capabilities, description }) => {
          if (capabilities.listing === 'complete') then()
          else then(new NotSupported(`${description} can't list all sessions`, 'listing'))
        },
        (error: unknown) => {
          then(error)
        },
      )
    }

    /**
     * express-session copies all members of the cookie that it reads, shows those that it knows and stores no others.
     * @fastify/session only keeps those of the cookie that it knows, and copies all others of the session; JSON has no
     * functions. The former is told by what it gives to its stores.
     */
    #carry(session: Carrying, origin: Origin): void {
      if ('generate' in this && session.cookie) session.cookie[carrier] = origin
      else session[carrier] = () => origin
    }
  }
}

/** Finds out what a session was when it was read. */
function recall(sid: string, session: Carrying): void {
  if (sourceOf(session)) return
  const carried = session[carrier]
  const origin: unknown =
    typeof carried === 'function' ? (carried as () => unknown)() : session.cookie?.[carrier]
  const source = Origin.of(origin, sid)
  if (source) setSource(session, source)
}

/**
 * The session without what @fastify/session notes of the time at which the cookie would have ended: it differs in each
 * request, so each would write the whole session.
 */
function lasting(session: Carrying): object {
  if (!session.cookie || !('originalExpires' in session.cookie)) return session
  const { originalExpires: _, ...cookie } = JSON.parse(JSON.stringify(session.cookie)) as Record<
    string,
    unknown
  >
  const lasting = { ...session, cookie }
  const source = sourceOf(session)
  if (source) setSource(lasting, source)
  return lasting
}
