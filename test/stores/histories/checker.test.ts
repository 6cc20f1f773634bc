/** The checker of histories: what it lets pass, and what it must refuse. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Answered, type Asked, described, type Event, violation } from './checker.ts'

/** A call from one instant to another. */
function call(begun: number, ended: number, asked: Asked, answered: Answered): Event {
  return { key: 'k', asked, answered, begun, ended }
}

const create = (mark: string): Asked => ({ do: 'create', mark, touchedAt: 1 })
const replace = (expected: string, mark: string): Asked => ({ do: 'replace', expected, mark, touchedAt: 1 })
const bury = (expected: string, mark: string): Asked => ({ do: 'bury', expected, mark, touchedAt: 1 })
const touch = (expected: string, touchedAt: number): Asked => ({ do: 'touch', expected, touchedAt })
const read: Asked = { do: 'read' }
const found = (mark: string, touchedAt = 1): Answered => ({ mark, touchedAt })

const good: Readonly<Record<string, readonly Event[]>> = {
  'nothing at all': [],
  'one after the other': [
    call(0, 1, read, null),
    call(2, 3, create('a'), 'done'),
    call(4, 5, create('b'), 'conflict'),
    call(6, 7, replace('a', 'c'), 'done'),
    call(8, 9, replace('a', 'd'), 'conflict'),
    call(10, 11, touch('c', 9), 'done'),
    call(12, 13, read, found('c', 9)),
  ],
  'a read during a write sees either': [
    call(0, 1, create('a'), 'done'),
    call(2, 9, replace('a', 'b'), 'done'),
    call(3, 4, read, found('a')),
    call(5, 6, read, found('b')),
  ],
  'of two writers at once the later in time may be the first': [
    call(0, 1, create('a'), 'done'),
    call(2, 9, replace('a', 'b'), 'conflict'),
    call(3, 8, replace('a', 'c'), 'done'),
  ],
  'a write of unknown outcome that happened': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, replace('a', 'b'), 'unknown'),
    call(4, 5, read, found('b')),
  ],
  'one that did not': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, replace('a', 'b'), 'unknown'),
    call(4, 5, read, found('a')),
    call(6, 7, replace('a', 'c'), 'done'),
    call(8, 9, read, found('c')),
  ],
  'one that happened long after it was given up': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, replace('a', 'b'), 'unknown'),
    call(4, 5, read, found('a')),
    call(6, 7, read, found('b')),
  ],
  'gone before it was created': [call(0, 5, create('a'), 'done'), call(1, 2, replace('a', 'b'), 'gone')],
  'a read that was never answered': [call(0, 1, read, 'unknown'), call(2, 3, read, null)],
}

const bad: Readonly<Record<string, readonly Event[]>> = {
  'a lost update': [
    call(0, 1, create('a'), 'done'),
    call(2, 6, replace('a', 'b'), 'done'),
    call(3, 7, replace('a', 'c'), 'done'),
  ],
  'two who created it': [call(0, 5, create('a'), 'done'), call(1, 6, create('b'), 'done')],
  'a stale read': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, replace('a', 'b'), 'done'),
    call(4, 5, read, found('a')),
  ],
  'a read that goes back': [
    call(0, 1, create('a'), 'done'),
    call(2, 9, replace('a', 'b'), 'done'),
    call(3, 4, read, found('b')),
    call(5, 6, read, found('a')),
  ],
  'a resurrection by a save': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, bury('a', 'dead'), 'done'),
    call(4, 5, replace('a', 'b'), 'done'),
  ],
  'a resurrection that is only seen': [
    call(0, 1, create('a'), 'done'),
    call(2, 6, replace('a', 'b'), 'conflict'),
    call(3, 5, bury('a', 'dead'), 'done'),
    call(7, 8, read, found('b')),
  ],
  'a resurrection by one of unknown outcome, at a version that was replaced': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, replace('a', 'b'), 'unknown'),
    call(4, 5, read, found('a')),
    call(6, 7, bury('a', 'dead'), 'done'),
    call(8, 9, read, found('b')),
  ],
  'an outage that looks like nothing there': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, read, null),
    call(4, 5, read, found('a')),
  ],
  'a write that was refused and happened': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, replace('x', 'b'), 'conflict'),
    call(4, 5, read, found('b')),
  ],
  'a value that nobody wrote': [call(0, 1, create('a'), 'done'), call(2, 3, read, found('z'))],
  'a write of unknown outcome that happens twice': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, replace('a', 'b'), 'unknown'),
    call(4, 5, read, found('b')),
    call(6, 7, replace('b', 'c'), 'done'),
    call(8, 9, read, found('b')),
  ],
  'a touch that is undone by a save': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, touch('a', 9), 'done'),
    call(4, 5, replace('a', 'b'), 'done'),
    call(6, 7, read, found('b', 1)),
  ],
  'a touch of what was replaced': [
    call(0, 1, create('a'), 'done'),
    call(2, 3, replace('a', 'b'), 'done'),
    call(4, 5, touch('a', 9), 'done'),
  ],
  'a conflict where nothing was': [call(0, 1, create('a'), 'conflict')],
}

describe('the checker of histories', () => {
  for (const [name, history] of Object.entries(good)) {
    it(`accepts: ${name}`, () => {
      const wrong = violation(history)
      assert.equal(wrong && described(wrong), undefined)
    })
  }

  for (const [name, history] of Object.entries(bad)) {
    it(`refuses: ${name}`, () => {
      const wrong = violation(history)
      assert.ok(wrong, 'it was accepted')
      assert.match(described(wrong), /^no order explains these calls:\n {2}k: /)
    })
  }

  it('copes with a long history of many at once', () => {
    const history: Event[] = [call(0, 1, create('0'), 'done')]
    for (let i = 1; i < 400; i++) {
      // Four writers that overlap: one wins, the others do not.
      for (let w = 0; w < 4; w++) {
        const asked = replace(String(i - 1), w === i % 4 ? String(i) : `${i}-${w}`)
        history.push(call(i * 10 + w, i * 10 + 7 + w, asked, w === i % 4 ? 'done' : 'conflict'))
      }
      if (i % 10 === 0) history.push(call(i * 10, i * 10 + 1, replace(String(i - 1), `lost-${i}`), 'unknown'))
    }
    assert.equal(violation(history), undefined)
    assert.ok(violation([...history, call(5_000, 5_001, read, found('7'))]))
  })
})
