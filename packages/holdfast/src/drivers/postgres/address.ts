/** The URL of a server: where it is, and how the connection is protected, in the words of libpq. */

import { StoreMisconfigured } from '../../errors.ts'
import { contentOf } from '../sql/url.ts'
import type { TlsOptions } from '../../store/store.ts'

/** How a connection is protected, in the words of libpq. */
type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
const sslModes: readonly string[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']

/** Where the server is, and how it is spoken to. */
export interface Address {
  /** What pg is told. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Missing: nothing was said of it. */
  readonly mode?: SslMode
  /** Certificates and checks, as TLS takes them. */
  readonly tls: TlsOptions
}

const files = { sslrootcert: 'ca', sslcert: 'cert', sslkey: 'key' } as const
const plain = ['application_name', 'options', 'client_encoding'] as const

/**
 * Reads a URL. The option `tls` switches TLS on where the URL says nothing, with all checks; where the URL names a
 * mode, it adds to that, and there is no going without any more. Errors never repeat the URL: it may hold a password.
 *
 * @throws {StoreMisconfigured}
 */
export function addressOf(url: string, tls?: TlsOptions): Address {
  const address = parsed(url)
  if (!tls) return address
  if (address.mode === 'disable') throw misspelt('says sslmode=disable, but the option tls is given')
  const isWeak = address.mode === 'prefer' || address.mode === 'allow'
  const mode = isWeak ? 'require' : (address.mode ?? 'verify-full')
  return { ...address, mode, tls: { ...address.tls, ...tls } }
}

function parsed(url: string): Address {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url)
  if (!match) throw misspelt('is not a URL of PostgreSQL')
  const [, login = '', place = '', database = '', query = ''] = match
  if (place.includes(',')) throw misspelt('names several hosts, which the package pg does not support')
  const [, host = '', port = ''] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(place) ?? []
  if (place !== '' && host === '' && port === '') throw misspelt('has no valid host')
  const colon = login.indexOf(':')
  const parameters = new URLSearchParams(query)
  return {
    settings: defined({
      host: parameters.get('host') ?? decoded(host.replace(/^\[(.*)\]$/, '$1')),
      port: parameters.get('port') ?? port,
      user: decoded(colon < 0 ? login : login.slice(0, colon)),
      password: colon < 0 ? '' : decoded(login.slice(colon + 1)),
      database: decoded(database),
      ...Object.fromEntries(plain.map((name) => [name, parameters.get(name) ?? ''])),
    }),
    ...securityOf(parameters),
  }
}

function securityOf(parameters: URLSearchParams): Pick<Address, 'mode' | 'tls'> {
  const known = ['host', 'port', 'sslmode', ...Object.keys(files), ...plain]
  const unknown = [...parameters.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw misspelt(`has the unknown parameter ${JSON.stringify(unknown)}; known are ${known.join(', ')}`)
  const mode = parameters.get('sslmode') ?? (parameters.has('sslrootcert') ? 'verify-full' : undefined)
  if (mode !== undefined && !sslModes.includes(mode))
    throw misspelt(`has an unknown sslmode; known are ${sslModes.join(', ')}`)
  const tls = Object.entries(files).flatMap(([name, option]) => {
    const path = parameters.get(name)
    return path === null ? [] : [[option, contentOf(name, path)] as const]
  })
  return { ...(mode === undefined ? {} : { mode: mode as SslMode }), tls: Object.fromEntries(tls) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw misspelt('is not validly percent-encoded', cause)
  }
}

function misspelt(why: string, cause?: unknown): StoreMisconfigured {
  return new StoreMisconfigured(
    `the URL ${why}. Write postgres://[user:password@]host[:port]/database[?sslmode=…] and percent-encode the password`,
    { cause },
  )
}

/** What isn't given is left to pg and its environment variables. */
function defined(settings: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== ''))
}

/** What to say of TLS to pg, and what else to try. */
export function protections({ mode = 'disable', tls }: Address): readonly [unknown, ...unknown[]] {
  if (mode === 'disable') return [false]
  if (mode === 'verify-full') return [{ rejectUnauthorized: true, ...tls }]
  if (mode === 'verify-ca')
    return [{ rejectUnauthorized: true, ...tls, checkServerIdentity: () => undefined }]
  const unverified = { rejectUnauthorized: false, ...tls }
  return mode === 'require' ? [unverified] : [unverified, false]
}
