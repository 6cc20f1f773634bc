/** API tokens over a store. */

import { assemble, checkPrefix, mintSecret, parse } from '../credentials/credential.ts'
import { digestOf } from '../credentials/digest.ts'
import { type Duration, milliseconds } from '../duration.ts'
import { InvalidExpiry, InvalidOption } from '../errors.ts'
import { admit, isAdmitted, mayEnd } from '../records/admission.ts'
import { create } from '../records/creating.ts'
import { checkOthers, filterLabels, firstEnvelope, labelsOf, type Living } from '../records/envelope.ts'
import type { EventListener } from '../records/events.ts'
import { createNamed, freeNameOf } from '../records/names.ts'
import { type Entry, Records } from '../records/records.ts'
import { revokeByLabels } from '../records/revoking.ts'
import { finishTree } from '../records/trees.ts'
import type { Cursor } from '../store/contract.ts'
import { type Instant, isId, type Label, never } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { type Revocation, revocationLabels, RevocationList } from './revocations.ts'

export interface TokensOptions {
  /** How long a token lives where `issue` isn't told. @default '1h' */
  readonly lifetime?: Duration
  /** How long a revoked token stays on the revocation list, at most until it would have expired. @default '90d' */
  readonly retention?: Duration
  /** How old this process's knowledge of "revoke everything of this user" may be. @default '1s' */
  readonly revocationBound?: Duration
  /** What credentials begin with: `[A-Za-z0-9_]{1,24}`. @default 'hft_' */
  readonly prefix?: string
  /** The collection that they are kept in. @default 'tokens' */
  readonly collection?: string
  /** Hears what an operator should know of. */
  readonly onEvent?: EventListener
}

/** A token. Holds no secret. */
export interface Token {
  /** Public: the accessor by which it is listed and revoked. */
  readonly id: string
  readonly user: string
  /** Each once, in the order in which they were given. */
  readonly scopes: readonly string[]
  /** Unique among the user's live tokens. */
  readonly name?: string
  readonly labels: readonly Label[]
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number
  /** Milliseconds since 1970 UTC, or `never`. */
  readonly expiresAt: Instant
}

/** What to issue. */
export interface IssueOptions {
  /** The owner. */
  readonly user: string
  /** @default [] */
  readonly scopes?: readonly string[]
  /** Unique among the user's live tokens. */
  readonly name?: string
  /** What it can also be listed and revoked by, such as `tenant:acme` or `client:cli`. */
  readonly labels?: readonly Label[]
  /** How long it lives; `'never'` for one that doesn't expire. @default the option `lifetime` */
  readonly expiresIn?: Duration | 'never'
  /** In its place: when it expires, milliseconds since 1970 UTC. */
  readonly expiresAt?: Instant
}

/** Which tokens: those that carry the user's label and all the others. */
export interface TokenFilter {
  readonly user?: string
  readonly labels?: readonly Label[]
}

/** A page of tokens. It may be short while there is a `next`. */
export interface TokenPage {
  readonly tokens: readonly Token[]
  readonly next?: Cursor
}

/** API tokens: issued, verified, listed, revoked, and listed as revoked. */
export class Tokens {
  readonly #records: Records
  readonly #revocations: RevocationList
  readonly #lifetime: number
  readonly #prefix: string
  readonly #onEvent: EventListener

