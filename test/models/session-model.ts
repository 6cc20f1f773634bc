/**
 * What sessions promise, as simply as it can be said, and the real ones beside it. Each step is done by both; then
 * what the real ones say, what the store holds and what the model expects must be the same. After a step in which a
 * fault came, the store must hold what was there before or what the step would have made of it, and nothing else.
 */

import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { digestOf } from '../../packages/holdfast/src/credentials/digest.ts'
import { HoldfastError } from '../../packages/holdfast/src/errors.ts'
import type { Living } from '../../packages/holdfast/src/records/envelope.ts'
import type { Session } from '../../packages/holdfast/src/sessions/session.ts'
import type { Login } from '../../packages/holdfast/src/sessions/login.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import type { Driver } from '../../packages/holdfast/src/store/contract.ts'
import { FaultyWorld, type PlannedFault, type WorldOptions } from './faulty-world.ts'
import {
  applied,
  cycled,
  deleted,
  endedBy,
  outcomeOf,
  expiryOf,
  garbage,
  type Held,
  isAlive,
  isClean,
  type Known,
  loggedIn,
  newSecret,
  open,
  prolonged,
  mayOpen,
  type Outcome,
  push,
  refreshed,
  restsFor,
  rotated,
  saved,
  type Secret,
  secretOf,
  settings,
  used,
} from './session-model/known.ts'
import type { Step } from './session-model/steps.ts'

const users = ['ada', 'bob'] as const
const keys = ['a', 'b', 'n'] as const

export class SessionModel {
  readonly world: FaultyWorld
  readonly #processes: readonly Sessions[]
  readonly #truth: Sessions
  readonly #known: Known[] = []
  readonly #held: Held[] = []
  readonly #logins: { readonly login: Login; readonly begun: number }[] = []
  readonly #revocations: { readonly user: string; readonly except?: string }[] = []

  /**
   * An end that is earlier than the usual one. Not where a request may be delivered late: a creation that is delayed
   * for longer than its session was shortened to finds its key free again.
   */
  #shorter = 50_000

  constructor(driver: Driver, options: WorldOptions = {}) {
    this.world = new FaultyWorld(driver, options)
    this.#truth = new Sessions(this.world.truth, settings)
    this.#processes = [0, 1].map(() => new Sessions(this.world.store(), settings))
  }

  /** Does a step, and throws where the promise is broken. */
  async take(step: Step): Promise<void> {
    await this.world.open()
    if (step.fault?.fault === 'late') this.#shorter = 150_000
    await this.#take(step)
    for (const known of this.#known) await this.#compare(known)
    for (const { session, base, changes, cleared } of this.#held) {
      assert.deepEqual(session.data, applied(cleared ? {} : base, changes), 'what a request sees')
    }
  }

  get #now(): number {
    return this.world.clock.now()
  }

