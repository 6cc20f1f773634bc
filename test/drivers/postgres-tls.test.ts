/** TLS, as the URL and the option `tls` say, against a server with a certificate of an authority of our own. */

import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { chown, copyFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { openPostgresStore } from '../../packages/holdfast/src/drivers/postgres.ts'
import { HoldfastError, StoreMisconfigured, StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import type { OpenOptions } from '../../packages/holdfast/src/store/store.ts'
import { PrivateServer, skipPrivate } from './postgres/servers.ts'

const execute = promisify(execFile)
const load = (): Promise<unknown> => import('pg')

/** Why these tests are skipped; false when they aren't. */
const skip = skipPrivate !== false ? skipPrivate : !hasOpenssl() && 'openssl is not here to make certificates'

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch {
    return false
  }
}

describe('PostgreSQL, TLS', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'))
  const file = (name: string): string => join(folder, name)
  let server: PrivateServer
  let plain: PrivateServer
  before(async () => {
    await makeCertificates(folder)
    server = await PrivateServer.start([])
    plain = await PrivateServer.start([])
    await protect(server, folder)
  })
  after(async () => {
    await server.end()
    await plain.end()
    rmSync(folder, { recursive: true })
  })

  const outcome = async (query: string, options: OpenOptions = {}, at = server): Promise<string> => {
    const store = openPostgresStore(`${at.url}${query}`, load, options)
    try {
      await store.open()
      return 'open'
    } catch (error) {
      assert.ok(error instanceof HoldfastError)
      return error.code
    } finally {
      await store.close()
    }
  }

  it('goes by the sslmode of the URL', async () => {
    const unavailable = new StoreUnavailable('').code
    assert.equal(await outcome(''), new StoreMisconfigured('').code, 'this server takes nothing without TLS')
    assert.equal(await outcome('?sslmode=require'), 'open')
    assert.equal(await outcome('?sslmode=prefer'), 'open')
    assert.equal(await outcome('?sslmode=verify-full'), unavailable, 'nobody has told whom to trust')
    assert.equal(await outcome(`?sslmode=verify-ca&sslrootcert=${file('ca.pem')}`), 'open')
    assert.equal(await outcome(`?sslrootcert=${file('ca.pem')}`), unavailable, 'the name is another')
    assert.equal(await outcome('?sslmode=prefer', {}, plain), 'open')
    assert.equal(await outcome('?sslmode=require', {}, plain), unavailable)
  })

  it('goes by the option tls', async () => {
    const ca = readFileSync(file('ca.pem'), 'utf8')
    const unavailable = new StoreUnavailable('').code
    assert.equal(await outcome('', { tls: { ca, servername: 'db.example' } }), 'open')
    assert.equal(await outcome('', { tls: { ca, servername: 'other.example' } }), unavailable)
    assert.equal(await outcome('', { tls: {} }), unavailable)
    assert.equal(await outcome('', { tls: { rejectUnauthorized: false } }), 'open')
    assert.equal(await outcome('?sslmode=prefer', { tls: {} }, plain), unavailable, 'never without')
    assert.throws(
      () => openPostgresStore(`${server.url}?sslmode=disable`, load, { tls: { ca } }),
      StoreMisconfigured,
    )
  })
})

/** An authority, and a server's certificate for `db.example`. */
async function makeCertificates(folder: string): Promise<void> {
  const openssl = (...args: readonly string[]): Promise<unknown> =>
    execute('openssl', [...args], { cwd: folder })
  const fresh = ['-newkey', 'rsa:2048', '-nodes', '-days', '2']
  await openssl(
    'req',
    '-x509',
    ...fresh,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=test authority',
  )
  const names = ['-subj', '/CN=db.example', '-addext', 'subjectAltName=DNS:db.example']
  await openssl('req', ...fresh, '-keyout', 'server.key', '-out', 'server.csr', ...names)
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy']
  await openssl('x509', '-req', '-in', 'server.csr', '-days', '2', ...signing, '-out', 'server.crt')
}

/** From now on the server speaks TLS, and over TCP nothing else. */
async function protect(server: PrivateServer, folder: string): Promise<void> {
  for (const name of ['server.crt', 'server.key']) {
    const path = join(server.data, name)
    await copyFile(join(folder, name), path)
    chmodSync(path, 0o600)
    if (process.getuid?.() === 0) await chown(path, await idOf('-u'), await idOf('-g'))
  }
  await server.configure(['ssl = on'], ['local all all trust', 'hostssl all all all trust'])
}

async function idOf(which: '-u' | '-g'): Promise<number> {
  return Number((await execute('id', [which, 'postgres'])).stdout)
}
