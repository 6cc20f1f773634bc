/** The parser of answers: wherever the stream is cut, the same answers come out; what is no answer is refused. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type Answer,
  Answers,
  Unintelligible,
} from '../../packages/holdfast/src/drivers/memcached/client/answers.ts'

const word = fc.stringMatching(/^[!-~]{1,12}$/)
const line = fc
  .tuple(
    fc.constantFrom('HD', 'EN', 'NF', 'NS', 'EX', 'MN', 'STAT', 'END', 'OK', 'SERVER_ERROR'),
    fc.array(word),
  )
  .map(([status, words]): Answer => ({ status, words }))
/** Values that look like answers are the ones that a careless parser falls for. */
const value = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc
    .constantFrom('', '\r\n', 'END\r\n', 'VA 3\r\nabc\r\n', '\r', '\n')
    .map((text) => new Uint8Array(Buffer.from(text))),
)
const item = fc
  .tuple(value, fc.array(word))
  .map(([bytes, flags]): Answer => ({ status: 'VA', words: [String(bytes.length), ...flags], value: bytes }))

function written({ status, words, value: bytes }: Answer): Buffer {
  const head = Buffer.from(`${[status, ...words].join(' ')}\r\n`)
  return bytes ? Buffer.concat([head, bytes, Buffer.from('\r\n')]) : head
}

/** The stream in pieces that end at the positions, each in memory of its own. */
function pieces(stream: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const ends = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b)
  return [...ends, stream.length].map((end, i) =>
    Buffer.from(stream.subarray(i === 0 ? 0 : ends[i - 1], end)),
  )
}

function parsed(chunks: readonly Buffer[]): readonly Answer[] {
  const answers = new Answers()
  const found = chunks.flatMap((chunk) => answers.push(chunk))
  // Values have memory of their own, which nobody else changes.
  for (const chunk of chunks) chunk.fill(0xff)
  return found
}

describe('Memcached, answers', () => {
  it('are the same wherever the stream is cut', () => {
    const stream = fc.array(fc.oneof(line, item), { maxLength: 8 })
    const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 12 })
    fc.assert(
      fc.property(stream, cuts, (answers, at) => {
        const bytes = Buffer.concat(answers.map(written))
        assert.deepEqual(parsed(pieces(bytes, at)), answers)
      }),
      { numRuns: 2_000 },
    )
  })

  it('are the same when they come byte by byte, or all at once', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(line, item), { maxLength: 5 }), (answers) => {
        const bytes = Buffer.concat(answers.map(written))
        assert.deepEqual(parsed(Array.from(bytes, (byte) => Buffer.from([byte]))), answers)
        assert.deepEqual(parsed([Buffer.from(bytes)]), answers)
      }),
      { numRuns: 200 },
    )
  })

  it('with large values cost no more than their length', () => {
    const large = Buffer.alloc(3_000_000, 'x')
    const bytes = Buffer.concat([Buffer.from('VA 3000000 c1\r\n'), large, Buffer.from('\r\n')])
    const answers = new Answers()
    const started = performance.now()
    let found: readonly Answer[] = []
    for (let i = 0; i < bytes.length; i += 100) found = answers.push(bytes.subarray(i, i + 100))
    assert.equal(found[0]?.value?.length, 3_000_000)
    // Putting the pieces together at each of the 30,000 steps would copy 45 gigabytes.
    assert.ok(performance.now() - started < 4_000)
  })

  for (const [what, bytes] of [
    ['a value that is longer than announced', 'VA 2\r\nabc\r\n'],
    ['a value without a length', 'VA\r\nabc\r\n'],
    ['a length that is none', 'VA -1\r\n\r\n'],
    ['a length beyond all items', 'VA 9999999999\r\n'],
    ['an empty line', '\r\n'],
    ['a line feed by itself', 'HD\n'],
    ['a line without end', 'x'.repeat(5_000)],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => new Answers().push(Buffer.from(bytes)), Unintelligible)
      assert.throws(
        () => parsed(Array.from(Buffer.from(bytes), (byte) => Buffer.from([byte]))),
        Unintelligible,
      )
    })
  }
})
