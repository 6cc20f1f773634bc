import { redirect } from 'next/navigation'
import { session } from '../session'

/** For a link in a newsletter: what is put into the basket is stored before the browser is redirected. */
export const GET = session.withSession((_request, visit) => {
  visit.set('mango', 1)
  redirect('/')
})
