/**
 * Every error that Holdfast throws on purpose.
 *
 * Each cause has a class of its own and a stable `code`, so that a caller can tell them apart without reading
 * messages. Codes never change their meaning; messages may. A programmer's misuse of a function (a missing
 * argument, an option of the wrong type) is a plain `TypeError`.
 *
 * "Not there" is never an error: it is a value. An error from a store always means that the store could not
 * answer, so that an outage can never be mistaken for a logout.
 */

/** What more an error can carry. */
export interface ErrorDetails {
  /** The error underneath: the client library's or the operating system's. */
  readonly cause?: unknown
}

/** The base of all errors of this library. Catch it to tell ours from everyone else's. */
export abstract class HoldfastError extends Error {
  /** Stable, machine-readable name of the cause. */
  abstract readonly code: string

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
  }
}

// ── The store could not answer ──────────────────────────────────────────────────────────────────────────────

/** The backing server or file cannot be reached. Nothing was changed by the call that failed. */
export class StoreUnavailable extends HoldfastError {
  readonly code = 'HOLDFAST_STORE_UNAVAILABLE'
}

/**
 * A read was not answered before its deadline, or a change lost to others until its own. Nothing was changed, so the
 * call can simply be repeated.
 */
export class DeadlineExceeded extends HoldfastError {
  readonly code = 'HOLDFAST_DEADLINE_EXCEEDED'
}

/**
 * A write may or may not have happened: its answer was lost and a strict read could not settle it. Read the
 * record again before you repeat anything that must not happen twice.
 */
export class OutcomeUnknown extends HoldfastError {
  readonly code = 'HOLDFAST_OUTCOME_UNKNOWN'
}

/**
 * Thrown by drivers only: the request was sent and its answer did not arrive (connection cut, server gone).
 * The guard settles it, so callers of a store never see it.
 */
export class AnswerLost extends HoldfastError {
  readonly code = 'HOLDFAST_ANSWER_LOST'
}

/** The store was closed by its owner. */
export class StoreClosed extends HoldfastError {
  readonly code = 'HOLDFAST_STORE_CLOSED'
}

/** No room: a full disk, a memory limit. Nothing was changed: what was to be destroyed or revoked is still alive. */
export class StoreFull extends HoldfastError {
  readonly code = 'HOLDFAST_STORE_FULL'
}

/** The store can be read but not written: a read-only file, a replica. Nothing was changed. */
export class StoreReadOnly extends HoldfastError {
  readonly code = 'HOLDFAST_STORE_READ_ONLY'
}

/** The backing file or server reports that its own data is damaged. */
export class StoreCorrupt extends HoldfastError {
  readonly code = 'HOLDFAST_STORE_CORRUPT'
}

/** The store's settings or address cannot work as given; the message says which and what to do. */
export class StoreMisconfigured extends HoldfastError {
  readonly code = 'HOLDFAST_STORE_MISCONFIGURED'
}

/** The server's clock differs from ours by more than the margin allows. */
export class ClockSkew extends HoldfastError {
  readonly code = 'HOLDFAST_CLOCK_SKEW'
  /** Server time minus local time, in milliseconds. */
  readonly skew: number

  constructor(message: string, skew: number) {
    super(message)
    this.skew = skew
  }
}

/** The store does not have the capability that the call needs. */
export class NotSupported extends HoldfastError {
  readonly code = 'HOLDFAST_NOT_SUPPORTED'
  /** The name of the missing capability, as in `Capabilities`. */
  readonly capability: string

  constructor(message: string, capability: string) {
    super(message)
    this.capability = capability
  }
}

/** A call over several keys was answered for some of them only (one shard of a cluster is down). */
export class PartialAnswer extends HoldfastError {
  readonly code = 'HOLDFAST_PARTIAL_ANSWER'
  /** What was answered, in the order of the request; `undefined` stands for "no answer", never for "not there". */
  readonly answers: readonly ({ readonly answer: unknown } | undefined)[]

  constructor(
    message: string,
    answers: readonly ({ readonly answer: unknown } | undefined)[],
    details: ErrorDetails = {},
  ) {
    super(message, details)
    this.answers = answers
  }
}

/** The client library for this kind of store is not installed; the message says what to install. */
export class ClientMissing extends HoldfastError {
  readonly code = 'HOLDFAST_CLIENT_MISSING'
}

/** No driver for the scheme of a store's URL; the message names the known ones. */
export class UnknownScheme extends HoldfastError {
  readonly code = 'HOLDFAST_UNKNOWN_SCHEME'
}

// ── What was given cannot be stored or understood ───────────────────────────────────────────────────────────

/** A collection or an id outside its alphabet or length. Keys are refused, never rewritten. */
export class InvalidKey extends HoldfastError {
  readonly code = 'HOLDFAST_INVALID_KEY'
}

/** A label that is not `name:value`, is too long, or is one too many. */
export class InvalidLabel extends HoldfastError {
  readonly code = 'HOLDFAST_INVALID_LABEL'
}

