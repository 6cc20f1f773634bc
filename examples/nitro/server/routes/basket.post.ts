import { defineHandler } from 'nitro'
import { redirect } from 'nitro/h3'

export default defineHandler(async ({ req, context: { session } }) => {
  const form = await req.formData()
  session.set(String(form.get('fruit')), 1)
  return redirect('/', 303)
})
