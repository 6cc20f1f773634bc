/**
 * What oidc-provider keeps, in a store of Holdfast: its sessions, grants, codes and tokens.
 *
 * Nothing comes back: an `upsert` that arrives after its `destroy`, or while its grant is revoked, leaves nothing that
 * is valid. What may be used once is consumed once, by whoever is first. The ids of oidc-provider are secrets and
 * become digests; what it stores holds them too, so seal the values where others can read the store.
 */

import { randomUUID } from 'node:crypto'
import { digestOf } from '../credentials/digest.ts'
import type { Duration } from '../duration.ts'
import { milliseconds } from '../duration.ts'
import { ConflictingChange, NotSupported, SessionGone } from '../errors.ts'
import { type Kept, KeyedSessions } from '../sessions/keyed.ts'
import type { Json } from '../store/codec.ts'
import { type Instant, never } from '../store/record.ts'
import type { Store } from '../store/store.ts'

/** Settings of {@link oidcAdapter}. */
export interface OidcAdapterOptions {
  /** The collection that all is kept in. @default 'oidc' */
  readonly collection?: string
  /** How long what was destroyed is remembered as destroyed. @default '1d' */
  readonly retention?: Duration
  /** Keeps everything so much longer than it is valid: the provider's option `clockTolerance`. @default 0 */
  readonly clockTolerance?: Duration
}

/** What oidc-provider stores of one thing. */
export interface OidcPayload {
  [name: string]: unknown
}

/** The storage of one kind of thing, as oidc-provider wants it. */
export interface OidcAdapter {
  upsert(id: string, payload: OidcPayload, expiresIn?: number): Promise<void>
  find(id: string): Promise<OidcPayload | undefined>
  findByUserCode(userCode: string): Promise<OidcPayload | undefined>
  findByUid(uid: string): Promise<OidcPayload | undefined>
  consume(id: string): Promise<void>
  destroy(id: string): Promise<void>
  revokeByGrantId(grantId: string): Promise<void>
}

/** What a client is told of what may be used once, where it is no grant. */
const refusals: Readonly<Record<string, string>> = {
  PushedAuthorizationRequest: 'invalid_request_uri',
  ReplayDetection: 'invalid_request',
}

/** It was used, destroyed, or has expired. The members are those by which the provider answers a client's fault. */
class UsedBefore extends ConflictingChange {
  readonly expose = true
  readonly statusCode = 400
  readonly error_description: string

  constructor(model: string) {
    // The provider's answer has the message as its code.
    super(refusals[model] ?? 'invalid_grant', ['consumed'])
    this.error_description = `this ${model} was used by another request, or has ended`
  }
}

/** How a thing is kept: what `consume` changes stands beside what `upsert` changes, so that both are kept. */
type Held = Readonly<Record<string, Json | undefined>> & {
  readonly model: string
  readonly payload: Readonly<Record<string, Json | undefined>>
  /** Seconds since 1970, and a draw, so that two who consume in the same second differ. */
  readonly consumed?: readonly [number, string]
}

/** The kinds that end with their grant. */
const grantable: ReadonlySet<string> = new Set([
  'AccessToken',
  'AuthorizationCode',
  'RefreshToken',
  'DeviceCode',
  'BackchannelAuthenticationRequest',
  'PreAuthorizedCode',
])

/** How often a write that others forestall is tried. */
const attempts = 20
/** How long it is remembered that a grant was revoked, in milliseconds: longer than any upsert is under way. */
const remembered = 3_600_000
/** A label holds 200 bytes. */
const longestName = 180

/**
 * The adapter for `new Provider(issuer, { adapter: oidcAdapter(store) })`, oidc-provider 9.
 *
 * @throws {InvalidDuration}
 */
export function oidcAdapter(store: Store, options: OidcAdapterOptions = {}): (model: string) => OidcAdapter {
  const { collection = 'oidc', retention = '1d' } = options
  const tolerance = milliseconds(options.clockTolerance ?? 0, 'clockTolerance')
  const sessions = new KeyedSessions(store, { collection, retention, conflicts: 'fail', userOf })
  const shelf = new Shelf(sessions, collection)
  // An arrow function can't be taken for a class by who looks at it.
  return (model) => new Adapter(model, shelf, tolerance)
}

