/** What the command line ends with. `docs/cli.md` is checked against this table. */

import { HoldfastError } from 'holdfast'
import { CommanderError } from 'commander'

export const exitCodes = {
  /** It was done. */
  ok: 0,
  /** It was not done, for a reason that has no code of its own here. */
  failure: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** There is no such token or session, or it is not valid any more. */
  notFound: 3,
  /** The store could not answer. Nothing is known; the same command may work later. */
  unavailable: 69,
  /** The state folder can't be used: missing key ring, loose permissions. */
  installation: 78,
} as const

const byCode: Readonly<Record<string, number>> = {
  HOLDFAST_CONFIGURATION_INVALID: exitCodes.usage,
  HOLDFAST_USAGE: exitCodes.usage,
  HOLDFAST_UNKNOWN_SCHEME: exitCodes.usage,
  HOLDFAST_INVALID_KEY: exitCodes.usage,
  HOLDFAST_INVALID_LABEL: exitCodes.usage,
  HOLDFAST_INVALID_DURATION: exitCodes.usage,
  HOLDFAST_INVALID_EXPIRY: exitCodes.usage,
  HOLDFAST_INVALID_CURSOR: exitCodes.usage,
  HOLDFAST_INVALID_OPTION: exitCodes.usage,
  HOLDFAST_NOT_FOUND: exitCodes.notFound,
  HOLDFAST_STORE_UNAVAILABLE: exitCodes.unavailable,
  HOLDFAST_STORE_MISCONFIGURED: exitCodes.unavailable,
  HOLDFAST_STORE_READ_ONLY: exitCodes.unavailable,
  HOLDFAST_STORE_FULL: exitCodes.unavailable,
  HOLDFAST_STORE_CORRUPT: exitCodes.unavailable,
  HOLDFAST_DEADLINE_EXCEEDED: exitCodes.unavailable,
  HOLDFAST_PARTIAL_ANSWER: exitCodes.unavailable,
  HOLDFAST_CLIENT_MISSING: exitCodes.unavailable,
  HOLDFAST_CLOCK_SKEW: exitCodes.unavailable,
  HOLDFAST_KEY_UNKNOWN: exitCodes.installation,
  HOLDFAST_INSTALLATION_REFUSED: exitCodes.installation,
}

/** The exit code of an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  if (error instanceof HoldfastError) return byCode[error.code] ?? exitCodes.failure
  return exitCodes.failure
}
