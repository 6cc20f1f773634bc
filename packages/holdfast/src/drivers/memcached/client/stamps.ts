/**
 * Stamps: on every server one small item that names the list of servers which it was used under.
 *
 * A key never moves while the list stays the same, so a server that was away holds the newest copies when it is back:
 * nobody could write its keys meanwhile. What it holds can only be older than the truth when keys were spread by
 * another list in between, in this program's past or by another program. Then its stamp, or that of a server which both
 * lists share, names the other list; and one that was emptied by a restart has none.
 */

import { AnswerLost, StoreMisconfigured, StoreUnavailable } from '../../../errors.ts'
import { type Answer, Unintelligible } from './answers.ts'
import { acknowledged, metaRequest, type Send, statistics } from './request.ts'

/** What a server says about itself. */
export interface Introduction {
  /** Whose items it holds: `ours`, those of `another` list, or `none` that we know of. */
  readonly stamp: 'ours' | 'another' | 'none'
  /** The longest item, in bytes, with its key and what the server keeps with it. */
  readonly longestItem: number
  /** It drops items to make room. Otherwise it refuses new ones. */
  readonly evicts: boolean
}

/** @throws {StoreMisconfigured} for a server that is too old or asks for a login. */
export async function introduction(send: Send, key: string, id: string): Promise<Introduction> {
  const answer = await understood(metaRequest(send, `mg ${key} v`, {}))
  if (answer.status !== 'VA' && answer.status !== 'EN') throw refused(answer)
  const settings = await statistics(send, 'stats settings', {})
  const stamp = answer.value && Buffer.from(answer.value).toString()
  return {
    stamp: stamp === undefined ? 'none' : stamp === id ? 'ours' : 'another',
    longestItem: Number(settings.get('item_size_max') ?? 2 ** 20),
    evicts: settings.get('evictions') !== 'off',
  }
}

/** Stamps a server that has no stamp. Answers whether it has this one now. */
export async function stamp(send: Send, key: string, id: string): Promise<boolean> {
  const line = `ms ${key} ${id.length} ME T0`
  const { status } = await metaRequest(send, line, {}, Buffer.from(id))
  if (status === 'HD') return true
  const found = await metaRequest(send, `mg ${key} v`, {})
  return found.value !== undefined && Buffer.from(found.value).toString() === id
}

/** Removes everything that the server holds, whoever stored it. */
export async function flush(send: Send): Promise<void> {
  await acknowledged(send, 'flush_all', {})
}

/** The cure for a list that changed. */
export function listChanged(names: readonly string[]): StoreMisconfigured {
  return new StoreMisconfigured(
    `${names.join(', ')} was used under another list of servers and may hold old copies, among them sessions that ` +
      'were destroyed since. Use the same names as before, or have the servers emptied: with no process of the old ' +
      "list running, set the option whenListChanged to 'flush', which removes everything that they hold",
  )
}

/** A server that doesn't understand its first request is another kind of server, or too old a one. */
async function understood(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof AnswerLost) || !(error.cause instanceof Unintelligible)) throw error
    throw new StoreMisconfigured(`${error.message}. Memcached 1.6.18 or later is needed, without a login`, {
      cause: error,
    })
  }
}

function refused({ status, words }: Answer): StoreUnavailable {
  return new StoreUnavailable(`Memcached refused: ${[status, ...words].join(' ')}`)
}
