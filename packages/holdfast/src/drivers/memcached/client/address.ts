/** How servers are named: a host with a port, or the path of a Unix socket. */

import { StoreMisconfigured } from '../../../errors.ts'

/** Where a server listens. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** A server and its name, by which keys are spread. */
export interface Named {
  readonly name: string
  readonly address: Address
}

const defaultPort = 11_211

/**
 * The servers of a list: `host`, `host:port`, `[::1]:port`, or `/path/of/a.sock`.
 *
 * @throws {StoreMisconfigured} when one can't be right or occurs twice.
 */
export function addresses(servers: readonly string[]): readonly Named[] {
  // Sorted, so that the order in which they are listed decides nothing.
  const named = servers.map(addressOf).sort((a, b) => (a.name < b.name ? -1 : 1))
  const names = new Set(named.map(({ name }) => name))
  if (named.length === 0) throw new StoreMisconfigured('a Memcached client needs at least one server')
  if (names.size < named.length) throw new StoreMisconfigured('a Memcached server is named twice')
  return named
}

function addressOf(server: string): Named {
  if (server.startsWith('/')) return { name: server, address: { path: server } }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(server)
  const [, v6, plain, digits] = match ?? []
  const host = v6 ?? plain
  const port = digits === undefined ? defaultPort : Number(digits)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new StoreMisconfigured(
      'a Memcached server is named host, host:port, [IPv6]:port or by the /path of its socket',
    )
  }
  return { name: v6 === undefined ? `${host}:${port}` : `[${host}]:${port}`, address: { host, port } }
}
