/** The signature of the drop-in's cookie, and what is remembered of those that were right. */

import assert from 'node:assert/strict'
import { createHmac, createSecretKey } from 'node:crypto'
import { describe, it } from 'node:test'
import { signed, unsigned } from '../../packages/holdfast/src/web/express/signature.ts'

describe('the signature of a cookie', () => {
  it('is the one that cookie-signature writes', () => {
    const signature = createHmac('sha256', 'keyboard cat').update('abc').digest('base64').replace(/=+$/, '')
    assert.equal(signed('abc', ['keyboard cat']), `s:abc.${signature}`)
  })

  it('is right again and again, and wrong beside what was right', () => {
    const cookie = signed('abc', ['one'])
    for (let i = 0; i < 3; i++) {
      assert.equal(unsigned(cookie, ['one']), 'abc')
      assert.equal(unsigned(cookie, ['zero', 'one']), 'abc')
      assert.equal(unsigned(`${cookie}x`, ['one']), undefined)
      assert.equal(unsigned(cookie.replace('abc', 'abd'), ['one']), undefined)
      assert.equal(unsigned(cookie.slice(2), ['one']), undefined)
    }
  })

  it('is refused from the moment on at which its secret is taken away', () => {
    const secrets = ['new', 'old']
    const cookie = signed('abc', ['old'])
    assert.equal(unsigned(cookie, secrets), 'abc')
    secrets.pop()
    assert.equal(unsigned(cookie, secrets), undefined)
    assert.equal(unsigned(cookie, ['another']), undefined)
    assert.equal(unsigned(cookie, ['old']), 'abc')
  })

  it('is checked anew under secrets that are no texts', () => {
    const key = createSecretKey(Buffer.from('one'))
    const bytes = Buffer.from('one')
    const cookie = signed('abc', ['one'])
    assert.equal(unsigned(cookie, [key]), 'abc')
    assert.equal(unsigned(cookie, [bytes]), 'abc')
    bytes.fill(0)
    assert.equal(unsigned(cookie, [bytes]), undefined)
  })

  it('is right for more cookies than are remembered', () => {
    const cookies = Array.from({ length: 3_000 }, (_, i) => signed(String(i), ['one']))
    for (let round = 0; round < 2; round++) {
      for (const [i, cookie] of cookies.entries()) assert.equal(unsigned(cookie, ['one']), String(i))
    }
  })
})
