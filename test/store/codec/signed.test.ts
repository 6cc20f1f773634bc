/** JSON that is compressed and signed: what comes back, what doesn't, and what sessions make of it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { generateRingKey, KeyRing } from '../../../packages/holdfast/src/credentials/key-ring.ts'
import {
  HoldfastError,
  InvalidOption,
  InvalidValue,
  KeyUnknown,
  RecordCorrupt,
  ValueTooLarge,
} from '../../../packages/holdfast/src/errors.ts'
import { jsonCodec, sealedCodec } from '../../../packages/holdfast/src/store/codec.ts'
import { signedCodec } from '../../../packages/holdfast/src/store/codec/signed.ts'
import { Stage } from '../../sessions/stage.ts'

const key = { collection: 'sessions', id: 'x' }
const ring = new KeyRing([generateRingKey('k1')])
const codec = signedCodec(ring)
const long = { text: 'again and '.repeat(100) }

/** What the codec would write around a body, had it made that body. */
function signedBody(body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(2), ring.signer('records').sign(body, 'sessions/x')])
}

describe('a signed value', () => {
  it('comes back as it was [D11 K28]', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'))
        assert.deepEqual(codec.decode(key, codec.encode(key, value)), JSON.parse(JSON.stringify(value)))
      }),
    )
    const within = Buffer.concat([Buffer.alloc(5, 0xff), codec.encode(key, long), Buffer.alloc(5, 0xff)])
    assert.deepEqual(codec.decode(key, within.subarray(5, -5)), long)
  })

  it('is compressed where that is shorter, and only there [D11]', () => {
    const text = JSON.stringify(long)
    assert.ok(codec.encode(key, long).length < text.length / 5)
    assert.ok(Buffer.from(codec.encode(key, { name: 'ada' })).includes('{"name":"ada"}'))
  })

  it('is corrupt when any bit of it was changed, or of an unknown key where that bit is in the key’s name [D12]', () => {
    for (const bytes of [codec.encode(key, { name: 'ada' }), codec.encode(key, long)]) {
      for (let at = 0; at < bytes.length; at++) {
        for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
          const tampered = Buffer.from(bytes)
          tampered[at] = tampered[at]! ^ bit
          const error = caught(() => codec.decode(key, tampered))
          const inName = at >= 1 && at < 2 + 'k1'.length
          const right = error instanceof RecordCorrupt || (inName && error instanceof KeyUnknown)
          assert.ok(right, `bit ${bit} of byte ${at}: ${String(error)}`)
        }
      }
    }
  })

  it('is corrupt when it was cut or made longer, and garbage is [D12]', () => {
    const bytes = codec.encode(key, long)
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => codec.decode(key, bytes.subarray(0, length)), RecordCorrupt, `${length} bytes`)
    }
    assert.throws(() => codec.decode(key, Buffer.concat([bytes, Buffer.of(0)])), RecordCorrupt)
    for (const garbage of ['', 'garbage', '\u0002', '\u0002\u0002k1', '{}']) {
      assert.throws(() => codec.decode(key, Buffer.from(garbage)), RecordCorrupt, garbage)
    }
  })

  it('of another purpose, record or collection does not decode [D11]', () => {
    const bytes = codec.encode(key, { admin: false })
    assert.throws(() => signedCodec(ring, { purpose: 'other' }).decode(key, bytes), RecordCorrupt)
    assert.throws(() => codec.decode({ collection: 'sessions', id: 'y' }, bytes), RecordCorrupt)
    assert.throws(() => codec.decode({ collection: 'tokens', id: 'x' }, bytes), RecordCorrupt)
    const same = signedCodec(ring, { purpose: 'other' })
    assert.deepEqual(same.decode(key, same.encode(key, 1)), 1)
  })

  it('is a misconfiguration without its key, and never corrupt', () => {
    const bytes = codec.encode(key, 1)
    const without = signedCodec(new KeyRing([generateRingKey('k2')]))
    assert.throws(() => without.decode(key, bytes), KeyUnknown)
    assert.throws(() => without.decode(key, bytes), /k1, which is not in the ring \(k2\)/)
    assert.throws(() => jsonCodec.decode(key, bytes), KeyUnknown)
    assert.throws(
      () => signedCodec(new KeyRing([generateRingKey('k1')])).decode(key, bytes),
      RecordCorrupt,
      'another key of the same name',
    )
  })

  it('is verified with every key of the ring and signed with the first', () => {
    const [old, young] = [generateRingKey('old'), generateRingKey('young')]
    const before = signedCodec(new KeyRing([old]))
    const after = signedCodec(new KeyRing([young, old]))
    assert.equal(after.decode(key, before.encode(key, 7)), 7)
    assert.throws(() => before.decode(key, after.encode(key, 7)), KeyUnknown)
  })

  it('that is well signed and no JSON, or not written by us, is corrupt without a word of it [D13]', () => {
    const bodies = [
      Buffer.from('\u0000{"secret": "hunter2"'),
      Buffer.concat([Buffer.of(1), deflateRawSync(Buffer.from('{"secret": "hunter2"'))]),
      Buffer.from('\u0001hunter2, not deflated'),
      Buffer.from('\u0007hunter2'),
      Buffer.alloc(0),
    ]
    for (const body of bodies) {
      const error = caught(() => codec.decode(key, signedBody(body)))
      assert.ok(error instanceof RecordCorrupt, String(error))
      assert.doesNotMatch(`${error.message} ${error.stack} ${String(error.cause)}`, /hunter2/)
    }
  })

  it('never lets stored data reach a prototype [T13]', () => {
    const value = codec.decode(key, signedBody(Buffer.from('\u0000{"a":{"__proto__":{"admin":true}}}')))
    assert.deepEqual(value, { a: {} })
    assert.throws(() => codec.encode(key, JSON.parse('{"__proto__":{"admin":true}}')), InvalidValue)
    assert.throws(() => codec.encode(key, { n: 1n }), InvalidValue)
  })

  it('that would be gigabytes takes no more memory than was allowed', () => {
    const bomb = signedBody(Buffer.concat([Buffer.of(1), deflateRawSync(Buffer.alloc(64 * 1_048_576))]))
    assert.ok(bomb.length < 100_000)
    const before = process.memoryUsage().arrayBuffers
    assert.throws(() => codec.decode(key, bomb), /holds more than 1048576 bytes/)
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 1_048_576)
    const small = signedCodec(ring, { longest: 1_000 })
    assert.throws(() => small.decode(key, codec.encode(key, long)), RecordCorrupt)
    assert.throws(() => small.encode(key, long), ValueTooLarge)
    const text = 'x'.repeat(998)
    assert.equal(small.decode(key, small.encode(key, text)), text)
  })

  it('is all that is accepted, unless plain values are to be read as well', () => {
    const plain = jsonCodec.encode(key, { a: 1 })
    assert.throws(() => codec.decode(key, plain), RecordCorrupt)
    assert.throws(() => codec.decode(key, sealedCodec(ring).encode(key, 1)), RecordCorrupt)
    const lenient = signedCodec(ring, { acceptPlain: true })
    assert.deepEqual(lenient.decode(key, plain), { a: 1 })
    assert.equal(lenient.encode(key, 1)[0], 2, 'what is written is signed')
  })

  it('options that can’t be honoured are refused', () => {
    for (const options of [{ purpose: '' }, { longest: 0 }, { longest: 1.5 }, { longest: Number.NaN }]) {
      assert.throws(() => signedCodec(ring, options), InvalidOption)
    }
  })
})

