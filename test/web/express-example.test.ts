/** The example that was written for express-session, as a process of its own. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Browser } from './express/site.ts'

const program = fileURLToPath(new URL('../../examples/express-session/server.ts', import.meta.url))

/** Starts it. Answers with its address. */
async function started(t: TestContext, folder: string): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn(process.execPath, ['--conditions=holdfast-source', '--no-warnings', program], {
    env: {
      ...process.env,
      PORT: '0',
      STORE: `sqlite:${join(folder, 'sessions.db')}`,
      SESSION_SECRET: 'of the test',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const url = /^listening on (http:\S+)$/.exec(line)?.[1]
  assert.ok(url, line)
  return { process: child, url }
}

it('the example logs in and out, and its sessions survive a restart', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-example-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const first = await started(t, folder)
  const browser = new Browser(first.url)
  const login = { username: 'ada', password: 'password of ada' }
  assert.equal((await browser.get('/')).status, 401)
  assert.equal((await browser.post('/login', { ...login, password: 'wrong' })).status, 401)
  assert.equal((await browser.post('/login', login)).status, 302)
  assert.deepEqual(await browser.json('/'), { user: 'ada', sessions: 1 })
  await new Browser(first.url).post('/login', login)
  assert.deepEqual(await browser.json('/'), { user: 'ada', sessions: 2 })

  first.process.kill('SIGTERM')
  assert.deepEqual(await once(first.process, 'exit'), [0, null])
  const second = await started(t, folder)
  const after = browser.tab(second.url)
  assert.deepEqual(await after.json('/'), { user: 'ada', sessions: 2 })
  const stolen = after.tab()
  assert.equal((await after.post('/logout')).status, 302)
  assert.equal((await after.get('/')).status, 401)
  assert.equal((await stolen.get('/')).status, 401)
  await after.post('/login', login)
  assert.deepEqual(JSON.parse((await after.post('/logout-everywhere')).text), { ended: 2 })
  assert.equal((await after.get('/')).status, 401)
  second.process.kill('SIGTERM')
  assert.deepEqual(await once(second.process, 'exit'), [0, null])
})
