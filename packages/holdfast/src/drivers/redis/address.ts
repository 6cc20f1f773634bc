/** What a URL says. Errors never repeat it: it may hold a password. */

import { StoreMisconfigured } from '../../errors.ts'

/** Where the servers are, and who we are to them. */
export interface Address {
  readonly kind: 'server' | 'cluster' | 'sentinel'
  readonly secure: boolean
  readonly login: { readonly username?: string; readonly password?: string }
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  /** The number of the database. */
  readonly database: number
  /** The name under which Sentinel knows the master. */
  readonly master: string
}

const serverPort = 6_379
const sentinelPort = 26_379

const pattern = /^(?:redis|valkey)(s?)(\+sentinel)?:\/\/((?:[^@/]*@)?)([^@/?#]*)((?:\/[^/?#]*){0,2})$/

/** @throws {StoreMisconfigured} */
export function parsed(url: string): Address {
  const match = pattern.exec(url)
  const [, secure = '', sentinel = '', credentials = '', list = '', path = ''] = match ?? []
  const names = list.split(',').map((name) => (/^(:|$)/.test(name) ? `localhost${name}` : name))
  if (!match || !names.every((host) => URL.canParse(`redis://${credentials}${host}`))) throw malformed()
  const kind = sentinel ? 'sentinel' : names.length > 1 ? 'cluster' : 'server'
  const parts = path.split('/').slice(1)
  const master = sentinel ? decoded(parts.shift() ?? '') : ''
  const [database = '', ...rest] = parts
  if (rest.length > 0 || !/^\d{0,5}$/.test(database) || (sentinel && master === '')) throw malformed()
  if (kind === 'cluster' && Number(database) > 0)
    throw new StoreMisconfigured('a cluster has no database but 0')
  const port = sentinel ? sentinelPort : serverPort
  const hosts = names.map((name) => hostOf(name, port))
  return {
    kind,
    secure: secure === 's',
    login: loginOf(credentials),
    hosts,
    database: Number(database),
    master,
  }
}

function hostOf(name: string, port: number): { readonly host: string; readonly port: number } {
  const url = new URL(`redis://${name}`)
  // An IPv6 address stands in brackets only in a URL.
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? port : Number(url.port) }
}

function loginOf(credentials: string): Address['login'] {
  const { username, password } = new URL(`redis://${credentials}localhost`)
  return {
    ...(username && { username: decoded(username) }),
    ...(password && { password: decoded(password) }),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw malformed()
  }
}

function malformed(): StoreMisconfigured {
  return new StoreMisconfigured(
    'write redis://[user:password@]host[:port][/db], several hosts with commas for a cluster, or ' +
      'redis+sentinel://[user:password@]host[:port],…/master[/db] with the hosts of Sentinel; rediss: is with TLS; ' +
      'percent-encode the password',
  )
}