describe('sessions over signed values', () => {
  async function tampered(change: (bytes: Uint8Array) => Uint8Array): Promise<Stage> {
    const stage = new Stage()
    const sessions = stage.process({}, codec)
    const { credential } = await sessions.start({ user: 'ada', data: { admin: 'no' } })
    assert.equal((await sessions.load(credential)).get('admin'), 'no')
    const [record] = await stage.records()
    assert.ok(record)
    const { version: expected, expiresAt } = record
    const value = change(record.value)
    const written = await stage.store.replace({ key: record.key, expected, expiresAt, value })
    assert.equal(written.status, 'done')
    const session = await sessions.load(credential)
    assert.deepEqual([session.isNew, session.data], [true, {}])
    return stage
  }

  it('what was tampered with is an empty session, and one event [D12]', async () => {
    const changes: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
      (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]),
      (bytes) => bytes.subarray(0, -1),
      () => Buffer.from('garbage'),
      () => jsonCodec.encode(key, {}),
      () => signedCodec(ring, { purpose: 'another class of sessions' }).encode(key, {}),
      () => codec.encode({ collection: 'sessions', id: 'of another record' }, {}),
      () => Buffer.alloc(0),
    ]
    for (const change of changes) {
      const { events } = await tampered(change)
      assert.deepEqual(
        events.map(({ type }) => type),
        ['corrupt'],
      )
    }
  })

  it('a key that is missing is an error and logs nobody out', async () => {
    const stage = new Stage()
    const sessions = stage.process({}, codec)
    const { credential } = await sessions.start()
    const other = stage.process({}, signedCodec(new KeyRing([generateRingKey('k2')])))
    await assert.rejects(other.load(credential), { code: 'HOLDFAST_KEY_UNKNOWN' })
    assert.deepEqual(stage.events, [])
    assert.equal((await sessions.load(credential)).isNew, false)
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
