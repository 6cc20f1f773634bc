import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { generateRingKey, KeyRing } from '../../packages/holdfast/src/credentials/key-ring.ts'
import { HoldfastError, InvalidValue, KeyUnknown, RecordCorrupt } from '../../packages/holdfast/src/errors.ts'
import { jsonCodec, sealedCodec } from '../../packages/holdfast/src/store/codec.ts'

const key = { collection: 'sessions', id: 'x' }
const ring = new KeyRing([generateRingKey('k1')])
const sealed = sealedCodec(ring)

for (const [name, codec] of [
  ['plain JSON', jsonCodec],
  ['sealed JSON', sealed],
] as const) {
  describe(name, () => {
    it('gives back what it was given [K28]', () => {
      fc.assert(
        fc.property(fc.jsonValue(), (value) => {
          fc.pre(!JSON.stringify(value).includes('__proto__'))
          assert.deepEqual(codec.decode(key, codec.encode(key, value)), JSON.parse(JSON.stringify(value)))
        }),
      )
    })

    it('gives back what is a view into something larger', () => {
      const bytes = codec.encode(key, { a: 1 })
      const within = new Uint8Array(bytes.length + 10).fill(0xff)
      within.set(bytes, 5)
      assert.deepEqual(codec.decode(key, within.subarray(5, 5 + bytes.length)), { a: 1 })
    })

    it('refuses what is not JSON', () => {
      const circular: Record<string, unknown> = {}
      circular['self'] = circular
      for (const value of [undefined, () => 1, Symbol('s'), 1n, { n: 1n }, circular]) {
        assert.throws(() => codec.encode(key, value), InvalidValue)
      }
    })

    it('reports what it cannot read without saying what was there', () => {
      const error = caught(() => codec.decode(key, Buffer.from('{"secret": "hunter2"')))
      assert.ok(error instanceof RecordCorrupt)
      assert.doesNotMatch(`${error.message} ${error.stack} ${String(error.cause)}`, /hunter2/)
      for (const bytes of ['', '{', 'undefined', '\0', "{'a': 1}", '{"a": 1} {']) {
        assert.throws(() => codec.decode(key, Buffer.from(bytes)), RecordCorrupt, bytes)
      }
    })

    it('takes bytes that are not UTF-8 for corrupt, and keeps a replacement character that somebody wrote', () => {
      const broken = Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xc3, 0x28), Buffer.from('"}')])
      assert.throws(() => codec.decode(key, broken), RecordCorrupt)
      assert.deepEqual(codec.decode(key, codec.encode(key, { a: 'x\uFFFDy' })), { a: 'x\uFFFDy' })
    })

    it('never lets stored data reach a prototype [T13]', () => {
      const texts = [
        '{"__proto__": {"admin": true}}',
        '{"a": {"__proto__": {"admin": true}}}',
        '[{"__proto__": {"admin": true}}]',
        '{"\\u005f\\u005fproto\\u005f\\u005f": {"admin": true}}',
        '{"__pr\\u006Fto__": {"admin": true}}',
        '{"_\\u005F\\u0070\\u0072\\u006f\\u0074\\u006f__": {"admin": true}}',
        '{"constructor": {"prototype": {"admin": true}}}',
        '{"constructor": {"\\u0070rototype": {"admin": true}}}',
      ]
      for (const text of texts) {
        const bytes =
          codec === jsonCodec
            ? Buffer.from(text)
            : Buffer.concat([Buffer.of(1), ring.seal(Buffer.from(text), 'sessions/x')])
        const value = codec.decode(key, bytes)
        assert.doesNotMatch(JSON.stringify(value), /admin/, text)
        const copy = merged({}, value as object) as { admin?: boolean }
        assert.equal(copy.admin, undefined)
        assert.equal(({} as { admin?: boolean }).admin, undefined)
      }
    })

    it('refuses to write what it would leave out when it reads', () => {
      for (const text of [
        '{"__proto__": 1}',
        '{"a": [{"__proto__": {}}]}',
        '{"constructor": {"prototype": {}}}',
        '{"\\u005f_proto__": 1}',
      ]) {
        assert.throws(() => codec.encode(key, JSON.parse(text)), InvalidValue, text)
      }
    })

    it('keeps what only looks like it', () => {
      const value = {
        text: '__proto__ constructor prototype',
        constructor: 'Bob the builder',
        proto: 1,
        prototype: 2,
        '"__proto__': 3,
      }
      assert.deepEqual(codec.decode(key, codec.encode(key, value)), value)
    })
  })
}

