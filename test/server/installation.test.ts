import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { HoldfastError } from 'holdfast'
import { configure } from '../../packages/server/src/configuration/configuration.ts'
import {
  type Installation,
  install,
  ringOfService,
} from '../../packages/server/src/installation/installation.ts'
import { folderFor, holdfast, mainFile, serve } from './running.ts'

async function stateFolder(t: TestContext): Promise<string> {
  return join(await folderFor(t), 'state')
}

async function installIn(folder: string, environment: Record<string, string> = {}): Promise<Installation> {
  return await install(configure({ environment, flags: { stateFolder: folder } }).settings)
}

async function refusalIn(folder: string): Promise<string> {
  const error = await installIn(folder).then(
    () => assert.fail('it was accepted'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof HoldfastError && error.code === 'HOLDFAST_INSTALLATION_REFUSED', String(error))
  return error.message
}

async function mode(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8)
}

/** What a first start writes to a terminal, stopped after a moment. */
async function onTerminal(t: TestContext, folder: string): Promise<string> {
  const command = `exec ${process.execPath} --conditions=holdfast-source ${mainFile} serve`
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      NODE_OPTIONS: process.env['NODE_OPTIONS'],
      HOLDFAST_STORE: 'memory:',
      HOLDFAST_PORT: '0',
      HOLDFAST_LOG_LEVEL: 'silent',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const closed = once(child, 'close')
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  while (!/ on http:.*\r\n/.test(out)) {
    assert.equal(child.exitCode, null, `it ended before it listened: ${out}`)
    await sleep(20)
  }
  await sleep(300)
  // As somebody at the terminal stops it.
  child.stdin.write('\u0003')
  await closed
  return out
}

