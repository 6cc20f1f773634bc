/**
 * One of several processes over one store with tiers. `check` begins to verify tokens over and over; `report` tells when
 * each was last accepted: the moment at which the call that accepted it began, on the clock that all processes share.
 */

import { createInterface } from 'node:readline'
import { HoldfastError } from '../../../../packages/holdfast/src/errors.ts'
import { openStore } from '../../../../packages/holdfast/src/store/open.ts'
import type { Store } from '../../../../packages/holdfast/src/store/store.ts'
import { Tokens } from '../../../../packages/holdfast/src/tokens/tokens.ts'

/** What to do. */
export type Order =
  | { readonly do: 'open'; readonly url: string; readonly namespace: string }
  | { readonly do: 'issue'; readonly count: number }
  | { readonly do: 'revoke'; readonly id: string }
  | { readonly do: 'check'; readonly credentials: readonly string[] }
  | { readonly do: 'report' }
  | { readonly do: 'close' }

/** What a process has seen. Times are milliseconds. */
export interface Report {
  /** Of each token, when the last call began that accepted it. */
  readonly accepted: readonly number[]
  readonly calls: number
  /** Codes of errors, and how often. */
  readonly errors: Readonly<Record<string, number>>
  /** How many readings the memory of this process answered. */
  readonly hits: number
}

interface Checking {
  readonly accepted: number[]
  calls: number
  readonly errors: Record<string, number>
  isOver: boolean
  readonly ended: Promise<void>
}

let open: { readonly store: Store; readonly tokens: Tokens } | undefined
let checking: Checking | undefined

process.stdout.write('"ready"\n')
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await done(JSON.parse(line) as Order))}\n`)
}

async function done(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'open': {
      const store = await openStore(order.url, { namespace: order.namespace })
      open = { store, tokens: new Tokens(store) }
      return 'open'
    }
    case 'issue':
      return await Promise.all(
        Array.from({ length: order.count }, () => opened().tokens.issue({ user: 'ada' })),
      )
    case 'revoke': {
      await opened().tokens.revoke(order.id)
      return now()
    }
    case 'check':
      checking = checked(order.credentials)
      return 'checking'
    case 'report':
      return await reported()
    case 'close':
      await opened().store.close()
      return 'closed'
  }
}

function opened(): NonNullable<typeof open> {
  if (!open) throw new Error('no store is open')
  return open
}

/** The clock that all processes of a machine share. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

function checked(credentials: readonly string[]): Checking {
  const { tokens } = opened()
  const mine: Checking = {
    accepted: credentials.map(() => 0),
    calls: 0,
    errors: {},
    isOver: false,
    ended: Promise.resolve(),
  }
  const check = async (credential: string, i: number, pause: () => number): Promise<void> => {
    while (!mine.isOver) {
      const began = now()
      mine.calls++
      try {
        if (await tokens.verify(credential)) mine.accepted[i] = Math.max(mine.accepted[i]!, began)
      } catch (error) {
        const code = error instanceof HoldfastError ? error.code : String(error)
        mine.errors[code] = (mine.errors[code] ?? 0) + 1
      }
      await new Promise((resolve) => setTimeout(resolve, pause()))
    }
  }
  // The other one comes when it likes, also in the middle of a reading that the first is waiting for.
  const checks = credentials.flatMap((credential, i) => [
    check(credential, i, () => 2),
    check(credential, i, () => 600 * Math.random()),
  ])
  return Object.assign(mine, { ended: Promise.all(checks).then(() => undefined) })
}

async function reported(): Promise<Report> {
  if (!checking) throw new Error('nothing is checked')
  checking.isOver = true
  await checking.ended
  const { accepted, calls, errors } = checking
  const [top] = opened().store.figures().tiers ?? []
  return { accepted, calls, errors, hits: top?.hits ?? 0 }
}
