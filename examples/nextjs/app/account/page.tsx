import { cookies } from 'next/headers'
import { session } from '../session'

/** Shown to nobody who is not logged in: see `proxy.ts`. */
export default async function Account() {
  const { user, authenticatedAt } = await session.readSession(await cookies())
  return (
    <main>
      <h1>{user}</h1>
      <p>logged in at {new Date(authenticatedAt ?? 0).toISOString()}</p>
    </main>
  )
}
