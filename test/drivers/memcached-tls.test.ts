/** TLS: to a real server with a certificate of an authority that nobody knows. */

import assert from 'node:assert/strict'
import { accessSync, constants } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { openMemcachedStore } from '../../packages/holdfast/src/drivers/memcached.ts'
import { StoreUnavailable } from '../../packages/holdfast/src/errors.ts'
import { never } from '../../packages/holdfast/src/store/record.ts'
import type { TlsOptions } from '../../packages/holdfast/src/store/store.ts'
import { PrivateServer, privateServer, skipPrivate } from './memcached/servers.ts'
import { type Certificates, certificates } from './mongodb/certificates.ts'
import { atEnd, type Ending } from './redis/ending.ts'
import { until } from '../until.ts'

const hasOpenssl = (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
  try {
    accessSync(join(folder, 'openssl'), constants.X_OK)
    return true
  } catch {
    return false
  }
})
const skip = skipPrivate || (!hasOpenssl && 'openssl is not on the PATH')

/** A server that speaks TLS only. */
async function secureServer(
  test: Ending,
): Promise<{ readonly server: PrivateServer; readonly made: Certificates }> {
  const made = await certificates(test)
  // The server reads them as a user with fewer rights.
  await chmod(dirname(made.key), 0o755)
  await chmod(made.key, 0o644)
  // A port that was free a moment ago.
  const placeholder = await privateServer(test)
  await placeholder.kill()
  const files = `ssl_chain_cert=${made.certificate},ssl_key=${made.key}`
  const server = new PrivateServer(placeholder.port, ['-Z', '-o', files])
  atEnd(test, () => server.kill())
  await server.spawn()
  return { server, made }
}

describe('Memcached over TLS', { skip }, () => {
  it('trusts the authority that it is given, by the URL or by the option alone, and nobody else', async (t) => {
    const { server, made } = await secureServer(t)
    const open = (scheme: string, tls?: TlsOptions) => {
      const url = `${scheme}://${server.name}?role=cache`
      const store = openMemcachedStore(url, { circuit: false, ...(tls ? { tls } : {}) })
      atEnd(t, () => store.close())
      return store
    }
    const trusted = { ca: made.authority }
    const store = open('memcacheds', trusted)
    await until('it answers', async () => await store.open().then(() => true))
    const key = { collection: 'sessions', id: 'a' }
    await store.create({ key, value: Buffer.from('x'), expiresAt: never })
    assert.ok(await open('memcached', { ca: [Buffer.from(made.authority)] }).read(key))
    assert.ok(await open('memcacheds', { rejectUnauthorized: false }).read(key))
    await assert.rejects(async () => open('memcacheds').read(key), StoreUnavailable)
    await assert.rejects(
      async () => open('memcacheds', { ...trusted, servername: 'other' }).read(key),
      StoreUnavailable,
    )
    await assert.rejects(async () => open('memcached').read(key), StoreUnavailable, 'without TLS')
  })
})
