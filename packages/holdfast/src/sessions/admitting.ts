/** Admission by binding: whether a request may use the session from where it comes. */

import { SessionGone } from '../errors.ts'
import { type Bond, differences } from './binding.ts'
import { factsOf } from './facts.ts'
import type { Held } from './held.ts'
import { happening, type Storing } from './storing.ts'
import type { Visit } from './visit.ts'

/** The session for this request: with another secret where the policy says so, `undefined` where it is refused. */
export async function admitHere(storing: Storing, held: Held, visit: Visit): Promise<Held | undefined> {
  const { binding, onEvent } = storing.settings
  if (!visit.client) return held
  const found = differences(binding, factsOf(held.entry.envelope), visit.client)
  const judged = await Promise.all(found.map((bond) => judge(storing, held, visit, bond)))
  const strictest = judged.includes('refuse') ? 'refuse' : judged.includes('rotate') ? 'rotate' : 'accept'
  const done = strictest === 'rotate' && !canTell(visit, found) ? 'refuse' : strictest
  let here: Held | undefined
  try {
    here = done === 'rotate' ? await cycled(storing, held, visit) : done === 'accept' ? held : undefined
  } finally {
    // Nobody is told that the secret was changed before it was.
    const doneThen = here ? done : 'refuse'
    for (const bond of found) {
      onEvent({ ...happening(held.entry), type: 'suspicious', bond, done: told[doneThen] })
    }
  }
  return here
}

async function cycled(storing: Storing, held: Held, visit: Visit): Promise<Held | undefined> {
  try {
    return await storing.cycleKey(held, { cleared: false, keys: new Map(), facts: {}, visit })
  } catch (error) {
    // Another request was faster to change the secret, and this one's is over.
    if (error instanceof SessionGone) return undefined
    throw error
  }
}

/**
 * Whether the client hears of a new secret. Otherwise nobody would have it, and the session would be over for its own
 * user too. A connection that is gone has no address any more.
 */
function canTell({ canRotate = true, client }: Visit, found: readonly Bond[]): boolean {
  return canRotate && (Boolean(client?.address) || !found.includes('address'))
}

const told = { refuse: 'refused', rotate: 'rotated', accept: 'accepted' } as const

async function judge(
  { settings }: Storing,
  { entry }: Held,
  { client = {} }: Visit,
  bond: Bond,
): Promise<keyof typeof told> {
  const policy = settings.binding[bond]!.policy
  if (policy === 'record') return 'accept'
  if (typeof policy === 'string') return policy
  const { user } = entry.envelope
  const suspicion = { id: entry.record.key.id, bond, client, ...(user === undefined ? {} : { user }) }
  const answer = await policy(suspicion)
  return Object.hasOwn(told, answer) ? answer : 'refuse'
}
