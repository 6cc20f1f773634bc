/** What an operator should hear about: told to the `onEvent` that sessions and tokens are given. */

/** One event. Carries public ids only, never a secret. */
export type RecordEvent =
  /** A stored record could not be read and was treated as absent. */
  | { readonly type: 'corrupt'; readonly collection: string; readonly id: string; readonly cause: Error }
  /** The id exists and the secret is not and never was its own. */
  | { readonly type: 'wrong-secret'; readonly collection: string; readonly id: string }
  /** A secret that was rotated away came back after its window: a very late request, or a thief. */
  | { readonly type: 'late-secret'; readonly collection: string; readonly id: string }
  /** A session is in use but could not be prolonged; it ends when it would have ended without this request. */
  | { readonly type: 'touch-failed'; readonly collection: string; readonly id: string; readonly cause: Error }
  /** A revocation that was interrupted could not be finished. What it concerns is refused; revoke it again. */
  | {
      readonly type: 'finish-failed'
      readonly collection: string
      readonly id: string
      readonly cause: Error
    }

/** Hears events. Must not throw. */
export type EventListener = (event: RecordEvent) => void
