/** Following a session: whoever does is told of its end, also where that is only a mark. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '../until.ts'
import { Stage } from './stage.ts'

describe('a session that is followed', () => {
  it('ends for its follower when a revocation stopped after its mark, and no other does', async () => {
    const stage = new Stage()
    const ada = await stage.sessions.start({ user: 'ada' })
    const bob = await stage.sessions.start({ user: 'bob' })
    const [hers, his] = [await stage.sessions.follow(ada), await stage.sessions.follow(bob)]
    stage.plan = ({ operation }) => (operation === 'list' ? 'fail' : undefined)
    await assert.rejects(stage.process().revoke({ user: 'ada' }), { code: 'HOLDFAST_STORE_UNAVAILABLE' })
    await until('its follower is told', () => hers.signal.aborted)
    assert.equal(his.signal.aborted, false)
    assert.equal((await stage.sessions.load(ada.credential)).isNew, true)
    hers.stop()
    his.stop()
  })
})
