import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { InvalidExpiry, InvalidKey, InvalidLabel, ValueTooLarge } from '../../packages/holdfast/src/errors.ts'
import {
  carries,
  checkInstant,
  checkKey,
  checkLabel,
  checkNamespace,
  checkValue,
  compareBytes,
  isId,
  isLive,
  keyText,
  label,
  maxLabels,
  never,
  orderedLabels,
} from '../../packages/holdfast/src/store/record.ts'

describe('a key', () => {
  it('is accepted or refused, never changed [T16]', () => {
    for (const id of ['a', 'A', '_', '~', '-', '0', 'a'.repeat(120)]) {
      checkKey({ collection: 'sessions', id })
      assert.ok(isId(id))
    }
    const refused = ['', 'a'.repeat(121), 'a.b', 'a/b', '../x', 'a b', 'a\n', 'ä', 'a\0', '%2e', 'a:b']
    for (const id of refused) {
      assert.throws(() => checkKey({ collection: 'sessions', id }), InvalidKey, JSON.stringify(id))
      assert.ok(!isId(id))
    }
    for (const collection of ['', 'Sessions', '1a', 'a_b', 'a'.repeat(33), 'a/b', 'a\n']) {
      assert.throws(() => checkKey({ collection, id: 'x' }), InvalidKey, JSON.stringify(collection))
      assert.throws(() => checkNamespace(collection), InvalidKey)
    }
    checkKey({ collection: 'a'.repeat(32), id: 'x' })
    checkNamespace('my-app2')
  })

  it('is refused where it is not a text at all, though its text would do [K1]', () => {
    for (const other of [undefined, null, 1, true, ['a'], { toString: () => 'a' }]) {
      const text = other as unknown as string
      assert.throws(() => checkKey({ collection: 'sessions', id: text }), InvalidKey)
      assert.throws(() => checkKey({ collection: text, id: 'x' }), InvalidKey)
      assert.throws(() => checkNamespace(text), InvalidKey)
      assert.ok(!isId(text))
    }
  })

  it('has a text of its own', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', '-'), minLength: 1, maxLength: 4 })
    const key = fc.record({ collection: word, id: word })
    fc.assert(
      fc.property(key, key, (a, b) => {
        assert.equal(keyText(a) === keyText(b), a.collection === b.collection && a.id === b.id)
      }),
    )
  })

  it('is shown in an error only in part', () => {
    assert.throws(
      () => checkKey({ collection: 'sessions', id: 'x y'.repeat(500) }),
      ({ message }: Error) => message.length < 200,
    )
  })
})

describe('a label', () => {
  it('is name:value with any Unicode up to 200 bytes [K28]', () => {
    for (const [name, value] of [
      ['user', 'ada'],
      ['user', ' ada '],
      ['user', 'a:b:c'],
      ['user', '\u{1F600}'.repeat(50)],
      ['user', 'ä'.repeat(100)],
      ['user', 'x'.repeat(200)],
      ['a'.repeat(32), '\n'],
    ] as const) {
      assert.equal(label(name, value), `${name}:${value}`)
    }
    for (const [name, value] of [
      ['user', ''],
      ['user', 'x'.repeat(201)],
      ['user', 'ä'.repeat(101)],
      ['user', '\u{1F600}'.repeat(51)],
      ['user', 'a\0b'],
      ['user', '\uD800'],
      ['user', '\uDC00a'],
      ['', 'ada'],
      ['User', 'ada'],
      ['1user', 'ada'],
      ['a'.repeat(33), 'ada'],
      ['us er', 'ada'],
    ] as const) {
      assert.throws(() => label(name, value), InvalidLabel, JSON.stringify([name, value]))
    }
    for (const text of ['ada', ':ada', '', undefined, 7, null]) {
      assert.throws(() => checkLabel(text as string), InvalidLabel)
    }
  })

  it('is limited by bytes, exactly', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 230 }), (value) => {
        const fits = Buffer.byteLength(value) <= 200 && !value.includes('\0') && value.isWellFormed()
        if (fits) checkLabel(`user:${value}`)
        else assert.throws(() => checkLabel(`user:${value}`), InvalidLabel)
      }),
    )
  })

  it('comes in byte order, once, at most sixteen of them', () => {
    assert.deepEqual(orderedLabels(['user:b', 'user:a', 'tenant:x', 'user:a']), [
      'tenant:x',
      'user:a',
      'user:b',
    ])
    assert.deepEqual(orderedLabels([]), [])
    const given = Object.freeze(['user:b', 'user:a'])
    orderedLabels(given)
    const many = Array.from({ length: maxLabels + 1 }, (_, i) => `user:${i}`)
    assert.equal(orderedLabels(many.slice(1)).length, maxLabels)
    assert.throws(() => orderedLabels(many), InvalidLabel)
    assert.equal(orderedLabels([...many.slice(1), ...many.slice(1)]).length, maxLabels)
    assert.throws(() => orderedLabels(['user:a', 'wrong']), InvalidLabel)
    assert.throws(() => orderedLabels(['wrong']), InvalidLabel)
  })

  it('is found only whole', () => {
    assert.ok(carries(['tenant:t', 'user:ada'], ['user:ada']))
    assert.ok(carries(['user:ada'], []))
    assert.ok(!carries(['user:ada'], ['user:ad']))
    assert.ok(!carries(['user:ada'], ['user:Ada']))
    assert.ok(!carries(['user:ada'], ['user:ada', 'tenant:t']))
  })
})

describe('compareBytes', () => {
  it('orders as UTF-8 bytes do, also beyond U+FFFF', () => {
    assert.deepEqual(
      ['\uFF5E', '\u{1F600}'].sort(),
      ['\u{1F600}', '\uFF5E'],
      'JavaScript orders these the other way round',
    )
    assert.ok(compareBytes('\u{1F600}', '\uFF5E') > 0)
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', '\u07FF', '\uD7FF', '\uE000', '\uFFFD', '\u{10000}', '\u{1F600}'),
    })
    fc.assert(
      fc.property(text, text, (a, b) => {
        assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('an instant', () => {
  it('is whole milliseconds or never', () => {
    for (const good of [0, 1, Date.now(), never]) checkInstant(good, 'expiresAt')
    for (const bad of [-1, 0.5, Number.NaN, Infinity, never + 1, undefined, null, '5', new Date()]) {
      assert.throws(() => checkInstant(bad as number, 'expiresAt'), InvalidExpiry, String(bad))
    }
  })

  it('is over exactly when it comes [K5 T23]', () => {
    assert.ok(isLive({ expiresAt: 10 }, 9))
    assert.ok(!isLive({ expiresAt: 10 }, 10))
    assert.ok(!isLive({ expiresAt: 10 }, 11))
    assert.ok(isLive({ expiresAt: never }, Date.UTC(9999, 0)))
  })
})

describe('a value', () => {
  it('has at most as many bytes as allowed', () => {
    const key = { collection: 'sessions', id: 'x' }
    checkValue(key, Buffer.alloc(10), 10)
    assert.throws(
      () => checkValue(key, Buffer.alloc(11), 10),
      (error: Error) => {
        assert.ok(error instanceof ValueTooLarge)
        assert.match(error.message, /sessions\/x has 11 bytes; the limit is 10/)
        return true
      },
    )
  })
})
