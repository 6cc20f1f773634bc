/** A certificate for this machine, and the authority that signed it, made for one test. */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atEnd, type Ending } from '../redis/ending.ts'

const execute = promisify(execFile)

/** Paths of the server's files, and the authority itself, in PEM. */
export interface Certificates {
  readonly certificate: string
  readonly key: string
  readonly authority: string
}

export async function certificates(test: Ending): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-tls-'))
  atEnd(test, () => rm(folder, { recursive: true, force: true }))
  const at = (name: string): string => join(folder, name)
  const fresh = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2']
  await openssl(...fresh, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=Test authority')
  const request = ['req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=127.0.0.1']
  await openssl(...request, '-keyout', at('server.key'), '-out', at('server.csr'))
  await writeFile(at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost')
  const signing = [
    'x509',
    '-req',
    '-days',
    '2',
    '-CA',
    at('ca.pem'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
  ]
  await openssl(...signing, '-in', at('server.csr'), '-out', at('server.pem'), '-extfile', at('names'))
  return {
    certificate: at('server.pem'),
    key: at('server.key'),
    authority: await readFile(at('ca.pem'), 'utf8'),
  }
}

async function openssl(...args: readonly string[]): Promise<void> {
  await execute('openssl', args)
}
