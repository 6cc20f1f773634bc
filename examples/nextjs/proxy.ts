import { NextResponse } from 'next/server'
import { session } from './app/session'

/** Sends strangers to where they can log in. */
export const proxy = session.withSession((request, visit) =>
  visit.user === undefined ? NextResponse.redirect(new URL('/', request.url)) : NextResponse.next(),
)

export const config = { matcher: '/account' }
