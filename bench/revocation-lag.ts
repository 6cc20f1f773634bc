/**
 * `revocation-lag`: how long it takes from the beginning of a revocation until other processes refuse the token. Four
 * processes verify the same tokens over and over, each through a memory of its own over the same store, while this one
 * revokes them one after the other. All times are read on one clock, which the processes of a machine share; a refusal
 * is noted when the call that refuses has ended. An acceptance by a call that began after the revocation was
 * acknowledged would be an error, and ends the benchmark.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openStore, processMemory, tiered, Tokens } from 'holdfast'
import { type Backend, cleared, freshNamespace, sayFailed, sayLeft, shortened } from './backends.ts'
import { type Finding, median, quantile, type Series, type Settings } from './measure.ts'
import type { Order, Sighting } from './revocation-lag-process.ts'

const program = fileURLToPath(new URL('./revocation-lag-process.ts', import.meta.url))
const readers = 4
const revocations = 400
/** How many tokens are verified at a time: each of them often, on few cores. */
const together = 8
/** Milliseconds until all readers hold the tokens in memory and their feeds run: more than the bound. */
const warmUp = 400
/** Milliseconds between the beginnings of two revocations. Drawn, so that they meet every moment of whatever is periodic. */
const shortestPause = 25
const longestPause = 75
/** Milliseconds for which refusals are still waited for after an acknowledgement, which there should be no need of. */
const patience = 100

/** One revocation as one reader saw it, in milliseconds. */
interface Lag {
  /** From its beginning to the first refusal. */
  readonly fromStart: number
  /** From its acknowledgement to the first refusal: below 0, that was there before. */
  readonly fromAcknowledged: number
  /** From its beginning to its acknowledgement. */
  readonly untilAcknowledged: number
}

/** What was seen of all revocations by all readers. */
interface Seen {
  readonly lags: readonly Lag[]
  readonly sightings: readonly Sighting[]
}

export const revocationLag: Series = async function* (settings) {
  for (const backend of settings.backends) {
    try {
      yield* lagOver(backend, settings)
    } catch (error) {
      sayFailed(backend, error)
    }
  }
}

async function* lagOver(backend: Backend, { scale }: Settings): AsyncGenerator<Finding> {
  const place = { url: backend.url(), namespace: freshNamespace() }
  const store = tiered(processMemory(), await openStore(place.url, { namespace: place.namespace }))
  const crew: Reader[] = []
  try {
    const { description, capabilities } = await store.open()
    // What can't list is a cache, and nobody's truth; what isn't shared has no other processes.
    if (capabilities.listing !== 'complete' || !capabilities.shared) return
    for (let i = 0; i < readers; i++) crew.push(new Reader())
    for (const reader of crew) await reader.ask({ do: 'open', ...place })
    const rounds = Math.max(2, Math.round((revocations * scale) / together))
    const seen = await revokedInRounds(new Tokens(store), crew, rounds)
    const over = shortened(description).replace(/^.* over /, '')
    yield* findingsOf(backend.name, noteOf(over, capabilities.watch, seen), seen.lags)
    for (const reader of crew) await reader.ask({ do: 'close' })
  } finally {
    for (const reader of crew) await reader.end()
    if (backend.isNetwork) await cleared(store).catch(sayLeft)
    await store.close()
  }
}

function* findingsOf(name: string, note: string, lags: readonly Lag[]): Generator<Finding> {
  const fromStart = lags.map((lag) => lag.fromStart)
  const latest = lags.reduce((most, lag) => Math.max(most, lag.fromAcknowledged), -Infinity)
  const figures = {
    median: median(fromStart),
    '99th percentile': quantile(fromStart, 0.99),
    acknowledged: median(lags.map((lag) => lag.untilAcknowledged)),
    'latest from the acknowledgement': latest,
  }
  for (const [of, ours] of Object.entries(figures)) {
    yield { of: `${name} ${of}`, ours, theirs: null, ratio: null, unit: 'ms', note }
  }
}