/** Everything of one provider, whatever it is. */
class Shelf {
  readonly sessions: KeyedSessions
  readonly #collection: string

  constructor(sessions: KeyedSessions, collection: string) {
    this.sessions = sessions
    this.#collection = collection
  }

  get now(): number {
    return this.sessions.store.clock.now()
  }

  async read(name: string): Promise<Kept | undefined> {
    return await this.sessions.read(name)
  }

  /** Stores a whole thing, on whatever is there. @throws {SessionGone} where it was destroyed. */
  async put(name: string, data: (before: Kept | undefined) => Held, expiresAt: Instant): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const before = await this.sessions.read(name, { strict: true })
      try {
        if (before) await this.sessions.save(name, before, data(before), expiresAt)
        else await this.sessions.create(name, data(undefined), expiresAt)
        return
      } catch (error) {
        if (error instanceof UsedBefore || !(error instanceof ConflictingChange)) throw error
        // Somebody was faster: what he has left is what there is to change now.
        if (attempt === attempts) throw error
      }
    }
  }

  /** Whether there is a tombstone. */
  async isDestroyed(name: string): Promise<boolean> {
    const key = { collection: this.#collection, id: this.sessions.idOf(name) }
    const record = await this.sessions.store.read(key, { strict: true, expired: true })
    return record !== undefined && (await this.sessions.read(name, { strict: true })) === undefined
  }

  /** Destroys all that is kept under a name, until nothing of it is found. */
  async destroyAll(user: string): Promise<void> {
    const { capabilities, description } = await this.sessions.store.open()
    if (capabilities.listing !== 'complete') {
      throw new NotSupported(
        `${description} cannot list all that belongs to a grant, so revoking it would miss some`,
        'listing',
      )
    }
    for (let found = true; found;) {
      found = false
      for await (const { id } of this.sessions.all({ user })) {
        await this.sessions.destroyById(id)
        found = true
      }
    }
  }
}

class Adapter implements OidcAdapter {
  readonly #model: string
  readonly #shelf: Shelf
  readonly #tolerance: number

  constructor(model: string, shelf: Shelf, tolerance: number) {
    this.#model = model
    this.#shelf = shelf
    this.#tolerance = tolerance
  }

