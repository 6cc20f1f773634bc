/** What an operator should hear about: told to the `onEvent` that sessions and tokens are given. */

/** One event. Carries public ids only, never a secret. */
export type RecordEvent =
  | SessionEvent
  /** A stored record could not be read and was treated as absent. */
  | { readonly type: 'corrupt'; readonly collection: string; readonly id: string; readonly cause: Error }
  /** A cookie was presented that we did not sign, or not under a key of today's ring. */
  | { readonly type: 'tampered-cookie'; readonly collection: string }
  /** The id exists and the secret is not and never was its own. */
  | { readonly type: 'wrong-secret'; readonly collection: string; readonly id: string }
  /** A secret that was rotated away came back after its window: a very late request, or a thief. */
  | { readonly type: 'late-secret'; readonly collection: string; readonly id: string }
  /** A session is in use but could not be prolonged; it ends when it would have ended without this request. */
  | { readonly type: 'touch-failed'; readonly collection: string; readonly id: string; readonly cause: Error }
  /** A session was due for another secret and could not be given one; the next request tries again. */
  | {
      readonly type: 'rotation-failed'
      readonly collection: string
      readonly id: string
      readonly cause: Error
    }
  /** A revocation that was interrupted could not be finished. What it concerns is refused; revoke it again. */
  | {
      readonly type: 'finish-failed'
      readonly collection: string
      readonly id: string
      readonly cause: Error
    }

/** What happens to sessions, for an audit. */
export type SessionEvent =
  /** It was stored for the first time. */
  | SessionHappening<'created'>
  /** A request was let in. */
  | SessionHappening<'loaded'>
  /** A user logged in on it, or proved again who they are. */
  | (SessionHappening<'login'> & { readonly methods: readonly string[] })
  /** It was given a new secret; with `cycled` no earlier one is accepted any more. */
  | (SessionHappening<'rotated'> & { readonly cycled: boolean })
  /** It was ended; `why` is a word or two. Not told for each of those that a revocation by labels ends: `revoked-all`. */
  | (SessionHappening<'revoked'> & { readonly why: string })
  /** All that carry the labels were ended: so many that were alive. */
  | {
      readonly type: 'revoked-all'
      readonly collection: string
      readonly labels: readonly string[]
      readonly count: number
    }
  /** Its own client came back after it had timed out. */
  | SessionHappening<'expired'>
  /** It is used from elsewhere than what it is bound to; `done` is what was done about it. */
  | (SessionHappening<'suspicious'> & {
      readonly bond: 'address' | 'agent'
      readonly done: 'refused' | 'rotated' | 'accepted'
    })
  /** The schema refuses what is stored. It isn't shown, and the first change replaces it. */
  | SessionHappening<'invalid-data'>

interface SessionHappening<Type extends string> {
  readonly type: Type
  readonly collection: string
  readonly id: string
  /** Who is logged in. */
  readonly user?: string
}

/** Hears events. Must not throw. */
export type EventListener = (event: RecordEvent) => void
