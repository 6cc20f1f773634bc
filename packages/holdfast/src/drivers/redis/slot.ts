/** Which of the 16,384 slots of a cluster a name lies in: CRC-16 (XMODEM) of its tag. */

/** How many slots a cluster has. */
export const slotCount = 16_384

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

/** The slot of `{tag}`, written with its braces. */
export function slotOf(tag: string): number {
  let crc = 0
  for (const byte of Buffer.from(tag.slice(1, -1)))
    crc = ((crc << 8) ^ (table[(crc >> 8) ^ byte] ?? 0)) & 0xffff
  return crc % slotCount
}

/** The slot of a name that begins with its tag. */
export function slotOfName(name: string): number {
  return slotOf(name.slice(0, name.indexOf('}') + 1))
}
