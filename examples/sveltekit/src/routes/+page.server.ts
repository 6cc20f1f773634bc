import { redirect } from '@sveltejs/kit'
import type { Actions, PageServerLoad } from './$types'

export const load: PageServerLoad = ({ locals }) => ({
  user: locals.session.user ?? null,
  basket: locals.session.keys(),
})

/** What they do to the session is stored before the browser is redirected. */
export const actions: Actions = {
  async login({ locals, request }) {
    // A real application calls `sessions.begin` first, checks the password, and hands on what `begin` answered.
    const form = await request.formData()
    await locals.session.login(String(form.get('user')))
    redirect(303, '/')
  },

  async add({ locals, request }) {
    const form = await request.formData()
    locals.session.set(String(form.get('fruit')), 1)
    redirect(303, '/')
  },

  async logout({ locals }) {
    await locals.session.destroy()
    redirect(303, '/')
  },
}