  /**
   * @throws {InvalidOption} when an option can't be honoured.
   * @throws {InvalidDuration}
   */
  constructor(store: Store, options: TokensOptions = {}) {
    this.#prefix = options.prefix ?? 'hft_'
    checkPrefix(this.#prefix)
    this.#lifetime = milliseconds(options.lifetime ?? '1h', 'lifetime')
    this.#onEvent = options.onEvent ?? (() => undefined)
    const markBound = milliseconds(options.revocationBound ?? '1s', 'revocationBound')
    if (this.#lifetime === 0 || markBound === 0) {
      throw new InvalidOption('lifetime and revocationBound must be longer than 0')
    }
    const retention = milliseconds(options.retention ?? '90d', 'retention')
    this.#records = new Records(store, {
      collection: options.collection ?? 'tokens',
      retention,
      longest: never,
      markBound,
      tombstoneLabels: revocationLabels,
      onBurial: (id, was) => this.#freeName(id, was),
    })
    this.#revocations = new RevocationList(this.#records, retention)
  }

  /**
   * Issues a token. Its credential is in this answer and nowhere else: the store has a digest only.
   *
   * @throws {NameTaken} when another live token of the user has the name.
   * @throws {RevokedMeanwhile} when everything of the user was revoked while it was being issued.
   * @throws {InvalidExpiry} when it would be expired already.
   */
  async issue(options: IssueOptions): Promise<{ readonly credential: string; readonly token: Token }> {
    const { user, name } = options
    if (typeof user !== 'string') throw new InvalidOption('a token needs a user')
    const now = this.#records.now
    checkOthers(options.labels ?? [])
    const labels = labelsOf(user, options.labels ?? [])
    const epochs = await this.#records.marks.epochs(labels)
    const secret = mintSecret()
    const expiresAt = this.#expiry(options, now)
    const envelope = firstEnvelope(now, {
      digest: digestOf(secret),
      user,
      absolute: expiresAt,
      epochs,
      data: {
        scopes: checkedScopes(options.scopes ?? []),
        ...(name === undefined ? {} : { name: checkedName(name) }),
      },
    })
    const creation = { envelope, labels, expiresAt }
    const entry =
      name === undefined
        ? await create(this.#records, creation)
        : await create(this.#records, creation, (id, labelled) =>
            createNamed(this.#records, { owner: user, name }, id, labelled),
          )
    const credential = assemble(this.#prefix, { id: entry.record.key.id, secret })
    return { credential, token: tokenOf(entry) }
  }

  /**
   * The token of a credential, or `undefined` for everything that is not a live token of ours: malformed, unknown,
   * expired, revoked, corrupt.
   *
   * @throws {StoreUnavailable} and the store's other errors: an outage is never answered as "not valid".
   */
  async verify(credential: string): Promise<Token | undefined> {
    const parts = parse(this.#prefix, credential)
    if (!parts) return undefined
    const admitted = admit(this.#records, parts, this.#onEvent)
    const answer = admitted instanceof Promise ? await admitted : admitted
    if (isAdmitted(answer)) return tokenOf(answer.entry)
    if (answer.closed) await this.#finish(parts.id)
    return undefined
  }

  /** A live token by its public id. */
  async get(id: string): Promise<Token | undefined> {
    if (!isId(id)) return undefined
    const found = await this.#records.find(id)
    if (found.state !== 'live' || (await this.#isStruck(found.entry))) return undefined
    return tokenOf(found.entry)
  }

  /** A page of the live tokens with all the labels, in order of their ids. */
  async list(
    filter: TokenFilter & { readonly after?: Cursor; readonly limit?: number } = {},
  ): Promise<TokenPage> {
    const { after, limit } = filter
    const page = await this.#records.list(filterLabels(filter), {
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit }),
    })
    const tokens: Token[] = []
    for (const record of page.records) {
      const found = this.#records.opened(record)
      if (found.state === 'live' && !(await this.#isStruck(found.entry))) tokens.push(tokenOf(found.entry))
      if (found.state === 'corrupt') {
        this.#onEvent({
          type: 'corrupt',
          collection: this.#records.collection,
          id: record.key.id,
          cause: found.cause,
        })
      }
    }
    return { tokens, ...(page.next === undefined ? {} : { next: page.next }) }
  }

  /** Revokes a token by its public id, with everything derived from it. Answers whether it was alive. */
  async revoke(id: string): Promise<boolean> {
    if (!isId(id)) return false
    const ended = await finishTree(this.#records, id, 'revoked')
    await this.#records.acknowledge([id, ...ended])
    return ended.includes(id)
  }

  /** Revokes the token of a credential (RFC 7009). Answers whether it was alive. */
  async revokeCredential(credential: string): Promise<boolean> {
    const parts = parse(this.#prefix, credential)
    if (!parts) return false
    return (await mayEnd(this.#records, parts)) && (await this.revoke(parts.id))
  }

  /**
   * Revokes every token that carries the labels and was issued before now.
   *
   * @returns the ids of those that were alive and were ended by this call.
   * @throws {NotSupported} when the store's listings may miss tokens.
   */
  async revokeAll(filter: TokenFilter): Promise<readonly string[]> {
    const labels = filterLabels(filter)
    if (labels.length === 0) throw new InvalidOption('say whose tokens to revoke: a user or labels')
    return await revokeByLabels(this.#records, labels, {
      end: (id) => finishTree(this.#records, id, 'revoked'),
    })
  }

  /**
   * The revocation list: tokens that were revoked and would not have expired yet, for those who check tokens
   * without asking. The list is complete; `since` may bring a few that were revoked up to an hour before.
   *
   * @param options.since Milliseconds since 1970 UTC.
   */
  async revocations(
    options: { readonly since?: number; readonly after?: Cursor; readonly limit?: number } = {},
  ): Promise<{ readonly revocations: readonly Revocation[]; readonly next?: Cursor }> {
    return await this.#revocations.page(options)
  }

  #expiry({ expiresIn, expiresAt }: IssueOptions, now: number): Instant {
    if (expiresIn !== undefined && expiresAt !== undefined) {
      throw new InvalidOption('give expiresIn or expiresAt, not both')
    }
    if (expiresIn === 'never') return never
    const expiry = expiresAt ?? now + milliseconds(expiresIn ?? this.#lifetime, 'expiresIn')
    if (!Number.isSafeInteger(expiry) || expiry <= now)
      throw new InvalidExpiry('a token must expire in the future')
    return expiry
  }

  /** Its revocation was interrupted half way: whoever meets it finishes it. It is refused whether or not that works. */
  async #finish(id: string): Promise<void> {
    try {
      await finishTree(this.#records, id, 'revoked')
    } catch (cause) {
      this.#onEvent({
        type: 'finish-failed',
        collection: this.#records.collection,
        id,
        cause: cause as Error,
      })
    }
  }

  async #isStruck(entry: Entry): Promise<boolean> {
    return await this.#records.marks.strikes(entry)
  }

  async #freeName(id: string, { user, data }: Living): Promise<void> {
    if (user === undefined || typeof data['name'] !== 'string') return
    await freeNameOf(this.#records, { owner: user, name: data['name'] }, id)
  }
}

function tokenOf({ record, envelope }: Entry): Token {
  const { scopes, name } = envelope.data
  const token = {
    id: record.key.id,
    user: envelope.user ?? '',
    scopes: Array.isArray(scopes) ? scopes.filter(isText) : [],
    labels: record.labels,
    createdAt: envelope.createdAt,
    expiresAt: Math.min(record.expiresAt, envelope.absolute),
  }
  return typeof name === 'string' ? { ...token, name } : token
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** A scope is one word of printable ASCII without quotes and backslashes (RFC 6749, 3.3). */
const scopeForm = /^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/

function checkedScopes(scopes: readonly string[]): readonly string[] {
  for (const each of scopes) {
    if (!scopeForm.test(each)) {
      throw new InvalidOption(`a scope is one word of printable ASCII, not ${JSON.stringify(each)}`)
    }
  }
  return [...new Set(scopes)]
}

function checkedName(name: string): string {
  if (name.length === 0 || name.length > 200)
    throw new InvalidOption('the name of a token has 1 to 200 characters')
  return name
}