function noteOf(over: string, hasFeed: boolean, { lags, sightings }: Seen): string {
  const every = median(sightings.map((sighting) => sighting.every))
  const hits = sightings.reduce((sum, sighting) => sum + sighting.hits, 0)
  // A lag through a memory that answers nothing would be a lag of nothing.
  if (hits === 0) throw new Error('the memory answered nothing')
  return [
    `${over}, ${hasFeed ? 'with its feed' : 'without a feed'}`,
    `${lags.length / readers} revocations as ${readers} other processes see them`,
    `each verifying a token every ${every.toFixed(1)} ms`,
    'none accepted in a call that began after the acknowledgement',
  ].join(', ')
}

async function revokedInRounds(tokens: Tokens, crew: readonly Reader[], rounds: number): Promise<Seen> {
  const lags: Lag[] = []
  const sightings: Sighting[] = []
  for (let round = 0; round < rounds; round++) {
    const seen = await oneRound(tokens, crew)
    lags.push(...seen.lags)
    sightings.push(...seen.sightings)
  }
  return { lags, sightings }
}

/** Some tokens, verified by all readers while they are revoked. */
async function oneRound(tokens: Tokens, crew: readonly Reader[]): Promise<Seen> {
  const issued = await Promise.all(Array.from({ length: together }, () => tokens.issue({ user: 'ada' })))
  const credentials = issued.map(({ credential }) => credential)
  for (const reader of crew) await reader.ask({ do: 'verify', credentials })
  await delay(warmUp)
  let beginning = 0
  const revoking = issued.map(({ token }) => {
    beginning += shortestPause + Math.random() * (longestPause - shortestPause)
    return delay(beginning).then(() => revoked(tokens, token.id))
  })
  const revocations = await Promise.all(revoking)
  await delay(patience)
  const sightings = await Promise.all(crew.map((reader) => reader.told()))
  return { lags: sightings.flatMap((sighting) => lagsOf(revocations, sighting)), sightings }
}

interface Revocation {
  readonly began: number
  readonly acknowledged: number
}

async function revoked(tokens: Tokens, id: string): Promise<Revocation> {
  const began = now()
  // Not asked whether it was alive: a reader that meets it half ended may be the one who ends it.
  await tokens.revoke(id)
  return { began, acknowledged: now() }
}

function lagsOf(revocations: readonly Revocation[], { accepted, refused }: Sighting): readonly Lag[] {
  return revocations.map(({ began, acknowledged }, i) => {
    const acceptedAt = accepted[i] ?? null
    const refusedAt = refused[i] ?? null
    if (acceptedAt === null) throw new Error('a token was never accepted')
    if (refusedAt === null) throw new Error('a revoked token was never refused')
    if (refusedAt < began) throw new Error('a token was refused before it was revoked')
    if (acceptedAt >= acknowledged) {
      const late = (acceptedAt - acknowledged).toFixed(1)
      throw new Error(`a token was accepted ${late} ms after its revocation was acknowledged`)
    }
    return {
      fromStart: refusedAt - began,
      fromAcknowledged: refusedAt - acknowledged,
      untilAcknowledged: acknowledged - began,
    }
  })
}

/** The machine's monotonic clock, of which all its processes see the same. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Another process that verifies. */
class Reader {
  readonly #process: ChildProcess

  constructor() {
    this.#process = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  }

  async ask(order: Order): Promise<unknown> {
    const child = this.#process
    const over = new AbortController()
    const answer = once(child, 'message', { signal: over.signal })
    const exit = once(child, 'exit', { signal: over.signal }).then(() => {
      throw new Error('a process that verifies has ended')
    })
    try {
      child.send(order)
      const [message] = (await Promise.race([answer, exit])) as unknown[]
      return message
    } finally {
      over.abort()
    }
  }

  async told(): Promise<Sighting> {
    return (await this.ask({ do: 'tell' })) as Sighting
  }

  async end(): Promise<void> {
    const child = this.#process
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.disconnect()
    await exited
  }
}
