import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { never } from 'holdfast'
import { fakeClock } from 'holdfast/testing'
import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { guard } from '../../packages/holdfast/src/store/guard.ts'
import { storeSuite } from '../../packages/holdfast/src/testing/suite.ts'
import { Subject } from '../../packages/server/src/cli/check/subject.ts'
import { run, testsOf } from '../../packages/server/src/cli/check/runner.ts'
import { connected, everywhere, freshNamespace, targets } from '../drivers/redis/targets.ts'
import { sabotages, sabotaged } from '../testing/sabotages.ts'
import { inTerminal } from './in-terminal.ts'
import { folderFor, start, type Tree } from './running.ts'
import { scratchRows } from './scratch-rows.ts'
import { oneUrl, server, servers } from './servers.ts'

describe('holdfast store check', () => {
  it('prints a table of what was tested', async (t) => {
    const folder = await folderFor(t)
    const { code, out, err } = await inTerminal(['store', 'check', 'memory:'], { folder })
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /^memory store of .*\n\nPART +RESULT +PASSED +FAILED +TIME\n/)
    assert.match(out, /\ncreate +passed +\d+ +0 +\d+ ms\n/)
    assert.match(out, /\nstores on the same data +not offered +0 +0 +0 ms\n/)
    assert.match(out, /\n\d{3} passed, 0 failed, in \d+\.\d s\n$/)
  })

  it('checks a file, prints JSON, and leaves nothing in it', async (t) => {
    const folder = await folderFor(t)
    const path = `${folder}/store.db`
    const { code, out } = await inTerminal(['store', 'check', `sqlite://${path}`, '--json'], { folder })
    assert.equal(code, 0, out)
    const { parts, failed, passed, left, capabilities } = JSON.parse(out) as Tree
    assert.deepEqual([failed, left, capabilities?.['listing']], [0, [], 'complete'])
    assert.ok((passed as unknown as number) > 150)
    for (const part of parts as unknown as readonly Tree[]) assert.equal(part['result'], 'passed')
    assert.equal(scratchRows(path), 0)
  })

  it('shows on a terminal how far it is', async (t) => {
    const folder = await folderFor(t)
    const { err } = await inTerminal(['store', 'check', 'memory:'], { folder, isTTY: true })
    assert.match(err, /\] \d+ of \d{3} tests, /)
  })

  it('ends tidily on SIGINT: what its tests wrote is gone', async (t) => {
    const folder = await folderFor(t)
    const path = `${folder}/store.db`
    const child = start(['store', 'check', `sqlite://${path}`], { folder })
    let err = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text))
    while (!isWritten(path)) await delay(20)
    child.kill('SIGINT')
    const [code] = (await once(child, 'close')) as [number | null]
    assert.equal(code, 1)
    assert.match(err, /^holdfast: ended before all tests were run; .*\(HOLDFAST_INTERRUPTED\)\n$/)
    assert.equal(scratchRows(path), 0)
  })

  it('refuses an address that can’t be right, once, without its password', async (t) => {
    const folder = await folderFor(t)
    const line = ['store', 'check', 'redis://ada:secret@127.0.0.1:1']
    const { code, out, err } = await inTerminal(line, { folder })
    assert.deepEqual([code, out], [69, ''])
    assert.match(err, /^holdfast: .*\(HOLDFAST_STORE_UNAVAILABLE\)\n$/)
    assert.ok(!err.includes('secret'))
    assert.equal((await inTerminal(['store', 'check', 'ftp://x'], { folder })).code, 2)
  })
})

/** The same tests run for each driver by itself: every day, one store of each way of being cleared must do here. */
function seldom(name: string): string | false {
  const isUsual = ['PostgreSQL', 'Redis', 'Memcached'].includes(name)
  return (
    !isUsual && process.env['HOLDFAST_TEST_LONG'] !== '1' && 'its driver is tested so: in the long run only'
  )
}

// Some wait for a server's index to settle, which they can do at the same time.
describe('holdfast store check passes', { concurrency: 3 }, () => {
  for (const { name, url, skip } of [...servers, server('Memcached', 'HOLDFAST_TEST_MEMCACHED')]) {
    it(`over ${name}`, { skip: skip || seldom(name) }, async (t) => {
      const folder = await folderFor(t)
      const { code, out, err } = await inTerminal(['store', 'check', url, '--json'], { folder })
      assert.equal(code, 0, `${err}\n${out}`)
      const { failed, passed, left } = JSON.parse(out) as Tree
      assert.deepEqual([failed, left], [0, []])
      assert.ok((passed as unknown as number) > 100)
    })
  }

  it('over a folder', { skip: seldom('a folder') }, async (t) => {
    const folder = await folderFor(t)
    const { code, out, err } = await inTerminal(['store', 'check', `dir://${folder}/store`, '--json'], {
      folder,
    })
    assert.equal(code, 0, `${err}\n${out}`)
    assert.deepEqual((JSON.parse(out) as Tree)['left'], [])
  })

  for (const { name, urls, skip } of targets) {
    it(`and leaves nothing in Redis (${name}), not in its indexes either`, { skip }, async (t) => {
      const client = await connected(urls)
      t.after(() => client.destroy())
      const namespace = freshNamespace()
      const subject = new Subject(urls.length === 1 ? urls[0]! : oneUrl(urls.join(',')))
      const store = await subject.make({ namespace, clock: fakeClock({ start: Date.now() }) })
      const labels = ['user:ada', 'tenant:a']
      for (const id of ['a', 'b', 'c']) {
        const value = Buffer.from(id)
        await store.create({ key: { collection: 'things', id }, value, labels, expiresAt: never })
      }
      const keys = async () => (await everywhere(client, 'KEYS', `{${namespace}:*`)).flat()
      assert.ok((await keys()).length > 5)
      await store.close()
      await subject.clear(namespace)
      assert.deepEqual(await subject.clearAll(), [])
      assert.deepEqual(await keys(), [])
    })
  }
})

function isWritten(path: string): boolean {
  try {
    return scratchRows(path) > 0
  } catch {
    return false
  }
}

describe('the runner of the check', () => {
  it('finds what is wrong with a store', async () => {
    const sabotage = Object.values(sabotages)[0]!
    const tests = testsOf((runner) =>
      storeSuite(runner, {
        name: 'sabotaged',
        make: (options) => guard(sabotaged(memoryDriver(options), sabotage), options),
      }),
    )
    const failed = []
    for (const test of tests) {
      const { failure } = await run(test, 10_000)
      if (failure !== undefined) failed.push(test.part)
    }
    assert.ok(failed.length > 0)
    assert.ok(failed.length < tests.length / 2)
  })

  it('does not wait for ever', async () => {
    const [hanging] = testsOf(({ describe: group, it: test }) => {
      group('suite', () => group('part', () => void test('hangs [K1]', () => new Promise(() => undefined))))
    })
    assert.deepEqual([hanging?.part, hanging?.title], ['part', 'hangs'])
    assert.match((await run(hanging!, 20)).failure ?? '', /did not end within 0\.02 s/)
  })
})
