import { session, sessions } from '../session'

/** For programs, which call no server actions. */
export const POST = session.withSession(async (request, visit) => {
  const form = await request.formData()
  await visit.login(await sessions.begin({ user: String(form.get('user')) }))
  // Relative: behind a proxy, `request.url` is not what the browser asked for.
  return new Response(null, { status: 303, headers: { location: '/' } })
})
