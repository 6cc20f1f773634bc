import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { folderFor, serve, type Server } from './running.ts'

/** What a service has acknowledged. */
interface Acknowledged {
  /** Tokens that were issued and that nobody has asked to revoke. */
  readonly live: Set<string>
  /** Tokens whose revocation was acknowledged. */
  readonly revoked: Set<string>
  /** Sessions by their credential, with the last count that was acknowledged and the last that was asked for. */
  readonly sessions: Map<string, { acknowledged: number; asked: number }>
  /** Sessions whose end was acknowledged. */
  readonly ended: Set<string>
}

/** Works until the service is gone. Writes down only what was answered. */
async function work(server: Server, known: Acknowledged, worker: number): Promise<void> {
  try {
    for (let n = 0; ; n++) {
      const { token } = await server.expect(201, 'POST', '/v1/tokens', {
        user: `w${worker}`,
        expiresIn: '1d',
      })
      known.live.add(token!)
      const { session } = await server.expect(201, 'POST', '/v1/sessions', { user: `w${worker}` })
      const counts = { acknowledged: 0, asked: 0 }
      known.sessions.set(session!, counts)
      for (let change = 1; change <= 3; change++) {
        counts.asked = change
        await server.expect(200, 'PATCH', '/v1/sessions', { session, set: { n: change } })
        counts.acknowledged = change
      }
      if (n % 2 === 0) continue
      known.live.delete(token!)
      await server.expect(200, 'POST', '/v1/revoke', undefined, { form: { token: token! } })
      known.revoked.add(token!)
      known.sessions.delete(session!)
      await server.expect(204, 'POST', '/v1/sessions/logout', { session })
      known.ended.add(session!)
    }
  } catch (error) {
    // The connection broke: what was asked last was not acknowledged.
    if (error instanceof assert.AssertionError) throw error
  }
}

async function check(server: Server, { live, revoked, sessions, ended }: Acknowledged): Promise<void> {
  const isActive = async (token: string) =>
    (await server.expect(200, 'POST', '/v1/introspect', undefined, { form: { token } }))['active'] as unknown
  for (const token of live) assert.equal(await isActive(token), true, 'an acknowledged token was lost')
  for (const token of revoked) assert.equal(await isActive(token), false, 'a revoked token came back')
  for (const [session, { acknowledged, asked }] of sessions) {
    const { data } = await server.expect(200, 'POST', '/v1/sessions/load', { session })
    const n = (data!['n'] as unknown as number | undefined) ?? 0
    assert.ok(
      n >= acknowledged && n <= asked,
      `an acknowledged change was lost: ${n}, not ${acknowledged} to ${asked}`,
    )
  }
  for (const session of ended) await server.expect(404, 'POST', '/v1/sessions/load', { session })
}

describe('kill -9 under load', () => {
  it('loses nothing that was acknowledged and brings back nothing that was revoked', async (t) => {
    const folder = await folderFor(t)
    const known: Acknowledged = { live: new Set(), revoked: new Set(), sessions: new Map(), ended: new Set() }
    for (let round = 0; round < 6; round++) {
      const server = await serve(t, { folder })
      await check(server, known)
      const working = [0, 1, 2, 3, 4, 5].map((worker) => work(server, known, worker))
      // However slow the machine is, something was done before the end; when exactly it comes is chance.
      const enough = known.revoked.size + 5
      while (known.revoked.size < enough) await sleep(5)
      await sleep(Math.random() * 200)
      await server.end('SIGKILL')
      await Promise.all(working)
    }
    await check(await serve(t, { folder }), known)
    t.diagnostic(
      `${known.live.size} live and ${known.revoked.size} revoked tokens, ` +
        `${known.sessions.size} live and ${known.ended.size} ended sessions`,
    )
    assert.ok(known.live.size > 20 && known.revoked.size > 20, 'too little was done to prove anything')
  })

  it('keeps what was revoked by user revoked, also when killed in the middle of it', async (t) => {
    const folder = await folderFor(t)
    const first = await serve(t, { folder })
    const made: string[] = []
    for (let i = 0; i < 60; i++) {
      made.push((await first.expect(201, 'POST', '/v1/tokens', { user: 'ada', expiresIn: '1d' }))['token']!)
    }
    const other = (await first.expect(201, 'POST', '/v1/tokens', { user: 'bob', expiresIn: '1d' }))['token']!
    const revoking = first.call('POST', '/v1/tokens/revoke', { user: 'ada' }).catch(() => undefined)
    await sleep(Math.random() * 15)
    await first.end('SIGKILL')
    const acknowledged = (await revoking)?.status === 200
    const second = await serve(t, { folder })
    // Revoking again finishes what was begun, whether or not it was acknowledged.
    const before = await active(second, made)
    if (acknowledged) assert.equal(before, 0)
    await second.expect(200, 'POST', '/v1/tokens/revoke', { user: 'ada' })
    assert.equal(await active(second, made), 0)
    assert.equal(await active(second, [other]), 1)
  })
})

async function active(server: Server, tokens: readonly string[]): Promise<number> {
  const answers = await Promise.all(
    tokens.map((token) => server.expect(200, 'POST', '/v1/introspect', undefined, { form: { token } })),
  )
  return answers.filter((answer) => answer['active'] as unknown).length
}
