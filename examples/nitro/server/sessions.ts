import { openStore, type Session, Sessions } from 'holdfast'

/** What a session keeps: how many of each fruit are in the basket. */
export type Basket = Record<string, number>

declare module 'nitro/h3' {
  interface H3EventContext {
    session: Session<Basket>
  }
}

export const store = await openStore(process.env['STORE'] ?? 'memory:')
export const sessions = new Sessions<Basket>(store)
