'use server'

import { cookies } from 'next/headers'
import { redirect } from 'next/navigation'
import { session, sessions } from './session'

/** What it does to the session is stored before the browser is redirected. */
export async function login(form: FormData): Promise<void> {
  await session.actOnSession(await cookies(), async (visit) => {
    const begun = await sessions.begin({ user: String(form.get('user')) })
    // A real application checks the password here: who was revoked meanwhile isn't logged in.
    await visit.login(begun)
    redirect('/')
  })
}

export async function logout(): Promise<void> {
  await session.actOnSession(await cookies(), async (visit) => {
    await visit.destroy()
    redirect('/')
  })
}