/** A value that cannot be stored: not JSON, or a key that JSON objects must not have. */
export class InvalidValue extends HoldfastError {
  readonly code = 'HOLDFAST_INVALID_VALUE'
}

/** A value longer than the store's limit. */
export class ValueTooLarge extends HoldfastError {
  readonly code = 'HOLDFAST_VALUE_TOO_LARGE'
}

/** An expiry that is missing, not a whole number of milliseconds, or in the past where it must not be. */
export class InvalidExpiry extends HoldfastError {
  readonly code = 'HOLDFAST_INVALID_EXPIRY'
}

/** A duration that is not `'30m'`-like and not a number of milliseconds. */
export class InvalidDuration extends HoldfastError {
  readonly code = 'HOLDFAST_INVALID_DURATION'
}

/** A cursor that this store did not make. */
export class InvalidCursor extends HoldfastError {
  readonly code = 'HOLDFAST_INVALID_CURSOR'
}

/** An option that cannot be honoured, or two that contradict each other. */
export class InvalidOption extends HoldfastError {
  readonly code = 'HOLDFAST_INVALID_OPTION'
}

// ── What was stored cannot be read ──────────────────────────────────────────────────────────────────────────

/** A stored record that cannot be decoded. Sessions and tokens treat it as absent and raise a security event. */
export class RecordCorrupt extends HoldfastError {
  readonly code = 'HOLDFAST_RECORD_CORRUPT'
}

/**
 * A stored record is sealed under a key that the ring does not have. This is a misconfiguration, not
 * corruption: a botched key roll-out must not log everybody out.
 */
export class KeyUnknown extends HoldfastError {
  readonly code = 'HOLDFAST_KEY_UNKNOWN'
}

// ── The rules said no ───────────────────────────────────────────────────────────────────────────────────────

/** The session was destroyed, has expired, or was taken over by a login since it was loaded. Nothing was saved. */
export class SessionGone extends HoldfastError {
  readonly code = 'HOLDFAST_SESSION_GONE'
}

/** A session was read before it was loaded: `await session.load()` first. */
export class SessionNotLoaded extends HoldfastError {
  readonly code = 'HOLDFAST_SESSION_NOT_LOADED'
}

/** `pop` was asked for a key that the session does not have, and was given nothing to answer instead. */
export class MissingKey extends HoldfastError {
  readonly code = 'HOLDFAST_MISSING_KEY'
}

/** What was to be stored is not what the schema of the sessions allows. Nothing was stored. */
export class InvalidData extends HoldfastError {
  readonly code = 'HOLDFAST_INVALID_DATA'
  /** What is wrong with it, and where. */
  readonly issues: readonly { readonly message: string; readonly path: string }[]

  constructor(message: string, issues: readonly { readonly message: string; readonly path: string }[]) {
    super(message)
    this.issues = issues
  }
}

/** The user has as many sessions as are allowed, and none is ended for a new one. Nothing was left behind. */
export class TooManySessions extends HoldfastError {
  readonly code = 'HOLDFAST_TOO_MANY_SESSIONS'
}

/** Others held a lock for as long as this was prepared to wait. Nothing was done. */
export class Locked extends HoldfastError {
  readonly code = 'HOLDFAST_LOCKED'
}

/** The token was revoked or has expired. Nothing was changed. */
export class TokenGone extends HoldfastError {
  readonly code = 'HOLDFAST_TOKEN_GONE'
}

/** The parent was revoked or has expired before its child was made. Nothing was left behind. */
export class ParentGone extends HoldfastError {
  readonly code = 'HOLDFAST_PARENT_GONE'
}

/** Everything of this user (or these labels) was revoked while this was being created. Nothing was left behind. */
export class RevokedMeanwhile extends HoldfastError {
  readonly code = 'HOLDFAST_REVOKED_MEANWHILE'
}

/** Another request changed the same keys of the session to other values. Nothing was saved. */
export class ConflictingChange extends HoldfastError {
  readonly code = 'HOLDFAST_CONFLICTING_CHANGE'
  /** The top-level keys in conflict. */
  readonly keys: readonly string[]

  constructor(message: string, keys: readonly string[]) {
    super(message)
    this.keys = keys
  }
}

/** The name is in use by another live record of the same owner. */
export class NameTaken extends HoldfastError {
  readonly code = 'HOLDFAST_NAME_TAKEN'
}

// ── The request was refused ─────────────────────────────────────────────────────────────────────────────────

/**
 * A request that would change something came with a session cookie from a page of another site, or would have begun a
 * session there. Nothing of it is stored.
 */
export class CrossSiteRequest extends HoldfastError {
  readonly code = 'HOLDFAST_CROSS_SITE_REQUEST'
}

// ── Moving records from one store to another ────────────────────────────────────────────────────────────────

/** The target of a transfer already holds a record with this key and other content. It was left as it is. */
export class TransferConflict extends HoldfastError {
  readonly code = 'HOLDFAST_TRANSFER_CONFLICT'
}

/** What was read back after a transfer is not what the source holds; the message names records that differ. */
export class TransferMismatch extends HoldfastError {
  readonly code = 'HOLDFAST_TRANSFER_MISMATCH'
}
