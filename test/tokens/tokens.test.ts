/** Tokens: issued, verified, listed, revoked. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assemble, mintSecret, parse } from '../../packages/holdfast/src/credentials/credential.ts'
import { generateRingKey, KeyRing } from '../../packages/holdfast/src/credentials/key-ring.ts'
import { sealedCodec } from '../../packages/holdfast/src/store/codec.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { Token } from '../../packages/holdfast/src/tokens/tokens.ts'
import { day, hour, minute, Stage } from './stage.ts'

describe('issuing', () => {
  it('gives a credential once, and keeps only a digest of it [G1]', async () => {
    const stage = new Stage()
    const { credential, token } = await stage.tokens.issue({
      user: 'ada',
      scopes: ['read', 'write', 'read'],
      name: 'laptop',
      labels: ['tenant:t1'],
      expiresIn: '1d',
    })
    assert.match(credential, /^hft_[\w-]{22}\.[\w-]{43}[0-9A-Za-z]{6}$/)
    const now = stage.clock.now()
    const expected: Token = {
      id: token.id,
      user: 'ada',
      scopes: ['read', 'write'],
      name: 'laptop',
      labels: ['tenant:t1', 'user:ada'],
      createdAt: now,
      expiresAt: now + day,
    }
    assert.deepEqual(token, expected)
    assert.deepEqual(await stage.tokens.verify(credential), expected)
    assert.deepEqual(await stage.tokens.get(token.id), expected)
    assert.deepEqual((await stage.tokens.list({ user: 'ada' })).tokens, [expected])
    const secret = parse('hft_', credential)?.secret ?? ''
    for (const { value } of await stage.records()) assert.ok(!Buffer.from(value).includes(secret))
  })

  it('without an expiry it lives as long as tokens do; `never` is for ever [K29 G4]', async () => {
    const { clock, tokens } = new Stage({ lifetime: '2h' })
    const usual = await tokens.issue({ user: 'ada' })
    const lasting = await tokens.issue({ user: 'ada', expiresIn: 'never' })
    assert.equal(usual.token.expiresAt, clock.now() + 2 * hour)
    assert.equal((await tokens.verify(usual.credential))?.expiresAt, usual.token.expiresAt)
    assert.equal(lasting.token.expiresAt, never)
    clock.advance(10_000 * day)
    assert.notEqual(await tokens.verify(lasting.credential), undefined)
  })

  it('what can’t be right is refused, and nothing is stored', async () => {
    const stage = new Stage()
    const { clock, tokens } = stage
    const option = 'HOLDFAST_INVALID_OPTION'
    const wrong: [object, string][] = [
      [{}, option],
      [{ user: 7 }, option],
      [{ user: '' }, 'HOLDFAST_INVALID_LABEL'],
      [{ user: 'x'.repeat(201) }, 'HOLDFAST_INVALID_LABEL'],
      [{ user: 'ada', labels: ['user:bob'] }, option],
      [{ user: 'ada', labels: ['nonsense'] }, 'HOLDFAST_INVALID_LABEL'],
      [{ user: 'ada', scopes: ['two words'] }, option],
      [{ user: 'ada', scopes: ['"'] }, option],
      [{ user: 'ada', scopes: [''] }, option],
      [{ user: 'ada', name: '' }, option],
      [{ user: 'ada', name: 'x'.repeat(201) }, option],
      [{ user: 'ada', expiresIn: '1h', expiresAt: clock.now() + 1 }, option],
      [{ user: 'ada', expiresIn: 0 }, 'HOLDFAST_INVALID_EXPIRY'],
      [{ user: 'ada', expiresAt: clock.now() }, 'HOLDFAST_INVALID_EXPIRY'],
      [{ user: 'ada', expiresAt: clock.now() + 0.5 }, 'HOLDFAST_INVALID_EXPIRY'],
      [{ user: 'ada', expiresIn: '1 hour' }, 'HOLDFAST_INVALID_DURATION'],
    ]
    for (const [options, code] of wrong) {
      await assert.rejects(tokens.issue(options as { user: string }), { code }, JSON.stringify(options))
    }
    assert.equal((await stage.records()).length + (await stage.records('names')).length, 0)
  })

  it('a caller’s objects may change afterwards [K8]', async () => {
    const { tokens } = new Stage()
    const scopes = ['read']
    const labels = ['tenant:t1']
    const { credential } = await tokens.issue({ user: 'ada', scopes, labels })
    scopes.push('admin')
    labels.push('tenant:t2')
    const token = await tokens.verify(credential)
    assert.deepEqual([token?.scopes, token?.labels], [['read'], ['tenant:t1', 'user:ada']])
  })

  it('users and names of any script [K28]', async () => {
    const { tokens } = new Stage()
    for (const user of ['ж', 'ada ', 'ADA', '\u{1F600}', 'a:b']) {
      const { credential } = await tokens.issue({ user, name: `${user} ж` })
      const token = await tokens.verify(credential)
      assert.deepEqual([token?.user, token?.name], [user, `${user} ж`])
      assert.equal((await tokens.list({ user })).tokens.length, 1)
    }
  })
})

describe('verifying', () => {
  it('is over at its expiry and not before [K3 K5]', async () => {
    const { clock, tokens } = new Stage()
    const { credential, token } = await tokens.issue({ user: 'ada', expiresIn: '1h' })
    clock.advance(hour - 1)
    assert.notEqual(await tokens.verify(credential), undefined)
    clock.advance(1)
    assert.equal(await tokens.verify(credential), undefined)
    assert.equal(await tokens.get(token.id), undefined)
    assert.deepEqual((await tokens.list({ user: 'ada' })).tokens, [])
  })

  it('what is not a credential of ours is not valid, and the store is not asked [K1 K2 G1]', async () => {
    const stage = new Stage()
    const { credential } = await stage.tokens.issue({ user: 'ada' })
    const before = stage.driver.calls.length
    const bad = [
      '',
      'x',
      'x'.repeat(100_000),
      credential.slice(1),
      `${credential}0`,
      credential.replace('hft_', 'hfs_'),
      credential.replace('.', ''),
      `${credential.slice(0, -1)}?`,
      undefined,
      null,
      7,
    ]
    for (const each of bad) {
      assert.equal(await stage.tokens.verify(each as string), undefined)
      assert.equal(await stage.tokens.revokeCredential(each as string), false)
    }
    for (const id of ['', 'no id', '../x']) {
      assert.equal(await stage.tokens.get(id), undefined)
      assert.equal(await stage.tokens.revoke(id), false)
    }
    assert.equal(stage.driver.calls.length, before)
  })

  it('a wrong secret is told, and revokes nothing [G2]', async () => {
    const { tokens, events } = new Stage()
    const { credential, token } = await tokens.issue({ user: 'ada' })
    const wrong = assemble('hft_', { id: token.id, secret: mintSecret() })
    assert.equal(await tokens.verify(wrong), undefined)
    assert.equal(await tokens.revokeCredential(wrong), false)
    assert.deepEqual(events, [{ type: 'wrong-secret', collection: 'tokens', id: token.id }])
    assert.notEqual(await tokens.verify(credential), undefined)
  })

  it('a session’s record is no token, and the other way round: prefix and collection keep them apart', async () => {
    const { tokens } = new Stage()
    const { credential } = await tokens.issue({ user: 'ada' })
    const parts = parse('hft_', credential)
    assert.ok(parts)
    assert.equal(await tokens.verify(assemble('hfs_', parts)), undefined)
  })

  it('damaged values are not valid, are told, and are revoked all the same [K4 K6 G3]', async () => {
    for (const value of ['not json', '{}', '[]', '{"state":"live","digest":"x"}']) {
      const stage = new Stage()
      const { credential, token } = await stage.tokens.issue({ user: 'ada', name: 'laptop' })
      const [record] = await stage.records()
      assert.ok(record)
      const { key, version: expected, expiresAt } = record
      await stage.store.replace({ key, expected, value: Buffer.from(value), expiresAt })
      assert.equal(await stage.tokens.verify(credential), undefined)
      assert.deepEqual((await stage.tokens.list({ user: 'ada' })).tokens, [])
      assert.deepEqual(
        stage.events.map(({ type }) => type),
        ['corrupt', 'corrupt'],
      )
      assert.equal(await stage.tokens.revoke(token.id), true)
      await stage.tokens.issue({ user: 'ada', name: 'laptop' })
    }
  })

  it('an unknown key is an error, never "not valid"; the token can be revoked', async () => {
    const stage = new Stage()
    const sealed = stage.process(sealedCodec(new KeyRing([generateRingKey('one')])))
    const { credential, token } = await sealed.issue({ user: 'ada' })
    const other = await sealed.issue({ user: 'ada' })
    await assert.rejects(stage.tokens.verify(credential), { code: 'HOLDFAST_KEY_UNKNOWN' })
    assert.equal(await stage.tokens.revoke(token.id), true)
    assert.equal(await sealed.verify(credential), undefined)
    assert.deepEqual(await stage.tokens.revokeAll({ user: 'ada' }).catch((error: unknown) => error), [
      other.token.id,
    ])
  })

  it('an outage is an error, never "not valid"', async () => {
    const stage = new Stage()
    const { credential, token } = await stage.tokens.issue({ user: 'ada' })
    stage.plan = ({ operation }) => (operation === 'read' ? 'fail' : undefined)
    const outage = { code: 'HOLDFAST_STORE_UNAVAILABLE' }
    await assert.rejects(stage.tokens.verify(credential), outage)
    await assert.rejects(stage.tokens.get(token.id), outage)
    await assert.rejects(stage.tokens.revoke(token.id), outage)
    await assert.rejects(stage.tokens.revokeCredential(credential), outage)
    await assert.rejects(stage.tokens.issue({ user: 'ada' }), outage)
  })
})

describe('names', () => {
  for (const atomicBatch of [true, false]) {
    describe(atomicBatch ? 'with atomic batches' : 'without atomic batches', () => {
      const taken = { code: 'HOLDFAST_NAME_TAKEN' }
      const set = (): Stage => new Stage({}, { atomicBatch })

      it('are unique among the living tokens of one user [G36]', async () => {
        const { tokens } = set()
        await tokens.issue({ user: 'ada', name: 'laptop' })
        await assert.rejects(tokens.issue({ user: 'ada', name: 'laptop' }), taken)
        await tokens.issue({ user: 'bob', name: 'laptop' })
        await tokens.issue({ user: 'ada', name: 'Laptop' })
        await tokens.issue({ user: 'ada' })
        await tokens.issue({ user: 'ada' })
        assert.equal((await tokens.list({ user: 'ada' })).tokens.length, 4)
      })

      it('owner and name don’t run into each other', async () => {
        const { tokens } = set()
        await tokens.issue({ user: 'a', name: 'b","c' })
        await tokens.issue({ user: 'a","b', name: 'c' })
      })

      it('are free at once when the token is revoked, by whatever way', async () => {
        const { tokens } = set()
        const again = async (): Promise<{ credential: string; token: Token }> =>
          await tokens.issue({ user: 'ada', name: 'laptop' })
        await tokens.revoke((await again()).token.id)
        await tokens.revokeCredential((await again()).credential)
        await again()
        await tokens.revokeAll({ user: 'ada' })
        await again()
      })

      it('are free when it expires, and not before', async () => {
        const { clock, tokens } = set()
        await tokens.issue({ user: 'ada', name: 'laptop', expiresIn: '1h' })
        clock.advance(hour - 1)
        await assert.rejects(tokens.issue({ user: 'ada', name: 'laptop' }), taken)
        clock.advance(1)
        await tokens.issue({ user: 'ada', name: 'laptop' })
        assert.equal((await tokens.list({ user: 'ada' })).tokens.length, 1)
      })

      it('stay with a token that lives for years', async () => {
        const { clock, tokens } = set()
        const { credential } = await tokens.issue({ user: 'ada', name: 'server', expiresIn: 'never' })
        clock.advance(5_000 * day)
        assert.notEqual(await tokens.verify(credential), undefined)
        await assert.rejects(tokens.issue({ user: 'ada', name: 'server' }), taken)
      })

      it('of a damaged record are free', async () => {
        const stage = set()
        const { token } = await stage.tokens.issue({ user: 'ada', name: 'laptop' })
        const [name] = await stage.records('names')
        assert.ok(name)
        const { key, version: expected, expiresAt } = name
        await stage.store.replace({ key, expected, value: Buffer.from('not json'), expiresAt })
        assert.equal(await stage.tokens.revoke(token.id), true)
        await stage.tokens.issue({ user: 'ada', name: 'laptop' })
      })

      it('are not held by a claim that arrives after its token was revoked, from a clock that is ahead', async () => {
        const stage = set()
        const { token } = await stage.tokens.issue({ user: 'ada', name: 'laptop' })
        const [name] = await stage.records('names')
        assert.equal(await stage.tokens.revoke(token.id), true)
        stage.clock.advance(minute - 1)
        const claim = Buffer.from(JSON.stringify({ id: token.id, claiming: true }))
        const late = await stage.store.create({ key: name!.key, value: claim, expiresAt: never })
        assert.equal(late.status, 'conflict')
        await stage.tokens.issue({ user: 'ada', name: 'laptop' })
        assert.equal((await stage.tokens.list({ user: 'ada' })).tokens.length, 1)
      })

      it('a failed issue leaves a name that can be had a minute later', async () => {
        const stage = set()
        let writes = 0
        stage.plan = ({ writes: changes }) => (changes && ++writes > 1 ? 'fail' : undefined)
        const failed = await stage.tokens.issue({ user: 'ada', name: 'laptop' }).then(
          () => false,
          () => true,
        )
        stage.plan = () => undefined
        assert.equal(failed, !atomicBatch)
        if (!failed) return
        stage.clock.advance(minute)
        await stage.tokens.issue({ user: 'ada', name: 'laptop' })
        assert.equal((await stage.tokens.list({ user: 'ada' })).tokens.length, 1)
      })
    })
  }
})

describe('revoking', () => {
  it('one: not valid, not found, and a second time is told [K12 K40 K57 D34]', async () => {
    const { tokens } = new Stage()
    const { credential, token } = await tokens.issue({ user: 'ada' })
    const other = await tokens.issue({ user: 'ada' })
    assert.equal(await tokens.revoke(token.id), true)
    assert.equal(await tokens.verify(credential), undefined)
    assert.equal(await tokens.get(token.id), undefined)
    assert.equal(await tokens.revoke(token.id), false)
    assert.equal(await tokens.revokeCredential(credential), false)
    assert.equal(await tokens.revoke('unknown'), false)
    assert.notEqual(await tokens.verify(other.credential), undefined)
  })

  it('by its credential [G6]', async () => {
    const { tokens } = new Stage()
    const { credential } = await tokens.issue({ user: 'ada' })
    assert.equal(await tokens.revokeCredential(credential), true)
    assert.equal(await tokens.verify(credential), undefined)
  })

  it('all of a user’s: answers with exactly those that it ended, and spares the others [K14 K16 K25 K58]', async () => {
    const { clock, tokens } = new Stage()
    const issue = async (user: string, ...labels: string[]): Promise<string> =>
      (await tokens.issue({ user, labels })).token.id
    const expired = (await tokens.issue({ user: 'ada', expiresIn: '1m' })).token.id
    clock.advance(minute)
    const gone = await issue('ada')
    await tokens.revoke(gone)
    const [one, two, bob] = [
      await issue('ada'),
      await issue('ada', 'tenant:t1'),
      await issue('bob', 'tenant:t1'),
    ]
    assert.deepEqual(await tokens.revokeAll({ user: 'ada', labels: ['user:bob'] }), [])
    assert.deepEqual(await tokens.revokeAll({ user: 'ada', labels: ['tenant:t1'] }), [two])
    assert.deepEqual(await tokens.revokeAll({ user: 'ada' }), [one])
    assert.deepEqual(await tokens.revokeAll({ user: 'ada' }), [])
    assert.equal((await tokens.get(bob))?.user, 'bob')
    assert.equal(await tokens.get(expired), undefined)
    await assert.rejects(tokens.revokeAll({}), { code: 'HOLDFAST_INVALID_OPTION' })
    assert.deepEqual(await tokens.revokeAll({ user: 'nobody' }), [])
    const { credential } = await tokens.issue({ user: 'ada', labels: ['tenant:t1'] })
    assert.notEqual(await tokens.verify(credential), undefined)
  })

  it('the dead do not slow the living: revoked tokens are not among the user’s', async () => {
    const stage = new Stage()
    for (let i = 0; i < 5; i++)
      await stage.tokens.revoke((await stage.tokens.issue({ user: 'ada' })).token.id)
    const { records } = await stage.store.list('tokens', { labels: ['user:ada'], expired: true })
    assert.equal(records.length, 0)
  })

  it('listing by user and labels, all of which must match [K46 K47 K48 K56]', async () => {
    const { tokens } = new Stage()
    const both = (await tokens.issue({ user: 'ada', labels: ['tenant:t1', 'client:cli'] })).token.id
    const none = (await tokens.issue({ user: 'ada' })).token.id
    await tokens.issue({ user: 'bob', labels: ['tenant:t1'] })
    const list = async (filter: Parameters<typeof tokens.list>[0]): Promise<string[]> =>
      (await tokens.list(filter)).tokens.map(({ id }) => id).toSorted()
    assert.deepEqual(await list({ user: 'ada' }), [both, none].toSorted())
    assert.deepEqual(await list({ user: 'ada', labels: ['client:cli', 'tenant:t1'] }), [both])
    assert.deepEqual(await list({ user: 'ada', labels: ['tenant:t2'] }), [])
    assert.deepEqual(await list({ user: 'ada', labels: ['user:bob'] }), [])
  })

  it('in pages: each once [C14]', async () => {
    const { tokens } = new Stage()
    for (let i = 0; i < 11; i++) await tokens.issue({ user: 'ada' })
    const seen = new Set<string>()
    let after: string | undefined
    let pages = 0
    do {
      const page = await tokens.list({ user: 'ada', limit: 2, ...(after === undefined ? {} : { after }) })
      for (const { id } of page.tokens) seen.add(id)
      after = page.next
      pages++
    } while (after !== undefined)
    assert.ok(seen.size === 11 && pages >= 6)
  })
})