  async #take({ kind, which, how, fault }: Step): Promise<void> {
    const sessions = this.#processes[how % 2]!
    const held = pick(this.#held, which)
    const name = keys[how % keys.length]!
    switch (kind) {
      case 'start': {
        await this.#start(sessions, which, how, fault)
        return
      }
      case 'load': {
        await this.#load(sessions, which, how, fault)
        return
      }
      case 'set':
        held?.session.set(name, how)
        held?.changes.set(name, how)
        held?.inside.delete(name)
        return
      case 'push': {
        if (held) push(held, how)
        return
      }
      case 'set an expiry': {
        if (!held) return
        held.expiry = [this.#shorter, 200_000, 0, null][which % 4]!
        held.session.setExpiry(held.expiry)
        return
      }
      case 'refresh': {
        if (!held?.known) return
        const age = [undefined, this.#shorter, 300_000, 0][how % 4]
        await this.#change(
          held,
          fault,
          (session) => session.refresh(age),
          (known, h) => refreshed(known, h, age, this.#now),
          age === 0 ? 'ends' : undefined,
        )
        return
      }
      case 'step up': {
        if (!held?.known || held.session.user === undefined) return
        await this.#change(
          held,
          fault,
          (session) => session.stepUp('otp'),
          (known, h) => cycled(known, h, this.#now),
        )
        return
      }
      case 'delete': {
        if (!held) return
        const counts = held.session.has(name) || held.changes.has(name)
        held.session.delete(name)
        if (counts) held.changes.set(name, deleted)
        held.inside.delete(name)
        return
      }
      case 'clear':
        if (!held) return
        held.session.clear()
        held.cleared = true
        held.changes.clear()
        held.inside.clear()
        return
      case 'save': {
        await this.#change(
          held,
          fault,
          (session) => session.save(),
          (known, h) => saved(known, h, this.#now),
          'saves',
        )
        return
      }
      case 'update':
        if (held?.known) await this.#update(held, fault)
        return
      case 'rotate':
        if (!held?.known) return
        {
          await this.#change(
            held,
            fault,
            (session) => session.rotate(),
            (known, h) => rotated(known, h, this.#now),
          )
          return
        }
      case 'cycle':
        if (!held?.known) return
        {
          await this.#change(
            held,
            fault,
            (session) => session.cycleKey(),
            (known, h) => cycled(known, h, this.#now),
          )
          return
        }
      case 'begin': {
        const login = await sessions.begin({ user: users[which % 2]! })
        this.#logins.push({ login, begun: this.#revocations.length })
        return
      }
      case 'login': {
        const begun = pick(this.#logins, how)
        if (held?.known && begun) await this.#login(held, begun.login.user, begun.begun, fault, begun.login)
        return
      }
      case 'login at once':
        if (held?.known) await this.#login(held, users[how % 2]!, this.#revocations.length, fault)
        return
      case 'destroy': {
        await this.#destroy(held, fault)
        return
      }
      case 'destroy by id': {
        await this.#end(pick(this.#known, which), fault, (known) => sessions.destroy(known.id))
        return
      }
      case 'log out': {
        await this.#logOut(sessions, which, how, fault)
        return
      }
      case 'revoke': {
        await this.#revoke(sessions, users[which % 2]!, undefined, fault)
        return
      }
      case 'revoke others': {
        await this.#revoke(sessions, users[which % 2]!, pick(this.#known, how)?.id, fault)
        return
      }
      case 'list': {
        await this.#list(sessions, users[which % 2]!)
        return
      }
      case 'wait':
        this.world.clock.advance([1, 5_000, 9_999, 10_000, 20_000, 60_000, 110_000][which % 7]!)
        return
      case 'wait until': {
        const boundary = pick(this.#known, which)?.expiresAt ?? this.#now
        this.world.clock.advance(Math.max(0, boundary - (how % 2) - this.#now))
        return
      }
      case 'sweep':
        await this.world.truth.sweep()
        return
      case 'deliver late':
        await this.world.driver.deliverLate()
    }
  }

  // ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────

  async #start(
    sessions: Sessions,
    which: number,
    how: number,
    fault: PlannedFault | undefined,
  ): Promise<void> {
    const user = [undefined, ...users][which % 3]
    const data = how % 2 === 0 ? {} : { a: how }
    const session = await this.#tried(fault, () =>
      sessions.start({ data, ...(user === undefined ? {} : { user }) }),
    )
    // What nobody was told of may be there or not; nobody has its secret.
    if (typeof session === 'string') return
    assert.ok(session.id && session.credential && session.expiresAt)
    const absolute = this.#now + settings.absolute
    const known: Known = {
      id: session.id,
      alive: true,
      user,
      data,
      absolute,
      expiry: undefined,
      until: 0,
      touchedAt: this.#now,
      expiresAt: expiryOf({ expiry: undefined, until: 0, absolute }, this.#now),
      secrets: [{ credential: session.credential, ends: Infinity, opened: true }],
      begun: this.#revocations.length,
    }
    this.#known.push(known)
    this.#hold(session, known)
  }

  async #load(
    sessions: Sessions,
    which: number,
    how: number,
    fault: PlannedFault | undefined,
  ): Promise<void> {
    const { known, secret, credential } = this.#credential(which, how)
    const opens = known !== undefined && secret !== undefined && mayOpen(known, secret, this.#now)
    const session = await this.#tried(fault, () => sessions.load(credential))
    if (opens) {
      const before = structuredClone(known)
      if (secret === known.secrets[0] && known.secrets.some(({ opened }) => !opened)) open(known, this.#now)
      else prolonged(known, this.#now)
      if (this.world.struck) await this.#adopt(known, before)
    }
    if (typeof session === 'string') return
    assert.equal(session.isNew, !opens, opens ? 'a live session was lost' : 'it must not open')
    const presented = known && secret && { known, secret }
    if (!opens) {
      this.#hold(session, undefined, presented)
      return
    }
    assert.equal(session.id, known.id, 'a credential opens its own session only')
    assert.equal(session.user, known.user)
    known.secrets[0]!.credential ??= session.credential!
    assert.equal(session.credential, known.secrets[0]!.credential)
    this.#hold(session, known, presented)
  }

  /** Does what stores the changes of an object, and what the model makes of it. */
  async #change(
    held: Held | undefined,
    fault: PlannedFault | undefined,
    real: (session: Session) => Promise<unknown>,
    model: (known: Known, held: Held) => void,
    kind?: 'saves' | 'ends',
  ): Promise<void> {
    if (!held) return
    if (!held.known) {
      await this.#create(held, fault)
      return
    }
    const { known } = held
    const hasNothing = kind === 'saves' && isClean(held)
    const expected = hasNothing ? 'done' : outcomeOf(held, this.#now, kind === 'ends')
    const before = structuredClone(known)
    const outcome = await this.#tried(fault, () => real(held.session))
    if (expected === 'done') model(known, held)
    if (typeof outcome !== 'string') {
      assert.equal('done', expected, 'it was told that it is stored')
      await this.#overtaken(known, held)
      if (!hasNothing) this.#stored(held)
      return
    }
    if (!this.world.struck) assert.equal(outcome, expected)
    await this.#adopt(known, before)
  }

  /** Somebody else prolonged it since this object read it, so it may prolong again, a little early. */
  async #overtaken(known: Known, { touchedAt }: Held): Promise<void> {
    const now = this.#now
    if (known.touchedAt === now || touchedAt === known.touchedAt) return
    if (now - touchedAt < restsFor(known)) return
    if ((await this.#living(known.id))?.touchedAt === now) used(known, now)
  }

  async #create(held: Held, fault: PlannedFault | undefined): Promise<void> {
    const data = applied({}, held.changes)
    if (Object.keys(data).length === 0) {
      await held.session.save()
      assert.equal(held.session.isNew, true)
      held.changes.clear()
      held.inside.clear()
      held.cleared = false
      return
    }
    const outcome = await this.#tried(fault, () => held.session.save())
    if (typeof outcome === 'string') return
    const absolute = this.#now + settings.absolute
    held.known = {
      id: held.session.id!,
      alive: true,
      user: undefined,
      data,
      absolute,
      expiry: held.expiry ?? undefined,
      until: 0,
      touchedAt: this.#now,
      expiresAt: expiryOf({ expiry: held.expiry ?? undefined, until: 0, absolute }, this.#now),
      begun: this.#revocations.length,
      secrets: [{ credential: held.session.credential!, ends: Infinity, opened: true }],
    }
    this.#known.push(held.known)
    this.#stored(held)
  }

  async #update(held: Held, fault: PlannedFault | undefined): Promise<void> {
    // First the unsaved changes, as a step of its own: what fails there fails the update.
    if (!isClean(held))
      await this.#change(
        held,
        undefined,
        (session) => session.save(),
        (known, h) => saved(known, h, this.#now),
        'saves',
      )
    if (!isClean(held)) return
    const count = (data: Record<string, unknown>): number => (data['n'] = Number(data['n'] ?? 0) + 1)
    await this.#change(
      held,
      fault,
      (session) => session.update((data) => count(data)),
      (known) => {
        known.data = { ...known.data }
        count(known.data)
        prolonged(known, this.#now)
      },
    )
  }

  async #login(
    held: Held,
    user: string,
    begun: number,
    fault: PlannedFault | undefined,
    login?: Login,
  ): Promise<void> {
    const known = held.known!
    const { user: former } = held.session
    const isAnother = former !== undefined && former !== user
    let expected: Outcome = outcomeOf(held, this.#now, isAnother)
    const tooOld = login !== undefined && this.#now - login.at > 3_600_000
    const late = expected === 'done' && this.#isStruck({ ...known, user, begun })
    const before = structuredClone(known)
    const outcome = await this.#tried(fault, () => held.session.login(login ?? user))
    if (tooOld) expected = 'HOLDFAST_REVOKED_MEANWHILE'
    else if (expected === 'done') {
      newSecret(known, held.session.credential)
      for (const each of known.secrets.slice(1)) {
        Object.assign(each, { ends: Math.min(each.ends, this.#now), opened: true })
      }
      loggedIn(known, held, user, this.#now)
      known.begun = begun
      if (late) known.alive = false
      if (late) expected = 'HOLDFAST_REVOKED_MEANWHILE'
    }
    if (typeof outcome !== 'string') {
      assert.equal('done', expected)
      this.#stored(held)
      return
    }
    if (!this.world.struck) assert.equal(outcome, expected)
    const isKept = !held.session.isNew && held.session.credential !== held.credential
    if (held.session.isNew) this.#forgotten(held)
    // It was stored, and could not be looked at again: nobody goes on with the object, for a mark may have struck it.
    if (isKept) this.#held.splice(this.#held.indexOf(held), 1)
    await this.#adopt(known, before)
  }

  async #destroy(held: Held | undefined, fault: PlannedFault | undefined): Promise<void> {
    if (!held) return
    const { known = endedBy(held) } = held
    const outcome = await this.#tried(fault, () => held.session.destroy())
    if (typeof outcome === 'string') {
      if (known) await this.#adoptEnd(known)
      return
    }
    if (known) known.alive = false
    this.#forgotten(held)
  }

  async #end(
    known: Known | undefined,
    fault: PlannedFault | undefined,
    real: (known: Known) => Promise<boolean>,
  ): Promise<void> {
    if (!known) return
    const alive = isAlive(known, this.#now)
    // Struck by a mark, and not buried because whoever should have done it was told of a failure.
    const struck = !known.alive && (await this.#living(known.id)) !== undefined
    const outcome = await this.#tried(fault, () => real(known))
    if (typeof outcome === 'string') {
      await this.#adoptEnd(known)
      return
    }
    if (!this.world.struck && !struck) assert.equal(outcome, alive)
    known.alive = false
  }

  async #logOut(
    sessions: Sessions,
    which: number,
    how: number,
    fault: PlannedFault | undefined,
  ): Promise<void> {
    const { known, secret, credential } = this.#credential(which, how)
    const mayEnd = known !== undefined && secret !== undefined && known.secrets.indexOf(secret) <= 8
    if (mayEnd) {
      await this.#end(known, fault, () => sessions.logout(credential))
      return
    }
    const outcome = await this.#tried(fault, () => sessions.logout(credential))
    if (typeof outcome !== 'string') assert.equal(outcome, false)
  }

  async #revoke(
    sessions: Sessions,
    user: string,
    except: string | undefined,
    fault: PlannedFault | undefined,
  ): Promise<void> {
    const filter = { user, ...(except === undefined ? {} : { except }) }
    const living = this.#known.filter(
      (each) => each.user === user && each.id !== except && isAlive(each, this.#now),
    )
    const count = await this.#tried(fault, () => sessions.revoke(filter))
    // Whoever is told that it failed does it again.
    if (typeof count === 'string') await sessions.revoke(filter)
    else if (!this.world.struck)
      assert.ok(count >= living.length, 'those that nobody was told of may be there as well')
    this.#revocations.push(filter)
    for (const each of this.#known) if (this.#isStruck(each)) each.alive = false
  }

  async #list(sessions: Sessions, user: string): Promise<void> {
    const { sessions: listed } = await sessions.list({ user, limit: 1_000 })
    const ids = new Set(listed.map(({ id }) => id))
    for (const each of this.#known) {
      assert.equal(ids.has(each.id), each.user === user && isAlive(each, this.#now), 'the list')
    }
  }

  // ── what the model keeps of it ────────────────────────────────────────────────────────────────────────────

  #isStruck({ id, user, begun }: Pick<Known, 'id' | 'user' | 'begun'>): boolean {
    return this.#revocations.slice(begun).some((each) => each.user === user && each.except !== id)
  }

  #hold(session: Session, known: Known | undefined, presented?: Held['presented']): void {
    const base = known ? { ...known.data } : {}
    this.#held.push({
      session,
      known,
      credential: session.credential,
      base,
      changes: new Map(),
      inside: new Set(),
      cleared: false,
      expiry: undefined,
      ...(presented ? { presented } : {}),
      ...(presented && presented.secret.credential !== session.credential
        ? { successor: session.credential }
        : {}),
      touchedAt: known?.touchedAt ?? this.#now,
    })
    if (this.#held.length > 6) this.#held.shift()
  }

  #stored(held: Held): void {
    const { data, touchedAt } = held.known!
    const changed = { changes: new Map(), inside: new Set(), cleared: false, expiry: undefined }
    Object.assign(held, { base: structuredClone(data), touchedAt, ...changed })
    held.credential = held.session.credential
  }

  #forgotten(held: Held): void {
    Object.assign(held, {
      known: undefined,
      credential: undefined,
      base: {},
      changes: new Map(),
      inside: new Set(),
      cleared: false,
      expiry: undefined,
    })
  }

  // ── the real ones ─────────────────────────────────────────────────────────────────────────────────────────

  /** What came of it, or the code of its error. */
  async #tried<T>(fault: PlannedFault | undefined, work: () => Promise<T>): Promise<T | string> {
    try {
      return await this.world.under(fault, work)
    } catch (error) {
      if (error instanceof HoldfastError) return error.code
      throw error
    }
  }

  #credential(which: number, how: number): { known?: Known; secret?: Secret; credential: string } {
    const known = pick(this.#known, which)
    if (!known || how % 7 === 6) return { credential: garbage(known) }
    const told = known.secrets.filter(({ credential }) => credential !== undefined)
    const secret = pick(told, how % 3)
    return secret ? { known, secret, credential: secret.credential! } : { credential: garbage(known) }
  }

  async #living(id: string): Promise<{ envelope: Living; expiresAt: number; touchedAt: number } | undefined> {
    const key = { collection: 'sessions', id }
    const record = await this.world.truth.read(key, { expired: true })
    if (!record) return undefined
    const envelope = this.world.truth.codec.decode(key, record.value) as Living | { readonly state: 'dead' }
    return envelope.state === 'dead'
      ? undefined
      : { envelope, expiresAt: record.expiresAt, touchedAt: record.touchedAt }
  }

  /** The store holds what the model has. */
  async #compare(known: Known): Promise<void> {
    const real = await this.#living(known.id)
    const alive = real !== undefined && (await this.#truth.get(known.id)) !== undefined
    assert.equal(alive, isAlive(known, this.#now), alive ? 'it came back, or lives too long' : 'it was lost')
    if (!alive) {
      known.alive = false
      return
    }
    const { data, user, absolute, facts } = real.envelope
    const { expiresAt, touchedAt } = real
    const held = { data, user, absolute, expiresAt, touchedAt, expiry: facts?.['expiry'] }
    const { data: d, user: u, absolute: a, expiresAt: e, touchedAt: t, expiry: x } = known
    assert.deepEqual(held, { data: d, user: u, absolute: a, expiresAt: e, touchedAt: t, expiry: x })
  }

  /** After a fault: the store holds what was before, or what the step made of it. The model goes on from there. */
  async #adopt(known: Known, before: Known): Promise<void> {
    const real = await this.#living(known.id)
    if (!real) {
      await this.#adoptEnd(known)
      return
    }
    const { digest, data, past, facts } = real.envelope
    const opened = before.secrets.some((each) => !each.opened) && past.every((each) => each.opened)
    const current = before.secrets[0]!.credential
    const rotated =
      current === undefined
        ? known.secrets.length > before.secrets.length
        : digest !== digestOf(secretOf(current))
    const happened =
      rotated ||
      opened ||
      !isDeepStrictEqual(data, before.data) ||
      real.touchedAt !== before.touchedAt ||
      facts?.['expiry'] !== before.expiry ||
      (facts?.['until'] ?? 0) !== before.until
    const changed = !isDeepStrictEqual(known, before)
    if (changed && !happened) Object.assign(known, before)
    // The client was not told the new secret, unless the object was.
    const made = known.secrets[0]!
    if (
      happened &&
      rotated &&
      made.credential !== undefined &&
      digestOf(secretOf(made.credential)) !== digest
    ) {
      delete made.credential
    }
    if (happened && known.touchedAt !== real.touchedAt) used(known, this.#now)
  }

  async #adoptEnd(known: Known): Promise<void> {
    if (!(await this.#living(known.id))) known.alive = false
  }
}

function pick<T>(all: readonly T[], which: number): T | undefined {
  return all.length === 0 ? undefined : all[which % all.length]
}
