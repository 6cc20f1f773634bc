/** Settings of the middleware, and what follows from them. */

import { randomBytes } from 'node:crypto'
import type { Duration } from '../../duration.ts'
import { InvalidOption } from '../../errors.ts'
import type { JsonObject } from '../../sessions/dictionary.ts'
import type { EventListener } from '../../sessions/options.ts'
import type { ConflictPolicy } from '../../sessions/options.ts'
import { type KeyedOptions, KeyedSessions, type OldSessionReader } from '../../sessions/keyed.ts'
import type { Store as AnyStore } from '../../store/store.ts'
import type { CookieOptions, CookieSetting, OfRequest } from './cookie.ts'
import { deprecate } from './deprecation.ts'
import { HoldfastStore } from './holdfast-store.ts'
import { MemoryStore } from './memory-store.ts'
import type { CallbackStore } from './session.ts'
import type { Secret } from './signature.ts'

/** Settings of the middleware: those of express-session, and below them what a Holdfast store can do besides. */
export interface SessionOptions {
  /** What the cookie is signed with. Of several the first signs, and all verify. Required. */
  secret?: Secret | readonly Secret[]
  /** Settings of the cookie. @default { path: '/', httpOnly: true, secure: false, maxAge: null } */
  cookie?: CookieSetting
  /** Draws the id of a new session. It is the secret: nobody must be able to guess it. @default 192 random bits */
  genid?: OfRequest<string>
  /** The name of the cookie. @default 'connect.sid' */
  name?: string | undefined
  /** What `name` was called before. */
  key?: string | undefined
  /** Whether `X-Forwarded-Proto` is believed. @default what Express is told by 'trust proxy' */
  proxy?: boolean | undefined
  /** Stores a session in each request, whether it was changed or not. @default true, which is deprecated */
  resave?: boolean | null | undefined
  /** Sets the cookie in each response. @default false */
  rolling?: boolean | undefined
  /** Stores a new session that nobody has written to. @default true, which is deprecated */
  saveUninitialized?: boolean | null | undefined
  /** What becomes of the session when `req.session` is deleted or set to null. @default 'keep' */
  unset?: 'destroy' | 'keep' | undefined
  /**
   * Where sessions are kept: a Holdfast store, `KeyedSessions` over one, or a store with callbacks.
   *
   * @default a `MemoryStore`
   */
  store?: AnyStore | KeyedSessions | CallbackStore | undefined

  /**
   * What is done while the store can't be asked: the request fails with 503, or goes on without `req.session`. A store
   * with callbacks says so by `disconnect`. @default 'fail'
   */
  outage?: 'fail' | 'continue'
  /** Names the user of a session, by whom it is then listed and revoked. Only with a Holdfast store. */
  user?: (session: JsonObject) => string | undefined
  /** How long an unused session is kept that has no `maxAge`. Only with a Holdfast store. @default '1d' */
  idle?: Duration
  /** A session is prolonged at most once per this fraction of its time. Only with a Holdfast store. @default 0.1 */
  touchEvery?: number
  /** What is done where two requests changed the same key. Only with a Holdfast store. @default 'last' */
  conflicts?: ConflictPolicy
  /** Takes over what another library has stored. Only with a Holdfast store. */
  old?: OldSessionReader
  /** Hears what an operator should know of. Only with a Holdfast store. */
  onEvent?: EventListener
}

/** The settings, checked. */
export interface SessionSettings {
  readonly secrets: readonly Secret[] | undefined
  readonly cookieFor: OfRequest<CookieOptions>
  readonly generateId: OfRequest<string>
  /** Whether ids are drawn here: nothing can be stored under a new one. */
  readonly drawsIds: boolean
  readonly name: string
  readonly proxy: boolean | undefined
  readonly resave: boolean
  readonly rolling: boolean
  readonly saveUninitialized: boolean
  readonly unsetDestroys: boolean
  readonly store: CallbackStore
  readonly outage: 'fail' | 'continue'
}

const ofHoldfastOnly = ['user', 'idle', 'touchEvery', 'conflicts', 'old', 'onEvent'] as const