  async upsert(id: string, given: OidcPayload, expiresIn?: number): Promise<void> {
    const payload = plain(given)
    const name = this.#name(id)
    const { grantId, uid, userCode } = payload
    const grant = grantable.has(this.#model) && typeof grantId === 'string' ? grantId : undefined
    const revocation = grant === undefined ? undefined : await this.#revocation(grant)
    const expiresAt = this.#expiry(expiresIn)
    try {
      // First where it is found by, which leads nowhere as long as there is nothing.
      if (this.#model === 'Session' && typeof uid === 'string') await this.#point('uid', uid, id, expiresAt)
      if (typeof userCode === 'string') await this.#point('user-code', userCode, id, expiresAt)
      await this.#shelf.put(name, (before) => this.#held(before, payload), expiresAt)
    } catch (error) {
      if (!(error instanceof SessionGone)) throw error
      this.#refuseRevival(id)
      return
    }
    if (grant !== undefined && (await this.#isRevoked(grant, revocation))) await this.destroy(id)
  }

  async find(id: string): Promise<OidcPayload | undefined> {
    const kept = await this.#shelf.read(this.#name(id))
    if (!kept) return undefined
    const { payload, consumed } = kept.data as unknown as Held
    // The provider changes what it is given.
    return { ...structuredClone(payload), ...(consumed ? { consumed: consumed[0] } : {}) }
  }

  async findByUid(uid: string): Promise<OidcPayload | undefined> {
    return await this.#pointed('uid', uid)
  }

  async findByUserCode(userCode: string): Promise<OidcPayload | undefined> {
    return await this.#pointed('user-code', userCode)
  }

  /** @throws {UsedBefore} when it was consumed before: of several at once, one is the first. */
  async consume(id: string): Promise<void> {
    const name = this.#name(id)
    const kept = await this.#shelf.sessions.read(name, { strict: true })
    if (!kept || 'consumed' in kept.data) throw new UsedBefore(this.#model)
    const consumed: Json = [Math.floor(this.#shelf.now / 1_000), randomUUID()]
    try {
      await this.#shelf.sessions.save(name, kept, { ...kept.data, consumed }, kept.expiresAt)
    } catch (error) {
      const isOver = error instanceof ConflictingChange || error instanceof SessionGone
      throw isOver ? new UsedBefore(this.#model) : error
    }
  }

  async destroy(id: string): Promise<void> {
    await this.#shelf.sessions.destroy(this.#name(id))
  }

  /**
   * Destroys all codes and tokens of a grant.
   *
   * @throws {NotSupported} when the store's listings may miss some.
   */
  async revokeByGrantId(grantId: string): Promise<void> {
    const revoked: Held = { model: 'revocation', payload: { draw: randomUUID() } }
    await this.#shelf.put(revocationOf(grantId), () => revoked, this.#shelf.now + remembered)
    await this.#shelf.destroyAll(underGrant(grantId))
  }

  /** Which revocation of the grant was the last one, if any. */
  async #revocation(grantId: string): Promise<Json | undefined> {
    const kept = await this.#shelf.sessions.read(revocationOf(grantId), { strict: true })
    return (kept?.data as Held | undefined)?.payload['draw']
  }

  /** Whether the grant was revoked meanwhile, or is no more. */
  async #isRevoked(grantId: string, before: Json | undefined): Promise<boolean> {
    if ((await this.#revocation(grantId)) !== before) return true
    return await this.#shelf.isDestroyed(`Grant:${grantId}`)
  }

  #held(before: Kept | undefined, payload: Held['payload']): Held {
    const { consumed } = (before?.data ?? {}) as Partial<Held>
    if (before && this.#model === 'ReplayDetection') throw new UsedBefore(this.#model)
    return { model: this.#model, payload, ...(consumed ? { consumed } : {}) }
  }

  /** A client has the id that was chosen for it: that it isn't stored must not pass unnoticed. */
  #refuseRevival(id: string): void {
    if (this.#model !== 'Client') return
    throw new SessionGone(
      `the client ${id} was destroyed and does not come back while that is remembered (option retention)`,
    )
  }

  async #point(kind: string, value: string, id: string, expiresAt: Instant): Promise<void> {
    const pointer: Held = { model: kind, payload: { id } }
    await this.#shelf.put(`${kind}:${this.#model}:${value}`, () => pointer, expiresAt)
  }

  async #pointed(kind: string, value: string): Promise<OidcPayload | undefined> {
    const kept = await this.#shelf.read(`${kind}:${this.#model}:${value}`)
    const id = (kept?.data as Held | undefined)?.payload['id']
    const found = typeof id === 'string' ? await this.find(id) : undefined
    // It may have another by now.
    return found?.[kind === 'uid' ? 'uid' : 'userCode'] === value ? found : undefined
  }

  #name(id: string): string {
    return `${this.#model}:${id}`
  }

  #expiry(expiresIn: number | undefined): Instant {
    if (expiresIn === undefined || !Number.isFinite(expiresIn)) return never
    return this.#shelf.now + Math.ceil(expiresIn * 1_000) + this.#tolerance
  }
}

/** By whom a thing is listed: codes and tokens by their grant, all else by its account. */
function userOf(data: Readonly<Record<string, Json | undefined>>): string | undefined {
  const { model, payload } = data as Held
  const { grantId, accountId } = payload
  if (grantable.has(model) && typeof grantId === 'string') return underGrant(grantId)
  return typeof accountId === 'string' ? named('account', accountId) : undefined
}

function underGrant(grantId: string): string {
  return named('grant', grantId)
}

function named(kind: string, name: string): string {
  return `${kind}:${Buffer.byteLength(name) <= longestName ? name : digestOf(name)}`
}

function revocationOf(grantId: string): string {
  return `revocation:${grantId}`
}

/** What JSON keeps of it, and no more: what the provider does to its own object is not stored by accident. */
function plain(payload: OidcPayload): Held['payload'] {
  return JSON.parse(JSON.stringify(payload)) as Held['payload']
}
