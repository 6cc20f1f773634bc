/**
 * Binding: ties a session to where it was opened, so that a stolen cookie is noticed elsewhere. A network address may
 * be shared and may change on the way to work, so what is done about a difference is the application's to say.
 */

import { mintId } from '../credentials/credential.ts'
import { digestOf } from '../credentials/digest.ts'
import { InvalidOption } from '../errors.ts'
import type { Awaitable } from '../store/contract.ts'
import { addressOf, networkOf } from './binding/address.ts'
import { agentFamily } from './binding/agent.ts'
import type { Client, Facts } from './facts.ts'

/** What a session can be bound to. */
export type Bond = 'address' | 'agent'

const bonds = ['address', 'agent'] as const

/** A session that is used from elsewhere. */
export interface Suspicion {
  readonly id: string
  readonly user?: string
  /** What differs. */
  readonly bond: Bond
  /** Where it is used from now. */
  readonly client: Client
}

/**
 * What is done about a session that is used from elsewhere. `refuse`: it is no session for this request, and stays one
 * for others. `rotate`: its secret is changed and no earlier one is accepted any more, so that only one of the two
 * goes on. `record`: an event, nothing else. A function is asked; `accept` is then like `record`, and what is none of
 * the three answers is `refuse`.
 */
export type BindingPolicy =
  'refuse' | 'rotate' | 'record' | ((suspicion: Suspicion) => Awaitable<'accept' | 'rotate' | 'refuse'>)

/** What sessions are bound to. What is not named is not compared. */
export interface BindingOptions {
  /** The address itself, or its network: 24 bits of IPv4, 56 of IPv6. */
  readonly address?: { readonly match: 'exact' | 'prefix'; readonly policy: BindingPolicy }
  /** The `User-Agent` itself, or browser and system without their versions. */
  readonly agent?: { readonly match: 'exact' | 'family'; readonly policy: BindingPolicy }
}

/** Refuses what can't be honoured: a policy that nobody knows would let everybody in. @throws {InvalidOption} */
export function checkBinding(binding: BindingOptions): void {
  const matches = { address: ['exact', 'prefix'], agent: ['exact', 'family'] }
  for (const bond of bonds) {
    const { [bond]: chosen } = binding
    if (!chosen) continue
    const { match, policy } = chosen
    const isKnown = typeof policy === 'function' || ['refuse', 'rotate', 'record'].includes(policy)
    if (isKnown && matches[bond].includes(match)) continue
    throw new InvalidOption(
      `binding.${bond} takes match ${matches[bond].join(' or ')}, and policy refuse, rotate, record or a function`,
    )
  }
}

/** What a new secret of a session is bound to; `undefined` for nothing. Digests: what is compared need not be known. */
export function bondsOf(binding: BindingOptions, client: Client | undefined): Facts['bonds'] {
  if (!client || (!binding.address && !binding.agent)) return undefined
  const salt = mintId()
  const { address, agent } = binding
  return {
    salt,
    match: { ...(address && { address: address.match }), ...(agent && { agent: agent.match }) },
    ...(address && { address: digest(salt, 'address', address.match, client) }),
    ...(agent && { agent: digest(salt, 'agent', agent.match, client) }),
  }
}

/** In what a client differs from the one that a session is bound to: each compared as it was when that was noted. */
export function differences(binding: BindingOptions, facts: Facts, client: Client): readonly Bond[] {
  const { bonds: held } = facts
  if (!held) return []
  return bonds.filter((bond) => {
    const { [bond]: chosen } = binding
    const { [bond]: expected, match } = held
    if (!chosen || expected === undefined) return false
    return expected !== digest(held.salt, bond, match?.[bond] ?? chosen.match, client)
  })
}

/** Whether what a session is bound to was noted for another way to compare than is asked for now. */
export function isOutgrown(binding: BindingOptions, { bonds: held }: Facts): boolean {
  return bonds.some((bond) => {
    const { [bond]: chosen } = binding
    return chosen && held?.[bond] !== undefined && held.match?.[bond] !== chosen.match
  })
}

/** Whoever leaves the header out is somebody else too. */
function digest(salt: string, bond: Bond, match: string, { [bond]: given = '' }: Client): string {
  const isExact = match === 'exact'
  const value =
    bond === 'address' ? (isExact ? addressOf : networkOf)(given) : isExact ? given : agentFamily(given)
  return digestOf(`${salt}:${value}`)
}