/** @throws {TypeError} as express-session does. @throws {InvalidOption} for what it doesn't know. */
export function sessionSettings(options: SessionOptions): SessionSettings {
  const { unset, resave, saveUninitialized, proxy } = options
  const cookie = options.cookie || {}
  const genid = options.genid || drawId
  if (typeof genid !== 'function') throw new TypeError('genid option must be a function')
  if (resave === undefined) deprecate('undefined resave option; provide resave option')
  if (saveUninitialized === undefined) {
    deprecate('undefined saveUninitialized option; provide saveUninitialized option')
  }
  if (unset && !['destroy', 'keep'].includes(unset)) {
    throw new TypeError('unset option must be "destroy" or "keep"')
  }
  return {
    secrets: secretsOf(options.secret),
    cookieFor: typeof cookie === 'function' ? cookie : () => cookie,
    generateId: genid,
    drawsIds: genid === drawId,
    name: options.name || options.key || 'connect.sid',
    // Nothing else counts as an answer.
    proxy: proxy === true || proxy === false ? proxy : undefined,
    resave: resave === undefined || Boolean(resave),
    rolling: Boolean(options.rolling),
    saveUninitialized: saveUninitialized === undefined || Boolean(saveUninitialized),
    unsetDestroys: unset === 'destroy',
    store: storeOf(options),
    outage: options.outage ?? 'fail',
  }
}

function drawId(): string {
  return randomBytes(24).toString('base64url')
}

function secretsOf(secret: SessionOptions['secret']): readonly Secret[] | undefined {
  if (!secret) {
    deprecate('req.secret; provide secret option')
    return undefined
  }
  if (!isList(secret)) return [secret]
  if (secret.length === 0) throw new TypeError('secret option array must contain one or more strings')
  return secret
}

function isList(secret: Secret | readonly Secret[]): secret is readonly Secret[] {
  return Array.isArray(secret)
}

function storeOf(options: SessionOptions): CallbackStore {
  const { store } = options
  if (!store) return defaultStore(options)
  const given = ofHoldfastOnly.filter((name) => options[name] !== undefined)
  if (isHoldfastStore(store))
    return new HoldfastStore(new KeyedSessions(store, keyedOptions(options)), timesOf(options))
  if (isKeyedSessions(store)) {
    const twice = given.filter((name) => name !== 'idle' && name !== 'touchEvery')
    if (twice.length === 0) return new HoldfastStore(store, timesOf(options))
    throw new InvalidOption(`${twice.join(', ')}: give it to the \`KeyedSessions\` that are the store`)
  }
  if (given.length > 0) {
    throw new InvalidOption(
      `${given.join(', ')} works with a Holdfast store only, not with one with callbacks`,
    )
  }
  return store
}

function defaultStore(options: SessionOptions): MemoryStore {
  if (process.env['NODE_ENV'] === 'production') {
    process.emitWarning(
      'holdfast/express: sessions are kept in the memory of this process, which is not meant for production: ' +
        'they end with it, and no other process knows them. Give it a `store`.',
    )
  }
  return new MemoryStore({ ...keyedOptions(options), ...timesOf(options) })
}

function keyedOptions({ user, conflicts, old, onEvent }: SessionOptions): KeyedOptions {
  return {
    ...(user ? { userOf: user } : {}),
    ...(conflicts === undefined ? {} : { conflicts }),
    ...(old ? { old } : {}),
    ...(onEvent ? { onEvent } : {}),
  }
}

function timesOf({ idle, touchEvery }: SessionOptions): Pick<SessionOptions, 'idle' | 'touchEvery'> {
  return { ...(idle === undefined ? {} : { idle }), ...(touchEvery === undefined ? {} : { touchEvery }) }
}

/** By what they can do, so that copies of this package from two places understand each other. */
function isHoldfastStore(store: object): store is AnyStore {
  return 'readMany' in store && 'touchBehind' in store
}

function isKeyedSessions(store: object): store is KeyedSessions {
  return 'replaceId' in store && 'read' in store
}