describe('installation', () => {
  it('makes a root credential and a key ring that only their owner may read', async (t) => {
    const folder = await stateFolder(t)
    const { root, ring } = await installIn(folder)
    assert.match(root.minted ?? '', /^hfroot_[A-Za-z0-9_-]{43}$/)
    assert.equal(root.matches(root.minted!), true)
    assert.equal(root.matches(`${root.minted!}x`), false)
    assert.equal(ring.ids.length, 1)
    assert.deepEqual((await readdir(folder)).sort(), ['keys.json', 'root-token', 'root.json'])
    assert.equal(await mode(folder), '700')
    for (const file of await readdir(folder)) assert.equal(await mode(join(folder, file)), '600', file)
  })

  it('keeps the digest of the root credential, not the credential, in root.json', async (t) => {
    const folder = await stateFolder(t)
    const { root } = await installIn(folder)
    const written = await readFile(join(folder, 'root.json'), 'utf8')
    assert.ok(!written.includes(root.minted!) && !written.includes(root.minted!.slice(7)))
  })

  it('is the same at the next start, also when root-token was deleted', async (t) => {
    const folder = await stateFolder(t)
    const first = await installIn(folder)
    const second = await installIn(folder)
    assert.equal(second.root.minted, undefined)
    assert.ok(second.root.file?.endsWith('root-token'))
    await unlink(join(folder, 'root-token'))
    const third = await installIn(folder)
    assert.equal(third.root.file, undefined)
    assert.equal(third.root.matches(first.root.minted!), true)
    assert.deepEqual(third.ring.ids, first.ring.ids)
  })

  it('completes an installation that a crash left between its steps', async (t) => {
    const folder = await stateFolder(t)
    const first = await installIn(folder)
    await unlink(join(folder, 'root.json'))
    const second = await installIn(folder)
    assert.equal(second.root.matches(first.root.minted!), true)
    assert.equal(second.root.minted, first.root.minted)
  })

  it('never lets an empty root-token become a credential', async (t) => {
    const folder = await stateFolder(t)
    await mkdir(folder, { mode: 0o700 })
    await writeFile(join(folder, 'root-token'), '\n', { mode: 0o600 })
    assert.match(await refusalIn(folder), /root-token must have 24 to 512/)
  })

  it('agrees on one credential and one ring when many start at once', async (t) => {
    const folder = await stateFolder(t)
    const all = await Promise.all(Array.from({ length: 16 }, () => installIn(folder)))
    const handedOver = (await readFile(join(folder, 'root-token'), 'utf8')).trim()
    for (const { root, ring } of all) {
      assert.equal(root.matches(handedOver), true)
      assert.deepEqual(ring.ids, all[0]!.ring.ids)
    }
    assert.equal(all.filter(({ root }) => root.minted !== undefined).length, 1)
    assert.deepEqual((await readdir(folder)).sort(), ['keys.json', 'root-token', 'root.json'])
  })

  it('agrees when two processes start at once', async (t) => {
    const folder = await folderFor(t)
    const environment = { HOLDFAST_STORE: 'memory:' }
    const [one, two] = await Promise.all([
      serve(t, { folder, environment }),
      serve(t, { folder, environment }),
    ])
    assert.notEqual(one.root, '')
    await one.expect(200, 'GET', '/v1/tokens')
    await two.expect(200, 'GET', '/v1/tokens')
  })

  it('takes a given root credential and writes nothing of it down', async (t) => {
    const folder = await stateFolder(t)
    const given = 'an-operators-own-root-credential'
    const { root } = await installIn(folder, { HOLDFAST_ROOT_TOKEN: given })
    assert.equal(root.matches(given), true)
    assert.equal(root.minted, undefined)
    assert.deepEqual(await readdir(folder), ['keys.json'])
  })

  for (const file of ['root.json', 'root-token', 'keys.json']) {
    it(`refuses a ${file} that others may read, and says what to do`, async (t) => {
      const folder = await stateFolder(t)
      await installIn(folder)
      await chmod(join(folder, file), 0o644)
      assert.match(await refusalIn(folder), new RegExp(`mode 644.*chmod 600 .*${file}$`))
    })
  }

  it('refuses a folder that others may enter', async (t) => {
    const folder = await stateFolder(t)
    await installIn(folder)
    await chmod(folder, 0o755)
    assert.match(await refusalIn(folder), /chmod 700 /)
  })

  it('refuses damaged files without quoting them', async (t) => {
    const folder = await stateFolder(t)
    await installIn(folder)
    const ring = await readFile(join(folder, 'keys.json'), 'utf8')
    await writeFile(join(folder, 'keys.json'), ring.slice(0, -20))
    const message = await refusalIn(folder)
    assert.match(message, /keys\.json does not hold a key ring/)
    assert.ok(!message.includes(ring.slice(60, 80)))
    await writeFile(join(folder, 'keys.json'), ring)
    await writeFile(join(folder, 'root.json'), '{"digest":""}')
    assert.match(await refusalIn(folder), /root\.json does not hold the digest/)
  })

  it('never makes a ring for a command beside the service', async (t) => {
    const folder = await stateFolder(t)
    const { settings } = configure({ environment: {}, flags: { stateFolder: folder, seal: true } })
    await assert.rejects(ringOfService(settings), /there is no key ring at .*keys\.json/)
    assert.equal(await ringOfService({ ...settings, seal: false }), undefined)
  })

  it('shows the root credential on a terminal only', async (t) => {
    const folder = await folderFor(t)
    const server = await serve(t, { folder, environment: { HOLDFAST_STORE: 'memory:' } })
    assert.equal(await server.end(), 0)
    assert.ok(!server.output.out().includes(server.root))
    assert.ok(!server.output.err().includes(server.root))
    assert.match(server.output.out(), /root credential in \.holdfast\/root-token\n$/)
  })

  it('shows it there once', { timeout: 20_000 }, async (t) => {
    if (spawnSync('script', ['--version']).error) {
      t.skip('`script`, which gives a command a terminal, is not installed')
      return
    }
    const folder = await folderFor(t)
    assert.match(
      await onTerminal(t, folder),
      /The root credential, shown this once: hfroot_[A-Za-z0-9_-]{43}\r?\n/,
    )
    const again = await onTerminal(t, folder)
    assert.match(again, /root credential in \.holdfast\/root-token/)
    assert.ok(!again.includes('hfroot_'))
  })

  it('ends with code 78 and one line when the state folder is refused', async (t) => {
    const folder = await folderFor(t)
    await mkdir(join(folder, '.holdfast'))
    await chmod(join(folder, '.holdfast'), 0o755)
    const { code, err } = await holdfast(['serve'], { folder, environment: { HOLDFAST_STORE: 'memory:' } })
    assert.equal(code, 78)
    assert.match(err, /^holdfast: .*chmod 700.*\(HOLDFAST_INSTALLATION_REFUSED\)\n$/)
  })
})
