import { openStore, Sessions } from 'holdfast'
import { svelteKitSession } from 'holdfast/sveltekit'

const store = await openStore(process.env['STORE'] ?? 'memory:')

export const handle = svelteKitSession(new Sessions<Record<string, number>>(store))

process.once('sveltekit:shutdown', () => void store.close())
