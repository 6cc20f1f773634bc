import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { generateRingKey, KeyRing } from '../../packages/holdfast/src/credentials/key-ring.ts'
import { InvalidOption, KeyUnknown, RecordCorrupt } from '../../packages/holdfast/src/errors.ts'

describe('a key ring', () => {
  it('opens what it sealed, for what it was bound to', () => {
    const ring = new KeyRing([generateRingKey('k1')])
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (plain, bound) => {
        assert.deepEqual(ring.open(ring.seal(plain, bound), bound), Buffer.from(plain))
        assert.throws(() => ring.open(ring.seal(plain, bound), `${bound}x`), RecordCorrupt)
      }),
    )
  })

  it('is rolled without a moment in which something cannot be opened', () => {
    const [a, b, c] = [generateRingKey('a'), generateRingKey('b'), generateRingKey('c')]
    const sealedByA = new KeyRing([a]).seal(Buffer.from('x'), 's')
    const rolled = new KeyRing([b, a])
    assert.deepEqual(rolled.ids, ['b', 'a'])
    assert.equal(rolled.open(sealedByA, 's').toString(), 'x')
    const sealedByB = rolled.seal(Buffer.from('y'), 's')
    assert.equal(new KeyRing([c, b]).open(sealedByB, 's').toString(), 'y')
    assert.throws(() => new KeyRing([c, b]).open(sealedByA, 's'), KeyUnknown)
  })

  it('refuses keys that are none', () => {
    const secret = randomBytes(32)
    for (const keys of [
      [],
      [{ id: '', secret }],
      [{ id: 'a b', secret }],
      [{ id: 'a'.repeat(33), secret }],
      [{ id: 'a', secret: randomBytes(31) }],
      [{ id: 'a', secret: randomBytes(33) }],
      [
        { id: 'a', secret },
        { id: 'a', secret: randomBytes(32) },
      ],
    ]) {
      assert.throws(() => new KeyRing(keys), InvalidOption, keys.map(({ id }) => id).join())
    }
  })

  it('does not show its secrets', () => {
    const key = generateRingKey('k1')
    const ring = new KeyRing([key])
    const shown = `${JSON.stringify(ring)} ${inspect(ring)} ${Object.keys(ring).join()}`
    assert.ok(!shown.includes(Buffer.from(key.secret).toString('hex')))
    assert.ok(!shown.includes('secret'))
    const sealed = ring.seal(Buffer.from('x'), 's')
    assert.ok(!sealed.includes(Buffer.from(key.secret)))
  })

  it('refuses rubbish as corrupt, whatever it is', () => {
    const ring = new KeyRing([generateRingKey('k1')])
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        assert.throws(
          () => ring.open(bytes, 's'),
          (error) => error instanceof RecordCorrupt || error instanceof KeyUnknown,
        )
      }),
    )
  })
})
