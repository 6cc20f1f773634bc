import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mintId, mintSecret } from '../../packages/holdfast/src/credentials/credential.ts'
import { openSuccessor, sealSuccessor } from '../../packages/holdfast/src/credentials/successor.ts'

describe('a sealed successor', () => {
  const [id, predecessor, successor] = [mintId(), mintSecret(), mintSecret()]
  const sealed = sealSuccessor(predecessor, id, successor)

  it('opens with its predecessor, for its record', () => {
    assert.equal(openSuccessor(predecessor, id, sealed), successor)
    assert.equal(openSuccessor(mintSecret(), id, sealed), undefined)
    assert.equal(openSuccessor(predecessor, mintId(), sealed), undefined)
    assert.equal(openSuccessor(successor, id, sealed), undefined)
  })

  it('does not show the successor, and never looks the same twice', () => {
    assert.ok(!Buffer.from(sealed, 'base64url').includes(successor))
    assert.notEqual(sealSuccessor(predecessor, id, successor), sealed)
    assert.match(sealed, /^[A-Za-z0-9_-]+$/)
  })

  it('does not open when a byte of it was changed, or when it is not one', () => {
    const bytes = Buffer.from(sealed, 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const tampered = Buffer.from(bytes)
      tampered[at] = tampered[at]! ^ 1
      assert.equal(openSuccessor(predecessor, id, tampered.toString('base64url')), undefined)
    }
    for (const other of ['', 'x', sealed.slice(0, 20), '!!!']) {
      assert.equal(openSuccessor(predecessor, id, other), undefined)
    }
  })
})
