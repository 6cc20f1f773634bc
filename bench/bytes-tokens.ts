/** The tokens of `bytes`: as `Tokens.issue` makes them, but numbered, so that millions needn't be remembered. */

import { hash } from 'node:crypto'
import type { Draft } from 'holdfast'
import { jsonCodec } from 'holdfast'
import { assemble } from '../packages/holdfast/src/credentials/credential.ts'
import { digestOf } from '../packages/holdfast/src/credentials/digest.ts'
import { packed } from '../packages/holdfast/src/records/envelope.ts'
import { idOf, keyOf } from './filling.ts'

/** The prefix of a token unless told otherwise. */
const prefix = 'hft_'
const perUser = 100

/** What the client of this token carries. */
export function credentialOf(i: number): string {
  return assemble(prefix, { id: idOf(i), secret: secretOf(i) })
}

/** The record of this token. */
export function tokenDraft(i: number, now: number, expiresAt: number): Draft {
  const user = `user-${Math.floor(i / perUser)}`
  const key = keyOf(i)
  const envelope = packed({
    state: 'live',
    digest: digestOf(secretOf(i)),
    past: [],
    user,
    createdAt: now,
    authenticatedAt: now,
    absolute: expiresAt,
    latest: 0,
    epochs: {},
    data: { scopes: ['read', 'write'] },
  })
  return { key, value: jsonCodec.encode(key, envelope), labels: [`user:${user}`], expiresAt }
}

/** Bytes of a token's own data: id, value and labels. */
export function ownBytes({ key, value, labels = [] }: Draft): number {
  return labels.reduce((sum, each) => sum + each.length, key.id.length + value.byteLength)
}

function secretOf(i: number): string {
  return hash('sha256', `secret ${i}`, 'base64url')
}
