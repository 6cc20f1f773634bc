/** Network addresses, as far as sessions compare them. */

const v4 = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/
/** As proxies write them who tell the port too. */
const bracketed = /^\[(.*)\](?::\d+)?$/
const ported = /^([\d.]+):\d+$/
const dotted = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
const group = /^[0-9a-f]{1,4}$/i
const groupsOfV6 = 8

/** An address in one form, however it was written. What is no address is itself. */
export function addressOf(text: string): string {
  const bare = (bracketed.exec(text) ?? ported.exec(text))?.[1] ?? text
  // The zone is an interface of ours, not a part of the peer's address.
  const address = bare.replace(/%.*$/, '')
  if (v4.test(address)) return address
  const groups = groupsOf(address)
  return groups ? (mappedV4(groups) ?? groups.map(hex).join(':')) : text
}

/** The network of an address: 24 bits of IPv4, 56 of IPv6. What is no address is a network of its own. */
export function networkOf(text: string): string {
  const address = addressOf(text)
  if (v4.test(address)) return `${address.replace(/\d+$/, '')}0/24`
  const groups = groupsOf(address)
  if (!groups) return text
  const [a = 0, b = 0, c = 0, d = 0] = groups
  return `${[a, b, c, d & 0xff00].map(hex).join(':')}::/56`
}

/** The eight groups of an IPv6 address. */
function groupsOf(text: string): readonly number[] | undefined {
  if (!text.includes(':')) return undefined
  const address = withoutDots(text)
  const [head = '', tail, ...more] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = groupsOfV6 - before.length - after.length
  if (more.length > 0 || missing < 0 || (tail === undefined && missing > 0)) return undefined
  if (![...before, ...after].every((each) => group.test(each))) return undefined
  const zeros = Array<string>(missing).fill('0')
  return [...before, ...zeros, ...after].map((each) => Number.parseInt(each, 16))
}

/** The last two groups may be written as an IPv4 address. */
function withoutDots(address: string): string {
  const [, before = '', ...tail] = dotted.exec(address) ?? []
  const bytes = tail.map(Number)
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  if (bytes.length === 0 || bytes.some((each) => each > 0xff)) return address
  return `${before}${hex((a << 8) | b)}:${hex((c << 8) | d)}`
}

/** An IPv4 address that was written in IPv6. */
function mappedV4(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6)
  if (groups.slice(0, 5).some((each) => each !== 0) || groups[5] !== 0xffff) return undefined
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

function hex(group: number): string {
  return group.toString(16)
}
