/** Sessions and tokens as they are shown: by the service and by the command line, in the same words. */

import { type Instant, never, type Revocation, type Session, type SessionInfo, type Token } from 'holdfast'

/** What a session holds, by top-level key. */
type Data = Record<string, unknown>

/** An instant as RFC 3339 text; `null` for never. */
export function written(instant: Instant): string | null {
  return instant === never ? null : new Date(instant).toISOString()
}

/** An instant that is never "never". */
export function writtenTime(instant: number): string {
  return new Date(instant).toISOString()
}

/** A token as others see it: without its credential. */
export function tokenResource(token: Token) {
  return {
    id: token.id,
    user: token.user,
    scopes: [...token.scopes],
    name: token.name ?? null,
    labels: [...token.labels],
    createdAt: writtenTime(token.createdAt),
    expiresAt: written(token.expiresAt),
  }
}

/** A session as others see it: without its credential. */
export function sessionResource(session: SessionInfo<Data>) {
  return {
    id: session.id,
    user: session.user ?? null,
    labels: [...session.labels],
    createdAt: writtenTime(session.createdAt),
    authenticatedAt: writtenTime(session.authenticatedAt),
    touchedAt: writtenTime(session.touchedAt),
    expiresAt: written(session.expiresAt),
    data: session.data as Data,
  }
}

/** A stored session as its own client sees it, without the credential. */
export function carriedResource(session: Session<Data>) {
  return {
    id: session.id ?? '',
    user: session.user ?? null,
    createdAt: writtenTime(session.createdAt ?? 0),
    authenticatedAt: writtenTime(session.authenticatedAt ?? 0),
    expiresAt: written(session.expiresAt ?? 0),
    data: session.data as Data,
  }
}

/** A revocation. */
export function revocationResource({ id, user, revokedAt, expiresAt, why }: Revocation) {
  return {
    id,
    user: user ?? null,
    revokedAt: writtenTime(revokedAt),
    expiresAt: written(expiresAt),
    why,
  }
}
