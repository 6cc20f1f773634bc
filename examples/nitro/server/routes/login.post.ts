import { defineHandler } from 'nitro'
import { redirect } from 'nitro/h3'
import { sessions } from '../sessions.ts'

export default defineHandler(async ({ req, context: { session } }) => {
  const form = await req.formData()
  const begun = await sessions.begin({ user: String(form.get('user')) })
  // A real application checks the password here: who was revoked meanwhile isn't logged in.
  await session.login(begun)
  return redirect('/', 303)
})