describe('a sealed value', () => {
  const bytes = sealed.encode(key, { name: 'ada', roles: ['admin'] })

  it('shows nothing of what is in it, and never looks the same twice', () => {
    assert.ok(!Buffer.from(bytes).includes('ada'))
    assert.notDeepEqual(sealed.encode(key, 1), sealed.encode(key, 1))
  })

  it('is corrupt when any bit of it was changed, or of an unknown key where that bit is in the key’s name', () => {
    const nameEnd = 2 + 'k1'.length
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
        const tampered = Buffer.from(bytes)
        tampered[at] = tampered[at]! ^ bit
        const error = caught(() => sealed.decode(key, tampered))
        const inName = at >= 1 && at < nameEnd
        const right = error instanceof RecordCorrupt || (inName && error instanceof KeyUnknown)
        assert.ok(right, `bit ${bit} of byte ${at}: ${String(error)}`)
      }
    }
  })

  it('is corrupt when it was cut or made longer', () => {
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => sealed.decode(key, bytes.subarray(0, length)), RecordCorrupt, `${length} bytes`)
    }
    assert.throws(() => sealed.decode(key, Buffer.concat([bytes, Buffer.of(0)])), RecordCorrupt)
  })

  it('is corrupt in another record or another collection', () => {
    assert.throws(() => sealed.decode({ collection: 'sessions', id: 'y' }, bytes), RecordCorrupt)
    assert.throws(() => sealed.decode({ collection: 'tokens', id: 'x' }, bytes), RecordCorrupt)
  })

  it('is a misconfiguration without its key, and never corrupt', () => {
    const without = sealedCodec(new KeyRing([generateRingKey('k2')]))
    assert.throws(() => without.decode(key, bytes), KeyUnknown)
    assert.throws(() => without.decode(key, bytes), /k1, which is not in the ring \(k2\)/)
    assert.throws(() => jsonCodec.decode(key, bytes), KeyUnknown)
  })

  it('is corrupt under another key of the same name', () => {
    assert.throws(() => sealedCodec(new KeyRing([generateRingKey('k1')])).decode(key, bytes), RecordCorrupt)
  })

  it('is read with every key of the ring and written with the first', () => {
    const [old, young] = [generateRingKey('old'), generateRingKey('young')]
    const before = sealedCodec(new KeyRing([old]))
    const after = sealedCodec(new KeyRing([young, old]))
    assert.equal(after.decode(key, before.encode(key, 7)), 7)
    assert.throws(() => before.decode(key, after.encode(key, 7)), KeyUnknown)
  })

  it('is all that is accepted, unless plain values are to be read as well', () => {
    const plain = jsonCodec.encode(key, { a: 1 })
    assert.throws(() => sealed.decode(key, plain), RecordCorrupt)
    const lenient = sealedCodec(ring, { acceptPlain: true })
    assert.deepEqual(lenient.decode(key, plain), { a: 1 })
    assert.deepEqual(lenient.decode(key, lenient.encode(key, { b: 2 })), { b: 2 })
    assert.equal(lenient.encode(key, 1)[0], 1, 'what is written is sealed')
  })
})

function caught(act: () => unknown): HoldfastError {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof HoldfastError, String(error))
    return error
  }
  assert.fail('nothing was thrown')
}

/** A careless merge, as programs have it. */
function merged(target: Record<string, unknown>, source: object): unknown {
  for (const [name, value] of Object.entries(source)) {
    if (typeof value === 'object' && value !== null && typeof target[name] === 'object') {
      merged(target[name] as Record<string, unknown>, value as object)
    } else target[name] = value
  }
  return target
}
