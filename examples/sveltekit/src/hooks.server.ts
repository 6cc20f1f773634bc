import { redirect } from '@sveltejs/kit'
import { sequence } from '@sveltejs/kit/hooks'
import { openStore, Sessions } from 'holdfast'
import { svelteKitSession } from 'holdfast/sveltekit'

const store = await openStore(process.env['STORE'] ?? 'memory:')

export const handle = sequence(
  svelteKitSession(new Sessions<Record<string, number>>(store)),
  ({ event, resolve }) => {
    if (event.url.pathname !== '/gift') return resolve(event)
    // A link in a newsletter: what is put into the basket is stored before the browser is redirected.
    event.locals.session.set('mango', 1)
    redirect(303, '/')
  },
)

process.once('sveltekit:shutdown', () => void store.close())
