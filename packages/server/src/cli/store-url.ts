/** How commands are told stores besides the one that the service uses. */

import { Misused } from './failure.ts'
import type { Terminal } from './terminal.ts'

/**
 * The URL of a store: the argument itself, or what the variable holds that `env:NAME` names, so that a password need
 * not be in the process list.
 */
export function storeUrl(argument: string, { environment }: Terminal): string {
  const [, name] = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(argument) ?? []
  if (name === undefined) return argument
  const url = environment[name]
  if (!url) throw new Misused(`${argument} names a variable of the environment that is not set`)
  return url
}

/** Whether the store is inside of one process, so that no other can look into it. */
export function isInsideOneProcess(url: string): boolean {
  return url.startsWith('memory:') || url === 'sqlite::memory:'
}
