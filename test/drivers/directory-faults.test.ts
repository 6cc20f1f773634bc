/** System calls that fail: what is answered then is true, and every failure has its code. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'

import { directoryStore } from '../../packages/holdfast/src/drivers/directory.ts'
import { temporaryFolder } from './directory/folder.ts'
import { start } from './sqlite/processes.ts'

const path = temporaryFolder()
const skip = spawnSync('strace', ['-V']).status === 0 ? false : 'strace is not installed'

/** Which calls fail, counted for each thread, how, and with which codes that may show. */
const faults: readonly (readonly [calls: string, codes: RegExp])[] = [
  ['fsync:error=EIO:when=20+7', /^HOLDFAST_(STORE_UNAVAILABLE|OUTCOME_UNKNOWN)$/],
  ['rename:error=ENOSPC:when=5+6', /^HOLDFAST_STORE_FULL$/],
  ['openat:error=EMFILE:when=120+9', /^HOLDFAST_STORE_UNAVAILABLE$/],
  ['openat:error=EROFS:when=120+9', /^HOLDFAST_STORE_(UNAVAILABLE|READ_ONLY)$/],
  ['mkdir:error=EDQUOT:when=2+1', /^HOLDFAST_STORE_FULL$/],
]

describe('a system call that fails', () => {
  for (const [calls, codes] of faults) {
    it(`ends in a coded error or a success, and either is the truth: ${calls}`, { skip }, async () => {
      const folder = path('claimed')
      // Made by a process to which nothing happens.
      await start('leave', [folder, 'x']).ended()
      const child = start(
        'claim',
        [folder],
        // Without the cache of Node.js, whose files would be counted, too.
        ['strace', '-f', '-qq', '-o', '/dev/null', '-E', 'NODE_COMPILE_CACHE', '-e', `inject=${calls}`],
      )
      assert.equal(await child.ended(), 0)
      const claims = child
        .output()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as [string, string, string])
      assert.equal(claims.length, 64)
      const store = directoryStore(folder)
      for (const [id, created, replaced] of claims) {
        for (const each of [created, replaced])
          if (!/^(done|not tried)$/.test(each)) assert.match(each, codes)
        const record = await store.read({ collection: 'sessions', id })
        const found = record ? Buffer.from(record.value).toString() : 'nothing'
        assert.ok(possible(created, replaced).includes(found), `${id}: ${created}, ${replaced}, but ${found}`)
      }
      assert.ok(
        claims.some((each) => each.some((told) => told.startsWith('HOLDFAST_'))),
        'nothing has failed',
      )
      const { records } = await store.list('sessions', { labels: ['user:eve'], limit: 1_000 })
      assert.deepEqual(
        records.map(({ value }) => Buffer.from(value).toString()),
        records.map(() => 'replaced'),
      )
      const there = claims.filter(([, , replaced]) => replaced === 'done')
      assert.ok(records.length >= there.length, 'a listing misses what was acknowledged')
      await store.close()
    })
  }
})

/** What may be found after such answers. */
function possible(created: string, replaced: string): string[] {
  if (created === 'HOLDFAST_OUTCOME_UNKNOWN') return ['nothing', 'created']
  if (created !== 'done') return ['nothing']
  if (replaced === 'HOLDFAST_OUTCOME_UNKNOWN') return ['created', 'replaced']
  return replaced === 'done' ? ['replaced'] : ['created']
}
