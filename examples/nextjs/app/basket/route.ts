import { session } from '../session'

export const POST = session.withSession(async (request, visit) => {
  const form = await request.formData()
  visit.set(String(form.get('fruit')), 1)
  // Relative: behind a proxy, `request.url` is not what the browser asked for.
  return new Response(null, { status: 303, headers: { location: '/' } })
})
