import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { digestOf, equalInConstantTime } from '../../packages/holdfast/src/credentials/digest.ts'

describe('digestOf', () => {
  it('is SHA-256, as base64url', () => {
    assert.equal(digestOf('abc'), 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0')
    assert.equal(digestOf(''), '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
  })
})

describe('equalInConstantTime', () => {
  it('says what === says', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\u{1F600}'), maxLength: 4 })
    fc.assert(fc.property(text, text, (a, b) => equalInConstantTime(a, b) === (a === b)))
    fc.assert(fc.property(fc.string(), (a) => equalInConstantTime(a, Buffer.from(a).toString())))
  })

  it('says so of texts as long as a digest, also of characters that look alike in fewer bytes', () => {
    const unit = fc.constantFrom('a', '\u0061', '\u0161', '\u{1F600}')
    const text = fc.string({ unit, minLength: 20, maxLength: 43 }).map((each) => each.padEnd(43, 'a'))
    fc.assert(fc.property(text, text, (a, b) => equalInConstantTime(a, b) === (a === b)))
    assert.equal(equalInConstantTime('a'.repeat(43), '\u0161'.repeat(43)), false)
    assert.equal(equalInConstantTime('a'.repeat(43), 'a'.repeat(43)), true)
  })

  it('takes texts of different lengths [G2]', () => {
    assert.equal(equalInConstantTime('a', 'ab'), false)
    assert.equal(equalInConstantTime('', 'a'), false)
    assert.equal(equalInConstantTime('', ''), true)
  })
})
