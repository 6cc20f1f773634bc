/** An authority of a test's own, and a certificate by it for `localhost`. */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atEnd, type Ending } from './ending.ts'

const execute = promisify(execFile)

/** The paths of the files, and the authority's certificate itself. */
export interface Certificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly authority: string
}

export async function certified(test: Ending): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-tls-'))
  atEnd(test, () => rm(folder, { recursive: true, force: true }))
  const [ca, caKey, cert, key, request, extension] = [
    ...['ca.pem', 'ca.key', 'cert.pem', 'key.pem', 'request.pem', 'extension'],
  ].map((name) => join(folder, name)) as [string, string, string, string, string, string]
  const openssl = (...args: readonly string[]): Promise<unknown> => execute('openssl', args)
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl(
    'req',
    '-x509',
    ...fresh,
    '-keyout',
    caKey,
    '-out',
    ca,
    '-subj',
    '/CN=test authority',
    '-days',
    '2',
  )
  await openssl('req', ...fresh, '-keyout', key, '-out', request, '-subj', '/CN=localhost')
  await writeFile(extension, 'subjectAltName=DNS:localhost')
  const signing = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-extfile', extension]
  await openssl('x509', '-req', '-in', request, '-out', cert, ...signing)
  return { ca, cert, key, authority: await readFile(ca, 'utf8') }
}
