import { openStore, Sessions } from 'holdfast'
import { nextSessions } from 'holdfast/next'

/** What a session keeps: how many of each fruit are in the basket. */
export type Basket = Record<string, number>

// Next.js loads this module several times: for pages, for route handlers, and for the proxy.
const kept = globalThis as { store?: ReturnType<typeof openStore> }
kept.store ??= openStore(process.env['STORE'] ?? 'memory:')

export const sessions = new Sessions<Basket>(await kept.store)
export const session = nextSessions(sessions)
