/** Network addresses, as far as sessions compare them. */

const v4 = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/
const mapped = /^::ffff:(?=\d+\.)/i
const group = /^[0-9a-f]{1,4}$/i
const groupsOfV6 = 8

/** An address in one form, however it was written. What is no address is itself. */
export function addressOf(text: string): string {
  // The zone is an interface of ours, not a part of the peer's address.
  const address = text.replace(/%.*$/, '').replace(mapped, '')
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
function groupsOf(address: string): readonly number[] | undefined {
  if (!address.includes(':')) return undefined
  const [head = '', tail, ...more] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = groupsOfV6 - before.length - after.length
  if (more.length > 0 || missing < 0 || (tail === undefined && missing > 0)) return undefined
  if (![...before, ...after].every((each) => group.test(each))) return undefined
  const zeros = Array<string>(missing).fill('0')
  return [...before, ...zeros, ...after].map((each) => Number.parseInt(each, 16))
}

/** An IPv4 address that was written in IPv6, in hexadecimal. */
function mappedV4(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6)
  if (groups.slice(0, 5).some((each) => each !== 0) || groups[5] !== 0xffff) return undefined
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

function hex(group: number): string {
  return group.toString(16)
}
