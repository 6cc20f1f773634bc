/** How a command fails: one line on standard error with cause, cure and code, and an exit code. */

import { CommanderError } from 'commander'
import { HoldfastError } from 'holdfast'

/** What was asked of a command makes no sense. */
export class Misused extends HoldfastError {
  readonly code = 'HOLDFAST_USAGE'
}

/** There is no such thing, or it is not valid any more. */
export class NotFound extends HoldfastError {
  readonly code = 'HOLDFAST_NOT_FOUND'
}

/** What to do about it, where the message does not say so itself. */
const cures: Readonly<Record<string, string>> = {
  HOLDFAST_STORE_UNAVAILABLE: 'check that it runs and that --store names it',
  HOLDFAST_STORE_READ_ONLY: 'give the user of this command the right to write there',
  HOLDFAST_STORE_FULL: 'make room, then run the same command again',
  HOLDFAST_DEADLINE_EXCEEDED: 'run it again, or raise --deadline',
  HOLDFAST_KEY_UNKNOWN: 'use the state folder of the service that wrote it (--state-folder) and --seal',
  HOLDFAST_NAME_TAKEN: 'choose another --name, or revoke the token that has it',
  HOLDFAST_OUTCOME_UNKNOWN: 'look before you run it again',
  EADDRINUSE: 'stop what listens there, or choose another port with --port or HOLDFAST_PORT',
  EACCES: 'choose a port above 1023 with --port or HOLDFAST_PORT',
  EADDRNOTAVAIL: 'choose an address of this machine with --host or HOLDFAST_HOST',
}

/** The line for standard error; `undefined` where commander has said it already. */
export function failureLine(error: unknown): string | undefined {
  if (error instanceof CommanderError) return undefined
  const { message, code } = error as NodeJS.ErrnoException
  const cure = cures[code ?? '']
  return `holdfast: ${firstLine(message)}${cure ? `; ${cure}` : ''}${code ? ` (${code})` : ''}`
}

/** For `--verbose`: everything that is known, for whoever looks for the cause. */
export function failureDetails(error: unknown): string | undefined {
  return error instanceof Error && !(error instanceof CommanderError) ? error.stack : undefined
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message
}
