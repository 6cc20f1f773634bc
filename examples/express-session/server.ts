/**
 * An application as it was written for express-session, with Passport, over a file of SQLite. What differs is the
 * import and the store.
 *
 *   PORT=3000 STORE=sqlite:sessions.db SESSION_SECRET=… node server.ts
 */

import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { KeyedSessions, openStore } from 'holdfast'
import session from 'holdfast/express'
import passport from 'passport'
import { Strategy } from 'passport-local'

interface User {
  readonly name: string
  readonly salt: Buffer
  readonly hash: Buffer
}

/** Your database of users, in short. */
const users = new Map(['ada', 'grace'].map((name) => [name, userWith(name, `password of ${name}`)]))

const store = await openStore(process.env['STORE'] ?? 'sqlite:sessions.db')
/** Whose a session is: Passport has put it there. */
const userOf = (data: object): string | undefined => (data as { passport?: { user?: string } }).passport?.user
const sessions = new KeyedSessions(store, { userOf })

passport.use(
  new Strategy((username, password, done) => {
    const user = users.get(username)
    if (user && timingSafeEqual(user.hash, scryptSync(password, user.salt, 32))) done(null, user)
    else done(null, false)
  }),
)
passport.serializeUser((user, done) => {
  done(null, (user as User).name)
})
passport.deserializeUser((name: string, done) => {
  done(null, users.get(name) ?? false)
})

const app = express()
app.use(
  session({
    secret: process.env['SESSION_SECRET'] ?? randomBytes(32),
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 7 * 86_400_000, sameSite: 'lax', secure: 'auto' },
    store: sessions,
  }),
)
app.use(passport.session())

const authenticate = passport.authenticate('local') as express.RequestHandler
app.post('/login', express.urlencoded({ extended: false }), authenticate, (req, res) => {
  res.redirect('/')
})

app.get('/', async (req, res) => {
  const user = req.user as User | undefined
  if (!user) {
    res.status(401).json({ user: null })
    return
  }
  const { sessions: mine } = await sessions.list({ user: user.name })
  res.json({ user: user.name, sessions: mine.length })
})

app.post('/logout', (req, res, next) => {
  req.logout((error: unknown) => {
    if (error) next(error)
    else res.redirect('/')
  })
})

app.post('/logout-everywhere', async (req, res) => {
  const user = req.user as User | undefined
  res.json({ ended: user ? await sessions.revoke({ user: user.name }) : 0 })
})

const server = app.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${String((server.address() as AddressInfo).port)}`)
})

process.once('SIGTERM', () => {
  // What is under way is answered, and stored, before the store is closed.
  server.close(() => void store.close())
  server.closeIdleConnections()
})

function userWith(name: string, password: string): User {
  const salt = randomBytes(16)
  return { name, salt, hash: scryptSync(password, salt, 32) }
}
