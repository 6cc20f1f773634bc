import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  assemble,
  checkPrefix,
  mintId,
  mintSecret,
  parse,
} from '../../packages/holdfast/src/credentials/credential.ts'
import { InvalidOption } from '../../packages/holdfast/src/errors.ts'

const prefix = 'hfs_'
const idLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~-'

function anyParts(): fc.Arbitrary<{ id: string; secret: string }> {
  return fc
    .tuple(
      fc.string({ unit: fc.constantFrom(...idLetters.split(/(?:)/)), minLength: 1, maxLength: 120 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
    )
    .map(([id, secret]) => ({ id, secret: Buffer.from(secret).toString('base64url') }))
}

describe('a credential', () => {
  it('is taken apart into what it was made of', () => {
    fc.assert(
      fc.property(anyParts(), fc.stringMatching(/^[A-Za-z0-9_]{1,24}$/), (parts, any) => {
        assert.deepEqual(parse(any, assemble(any, parts)), parts)
      }),
    )
  })

  it('has the shape that is promised to secret scanners [G1]', () => {
    const credential = assemble(prefix, { id: mintId(), secret: mintSecret() })
    assert.match(credential, /^hfs_[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}$/)
  })

  it('has a checksum that others can compute: CRC-32 of all before it, six digits of base 62', () => {
    // Computed by hand: zlib.crc32 of the body, in the digits 0-9 A-Z a-z.
    const body = 'hfs_AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    const credential = assemble(prefix, { id: 'A'.repeat(22), secret: 'A'.repeat(43) })
    assert.equal(credential.slice(0, -6), body)
    assert.equal(credential.slice(-6), '2fxDME')
  })

  it('is refused when any of its characters is another [G1]', () => {
    const credential = assemble(prefix, { id: mintId(), secret: mintSecret() })
    for (let at = 0; at < credential.length; at++) {
      for (const letter of `${idLetters}. =+/\0é`) {
        if (letter === credential[at]) continue
        const changed = credential.slice(0, at) + letter + credential.slice(at + 1)
        assert.equal(parse(prefix, changed), undefined, `${letter} at ${at}`)
      }
    }
  })

  it('is refused when characters are missing, added or exchanged [G1]', () => {
    const credential = assemble(prefix, { id: mintId(), secret: mintSecret() })
    for (let at = 0; at < credential.length; at++) {
      assert.equal(parse(prefix, credential.slice(0, at) + credential.slice(at + 1)), undefined)
      assert.equal(parse(prefix, `${credential.slice(0, at)}A${credential.slice(at)}`), undefined)
      const exchanged = credential.split(/(?:)/)
      ;[exchanged[at], exchanged[at + 1]] = [exchanged[at + 1] ?? '', exchanged[at] ?? '']
      const text = exchanged.join('')
      if (text !== credential) assert.equal(parse(prefix, text), undefined)
    }
  })

  it('is refused under another prefix, and where it is not a text', () => {
    // One that began with an underscore would name another record under 'hfs__'.
    const credential = assemble(prefix, { id: `a${mintId().slice(1)}`, secret: mintSecret() })
    for (const other of ['hft_', 'hfs__', 'xhfs_', 'HFS_']) assert.equal(parse(other, credential), undefined)
    for (const other of [
      '',
      'hfs_',
      '.',
      'hfs_.',
      undefined,
      null,
      1,
      {},
      [credential],
      Buffer.from(credential),
    ]) {
      assert.equal(parse(prefix, other), undefined)
    }
    assert.equal(parse(prefix, `${credential} `), undefined)
    assert.equal(parse(prefix, `${credential}\n`), undefined)
  })

  it('names another record under a prefix that begins its own', () => {
    const parts = { id: mintId(), secret: mintSecret() }
    assert.deepEqual(parse('hfs', assemble(prefix, parts)), { ...parts, id: `_${parts.id}` })
  })

  it('is refused whatever else is sent, without throwing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => parse(prefix, text) === undefined),
    )
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => parse(prefix, prefix + text) === undefined),
    )
  })
})

describe('what is minted', () => {
  it('is random, of a fixed length, and a valid id [T1]', () => {
    const ids = Array.from({ length: 5_000 }, mintId)
    const secrets = Array.from({ length: 5_000 }, mintSecret)
    assert.equal(new Set([...ids, ...secrets]).size, 10_000)
    for (const id of ids)
      assert.match(id, /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/, 'never an option of a command line')
    for (const secret of secrets) assert.match(secret, /^[A-Za-z0-9_-]{43}$/)
  })

  it('uses every character about equally often', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 5_000; i++) {
      for (const letter of mintSecret().slice(0, 42)) counts.set(letter, (counts.get(letter) ?? 0) + 1)
    }
    assert.equal(counts.size, 64)
    const mean = (5_000 * 42) / 64
    for (const [letter, count] of counts)
      assert.ok(Math.abs(count - mean) < mean * 0.15, `${letter}: ${count}`)
  })
})

describe('checkPrefix', () => {
  it('takes letters, digits and underscores only', () => {
    for (const good of ['hfs_', 'a', 'A'.repeat(24)]) checkPrefix(good)
    for (const bad of ['', 'a.b', 'a-', 'a b', 'A'.repeat(25), 'a\n']) {
      assert.throws(() => checkPrefix(bad), InvalidOption)
    }
  })
})
