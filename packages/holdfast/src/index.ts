/** Sessions and tokens that hold: nothing is lost, and nothing comes back. */

export type { Clock } from './clock.ts'
export { systemClock } from './clock.ts'
export type { CredentialParts } from './credentials/credential.ts'
export { digestOf, equalInConstantTime } from './credentials/digest.ts'
export { mintSecret } from './credentials/credential.ts'
export type { RingKey } from './credentials/key-ring.ts'
export { generateRingKey, KeyRing } from './credentials/key-ring.ts'
export type { Duration } from './duration.ts'
export { milliseconds } from './duration.ts'
export * from './errors.ts'
export type { Epochs, JsonObject } from './records/envelope.ts'
export type { EventListener, RecordEvent, SessionEvent } from './records/events.ts'
export type { ConflictPolicy, Merge } from './records/saving.ts'
export type { BindingOptions, BindingPolicy, Bond, Suspicion } from './sessions/binding.ts'
export type { Flash } from './sessions/dictionary.ts'
export { Dictionary } from './sessions/dictionary.ts'
export type { Expiry, ExpiryQuestion } from './sessions/expiry.ts'
export type { Client, Device } from './sessions/facts.ts'
export type { Followed } from './sessions/following.ts'
export type { SessionInfo } from './sessions/info.ts'
export type {
  Kept,
  KeyedFilter,
  KeyedInfo,
  KeyedOptions,
  KeyedPage,
  OldSessionReader,
} from './sessions/keyed.ts'
export { KeyedSessions } from './sessions/keyed.ts'
export type { Login } from './sessions/login.ts'
export type { SessionLimit, SessionsOptions } from './sessions/options.ts'
export type { SessionSchema } from './sessions/schema.ts'
export type { LoginOptions } from './sessions/session.ts'
export { Session } from './sessions/session.ts'
export type { SessionFilter, SessionPage } from './sessions/sessions.ts'
export { Sessions } from './sessions/sessions.ts'
export type { Visit } from './sessions/visit.ts'
export type {
  AuditedCache,
  AuditOptions,
  AuditProgress,
  AuditReport,
  Finding,
  FindingKind,
} from './store/audit.ts'
export { auditStore } from './store/audit.ts'
export type { CircuitFigures } from './store/circuit.ts'
export type { Codec, Json, SealedOptions } from './store/codec.ts'
export { jsonCodec, sealedCodec } from './store/codec.ts'
export type { SignedOptions } from './store/codec/signed.ts'
export { signedCodec } from './store/codec/signed.ts'
export type * from './store/contract.ts'
export { guard } from './store/guard.ts'
export { openStore } from './store/open.ts'
export type { Instant, Key, Label, StoredRecord, Version } from './store/record.ts'
export { label, never } from './store/record.ts'
export type * from './store/store.ts'
export type { SweepOptions } from './store/sweep.ts'
export { sweepAll } from './store/sweep.ts'
export type { TieredOptions } from './store/tiers/tiered.ts'
export { ProcessMemory, processMemory, tiered } from './store/tiers/tiered.ts'
export type {
  OnConflict,
  Tally,
  TransferOptions,
  TransferProgress,
  TransferReport,
} from './store/transfer.ts'
export { transfer } from './store/transfer.ts'
export type { Revocation } from './tokens/revocations.ts'
export type { IssueOptions, Token, TokenFilter, TokenPage, TokensOptions } from './tokens/tokens.ts'
export { Tokens } from './tokens/tokens.ts'
