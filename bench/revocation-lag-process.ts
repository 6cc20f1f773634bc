/**
 * One of the processes of `revocation-lag`: it verifies tokens over and over through a memory of its own, and notes when
 * it last accepted and first refused each. It ends with the process that started it.
 */

import { openStore, processMemory, type Store, tiered, Tokens } from 'holdfast'

/** What to do; each order is answered once. */
export type Order =
  | { readonly do: 'open'; readonly url: string; readonly namespace: string }
  /** Begins to verify these over and over. */
  | { readonly do: 'verify'; readonly credentials: readonly string[] }
  /** Ends that, and answers with what was seen. */
  | { readonly do: 'tell' }
  | { readonly do: 'close' }

/** What a process has seen. Times are milliseconds on the clock that all processes of the machine share. */
export interface Sighting {
  /** Of each token, when the last call began that accepted it; `null` where none did. */
  readonly accepted: readonly (number | null)[]
  /** Of each token, when the first call ended that refused it; `null` where none did. */
  readonly refused: readonly (number | null)[]
  /** How many verifications there were, and milliseconds between two of one token, on average. */
  readonly calls: number
  readonly every: number
  /** Of how many of its look-ups the memory had the answer. */
  readonly hits: number
}

interface Watching {
  readonly accepted: (number | null)[]
  readonly refused: (number | null)[]
  readonly began: number
  readonly hitsBefore: number
  calls: number
  isOver: boolean
}

/** Milliseconds between two verifications of one token. */
const pause = 1

let store: Store | undefined
let watching: { readonly seen: Watching; readonly lanes: Promise<unknown> } | undefined

process.on('message', (order: Order) => {
  void obeyed(order).then((answer) => process.send?.(answer))
})
process.on('disconnect', () => process.exit(0))

async function obeyed(order: Order): Promise<Sighting | 'done'> {
  switch (order.do) {
    case 'open':
      store = tiered(processMemory(), await openStore(order.url, { namespace: order.namespace }))
      await store.open()
      return 'done'
    case 'verify':
      watching = verifying(opened(), order.credentials)
      return 'done'
    case 'tell':
      return await told()
    case 'close':
      await opened().close()
      return 'done'
  }
}

function opened(): Store {
  if (!store) throw new Error('no store is open')
  return store
}

/** The machine's monotonic clock, of which all its processes see the same. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

function hitsOf(of: Store): number {
  return of.figures().tiers?.[0]?.hits ?? 0
}

function verifying(of: Store, credentials: readonly string[]): NonNullable<typeof watching> {
  const tokens = new Tokens(of)
  const seen: Watching = {
    accepted: credentials.map(() => null),
    refused: credentials.map(() => null),
    began: now(),
    hitsBefore: hitsOf(of),
    calls: 0,
    isOver: false,
  }
  const lanes = credentials.map(async (credential, i) => {
    while (!seen.isOver) {
      const began = now()
      seen.calls++
      if (await tokens.verify(credential)) seen.accepted[i] = began
      else seen.refused[i] ??= now()
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  })
  return { seen, lanes: Promise.all(lanes) }
}

async function told(): Promise<Sighting> {
  if (!watching) throw new Error('nothing is verified')
  const { seen, lanes } = watching
  seen.isOver = true
  await lanes
  const { accepted, refused, calls } = seen
  const every = ((now() - seen.began) * accepted.length) / calls
  return { accepted, refused, calls, every, hits: hitsOf(opened()) - seen.hitsBefore }
}
