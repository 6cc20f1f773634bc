import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as errors from '../packages/holdfast/src/errors.ts'

const classes = Object.entries(errors).filter(([name]) => name !== 'HoldfastError')

/** Makes one of each, with arguments that fit them all. */
function made(type: unknown): errors.HoldfastError {
  const Made = type as new (...args: unknown[]) => errors.HoldfastError
  return new Made('what happened', { cause: new Error('why') })
}

describe('errors', () => {
  it('have a code each, of one form, that no other has', () => {
    const codes = classes.map(([, type]) => made(type).code)
    assert.ok(codes.length > 25)
    assert.equal(new Set(codes).size, codes.length)
    for (const code of codes) assert.match(code, /^HOLDFAST_[A-Z]+(_[A-Z]+)*$/)
  })

  it('have a code that says what their name says', () => {
    for (const [name, type] of classes) {
      const spelled = name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
      assert.equal(made(type).code, `HOLDFAST_${spelled}`)
    }
  })

  it('are told from everyone else’s, and carry their name and message', () => {
    for (const [name, type] of classes) {
      const error = made(type)
      assert.ok(error instanceof errors.HoldfastError)
      assert.ok(error instanceof Error)
      assert.deepEqual([error.name, error.message], [name, 'what happened'])
      assert.match(error.stack ?? '', new RegExp(`^${name}: what happened`))
    }
  })

  it('keep the error underneath', () => {
    const cause = new Error('ECONNRESET')
    assert.equal(new errors.StoreUnavailable('down', { cause }).cause, cause)
    assert.equal(Object.hasOwn(new errors.StoreUnavailable('down'), 'cause'), false)
    const partial = new errors.PartialAnswer('half', [undefined, { answer: 1 }], { cause })
    assert.deepEqual([partial.answers, partial.cause], [[undefined, { answer: 1 }], cause])
  })

  it('carry what their cause knows', () => {
    assert.equal(new errors.ClockSkew('skew', -5).skew, -5)
    assert.equal(new errors.NotSupported('no', 'watch').capability, 'watch')
    assert.deepEqual(new errors.ConflictingChange('conflict', ['cart']).keys, ['cart'])
  })
})
