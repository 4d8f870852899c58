/** Returns the hash slot of a key: of what is between its first braces, if anything is. */
export function slotOf (key: string): number {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open)
  const hashed = open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key
  // CRC-16/XMODEM, as the specification of Redis Cluster has it.
  let crc = 0
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)
    crc &= 0xffff
  }
  return crc % 16384
}
