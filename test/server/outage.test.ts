import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, chown, mkdtemp, readdir, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { folderFor, holdfast, serve, type Server } from './running.ts'

const isRoot = process.getuid?.() === 0
const nobody = 65_534

async function isActive(server: Server, token: string | undefined): Promise<unknown> {
  return (await server.expect(200, 'POST', '/v1/introspect', undefined, { form: { token: token! } }))[
    'active'
  ]
}

/** A file system of two MiB. */
async function smallDisk(t: TestContext): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    await rmdir(folder)
    return undefined
  }
  t.after(async () => {
    // Lazily, for the service on it may end a moment later.
    execFileSync('umount', ['-l', folder])
    await rmdir(folder)
  })
  return folder
}

describe('a store in trouble', () => {
  it('answers a full disk with a code, loses nothing, and works again when there is room', async (t) => {
    if (!isRoot || process.platform !== 'linux') {
      t.skip('only root on Linux can mount a small disk')
      return
    }
    const disk = await smallDisk(t)
    if (disk === undefined) {
      t.skip('this machine does not allow mounting a tmpfs')
      return
    }
    const server = await serve(t, {
      folder: await folderFor(t),
      environment: { HOLDFAST_STORE: `sqlite://${disk}/h.db` },
    })
    const made: string[] = []
    let refused
    while (refused === undefined && made.length < 5000) {
      const body = { user: 'ada', expiresIn: '1d', labels: [`filler:${'x'.repeat(190)}`] }
      const answer = await server.call('POST', '/v1/tokens', body)
      if (answer.status === 201) made.push(answer.body['token']!)
      else refused = answer
    }
    t.diagnostic(`${made.length} tokens were issued before the disk was full`)
    assert.deepEqual([refused?.status, refused?.body['error']!['code']], [507, 'HOLDFAST_STORE_FULL'])
    assert.ok(made.length > 50)
    for (const token of made) assert.equal(await isActive(server, token), true)
    await server.expect(200, 'GET', '/readyz')
    execFileSync('mount', ['-o', 'remount,size=16m', disk])
    await server.expect(201, 'POST', '/v1/tokens', { user: 'ada' })
    await server.expect(200, 'POST', '/v1/revoke', undefined, { form: { token: made[0]! } })
    assert.equal(await isActive(server, made[0]), false)
    await server.end('SIGKILL')
  })

  it('never answers a revocation as done that a full disk refused', async (t) => {
    if (!isRoot || process.platform !== 'linux') {
      t.skip('only root on Linux can mount a small disk')
      return
    }
    const disk = await smallDisk(t)
    if (disk === undefined) {
      t.skip('this machine does not allow mounting a tmpfs')
      return
    }
    const environment = { HOLDFAST_STORE: `sqlite://${disk}/h.db` }
    const server = await serve(t, { folder: await folderFor(t), environment })
    const { token, id } = await server.expect(201, 'POST', '/v1/tokens', { user: 'ada', expiresIn: '1d' })
    while (
      (await server.call('POST', '/v1/tokens', { user: 'ada', labels: [`f:${'x'.repeat(190)}`] })).status ===
      201
    );
    const answer = await server.call('DELETE', `/v1/tokens/${id!}`)
    if (answer.status === 204) assert.equal(await isActive(server, token), false)
    else assert.deepEqual([answer.status, answer.body['error']!['code']], [507, 'HOLDFAST_STORE_FULL'])
    t.diagnostic(`on a full disk a revocation is answered with ${answer.status}`)
    execFileSync('mount', ['-o', 'remount,size=16m', disk])
    await server.call('DELETE', `/v1/tokens/${id!}`)
    assert.equal(await isActive(server, token), false)
    await server.end('SIGKILL')
  })

  it('answers a database that became read-only with a code and goes on reading', async (t) => {
    if (!isRoot || process.platform !== 'linux') {
      t.skip('only root on Linux can mount a disk')
      return
    }
    const disk = await smallDisk(t)
    if (disk === undefined) {
      t.skip('this machine does not allow mounting a tmpfs')
      return
    }
    const folder = await folderFor(t)
    const environment = { HOLDFAST_STORE: `sqlite://${disk}/h.db` }
    const first = await serve(t, { folder, environment })
    const { token, id } = await first.expect(201, 'POST', '/v1/tokens', { user: 'ada', expiresIn: '1d' })
    assert.equal(await first.end(), 0)
    await chown(disk, nobody, nobody)
    for (const file of await readdir(disk)) {
      await chown(join(disk, file), nobody, nobody)
      await chmod(join(disk, file), 0o444)
    }
    await chmod(disk, 0o555)
    const state = await folderFor(t)
    await chown(state, nobody, nobody)
    const ended = await holdfast(['serve', '--state-folder', state], {
      folder: disk,
      environment: { ...environment, HOLDFAST_PORT: '0' },
      uid: nobody,
    })
    assert.notEqual(ended.code, 0)
    assert.match(ended.err, /^holdfast: .*\(HOLDFAST_STORE_[A-Z_]+\)\n$/)
    await chmod(disk, 0o755)
    for (const file of await readdir(disk)) await chmod(join(disk, file), 0o644)
    const second = await serve(t, { folder, environment })
    assert.equal(await isActive(second, token), true)
    await second.expect(204, 'DELETE', `/v1/tokens/${id!}`)
    await second.end('SIGKILL')
  })
})
