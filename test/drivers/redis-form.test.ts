/** A record as one string: what is written is read, and nothing else is. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  headerBytes,
  mostBeforeValue,
  recordIfWhole,
  recordOf,
  written,
} from '../../packages/holdfast/src/drivers/redis/form.ts'
import { RecordCorrupt } from '../../packages/holdfast/src/errors.ts'
import { never, type StoredRecord } from '../../packages/holdfast/src/store/record.ts'

const key = { collection: 'sessions', id: 'a' }
const plain: StoredRecord = {
  key,
  version: '1763720000000.abcdefghijkl',
  labels: ['tenant:t', 'user:Ada \u{1f600}'],
  value: new Uint8Array(Buffer.from('{"a":1}')),
  expiresAt: 1_763_720_000_001,
  touchedAt: 1_763_720_000_000,
}

const records: Readonly<Record<string, StoredRecord>> = {
  'a usual record': plain,
  'one without labels and without a value': { ...plain, labels: [], value: new Uint8Array() },
  'one for ever': { ...plain, expiresAt: never },
  'one from the beginning of time': { ...plain, expiresAt: 1, touchedAt: 0 },
  'one of any bytes': { ...plain, value: Uint8Array.from({ length: 256 }, (_, i) => i) },
  'a large one': { ...plain, value: new Uint8Array(512 * 1_024).fill(0x61) },
  'one with all labels at their longest': {
    ...plain,
    labels: Array.from({ length: 16 }, (_, i) => `${'n'.repeat(32)}:${String(i).padEnd(200, 'v')}`),
  },
}

function bytesOf(record: StoredRecord): Buffer {
  const argument = written(record)
  return typeof argument === 'string' ? Buffer.from(argument) : argument
}

describe('Redis, the form of a record', () => {
  for (const [name, record] of Object.entries(records)) {
    it(`keeps ${name}`, () => {
      const bytes = bytesOf(record)
      assert.deepEqual(recordOf(key, bytes), record)
      const head = bytes.subarray(0, mostBeforeValue)
      assert.deepEqual(recordIfWhole(key, head, false), { ...record, value: new Uint8Array() })
    })
  }

  it('hands out a copy of the value, and takes one', () => {
    const value = Uint8Array.from([200, 1, 2])
    const bytes = bytesOf({ ...plain, value })
    value.fill(0)
    const record = recordOf(key, bytes)
    bytes.fill(0)
    assert.deepEqual(record?.value, Uint8Array.from([200, 1, 2]))
  })

  it('tells what is not there from what is corrupt', () => {
    assert.equal(recordOf(key, null), undefined)
    const whole = bytesOf(plain)
    const corrupt = [
      Buffer.alloc(0),
      Buffer.from('not a record'),
      whole.subarray(0, headerBytes - 1),
      whole.subarray(0, headerBytes + 10),
      Buffer.from(`2${whole.toString().slice(1)}`),
      Buffer.from(`${whole.toString().slice(0, 33)}000${whole.toString().slice(36)}`),
    ]
    // A letter, a sign, a point or a space for a digit: each place of the header, each alone.
    for (let at = 1; at < headerBytes; at++) {
      for (const wrong of 'x-. ') {
        const bytes = Buffer.from(whole)
        bytes.write(wrong, at)
        corrupt.push(bytes)
      }
    }
    const beyond = Buffer.from(whole)
    beyond.write('9'.repeat(16), 1)
    for (const bytes of [...corrupt, beyond]) {
      assert.throws(() => recordOf(key, bytes), RecordCorrupt, bytes.toString())
      assert.equal(recordIfWhole(key, bytes, true), undefined)
    }
  })
})
