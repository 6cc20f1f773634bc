import { cookies } from 'next/headers'
import { login, logout } from './actions'
import { session } from './session'

/** A server component reads the session, and can't change it. */
export default async function Page() {
  const visit = await session.readSession(await cookies())
  return (
    <main>
      <h1>{visit.user ?? 'stranger'}</h1>
      <ul>
        {visit.keys().map((fruit) => (
          <li key={fruit}>{fruit}</li>
        ))}
      </ul>
      <form action="/basket" method="post">
        <input name="fruit" required />
        <button>Put into the basket</button>
      </form>
      {visit.user === undefined ? (
        <form action={login}>
          <input name="user" required />
          <button>Log in</button>
        </form>
      ) : (
        <form action={logout}>
          <button>Log out</button>
        </form>
      )}
    </main>
  )
}
