/** What a URL says: which servers, TLS, and the two settings that a store by URL may need. */

import { StoreMisconfigured } from '../../errors.ts'
import { addresses } from './client/address.ts'

export interface Location {
  readonly servers: readonly string[]
  readonly secure: boolean
  readonly settings: { readonly listing?: 'partial' | 'none'; readonly role?: 'truth' | 'cache' }
}

/**
 * Reads `memcached://host[:11211][,host2 …]`, `memcacheds://` with TLS, or `memcached:///path` of a Unix socket, each
 * with `?listing=partial` and `role=cache` where they are wanted.
 *
 * @throws {StoreMisconfigured} which never repeats the URL.
 */
export function locationOf(url: string): Location {
  const match = /^memcached(s?):\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/.exec(url)
  const [, secure = '', hosts = '', path = '', query = ''] = match ?? []
  const isSocket = hosts === '' && path.length > 1
  if (!match || hosts.includes('@') || (!isSocket && (hosts === '' || path.length > 1))) {
    throw new StoreMisconfigured(
      'write memcached://host[:port], several hosts with commas, or memcached:///path/of/a.sock; there is no login',
    )
  }
  const servers = isSocket ? [decoded(path)] : hosts.split(',')
  addresses(servers)
  return { servers, secure: secure === 's', settings: settingsOf(new URLSearchParams(query)) }
}

function settingsOf(query: URLSearchParams): Location['settings'] {
  const { listing, role, ...others } = Object.fromEntries(query)
  const isKnown =
    Object.keys(others).length === 0 &&
    (listing === undefined || listing === 'partial' || listing === 'none') &&
    (role === undefined || role === 'truth' || role === 'cache')
  if (!isKnown) {
    throw new StoreMisconfigured('the URL of a Memcached store takes listing=partial and role=cache, no more')
  }
  return { ...(listing === undefined ? {} : { listing }), ...(role === undefined ? {} : { role }) }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch (cause) {
    throw new StoreMisconfigured('the path of the socket is not validly percent-encoded', { cause })
  }
}
