/** ULIDs: 48 bits of milliseconds and 80 random bits as 26 Crockford base-32 characters. */
import type { Random } from '#core/random.ts'

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const shape = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/

/** A new id of this millisecond. */
export function makeUlid(nowMs: number, random: Random): string {
  let text = ''
  let time = nowMs
  for (let i = 0; i < 10; i++) {
    text = alphabet[time % 32]! + text
    time = Math.floor(time / 32)
  }
  const bytes = random.bytes(16)
  for (let i = 0; i < 16; i++) text += alphabet[bytes[i]! & 31]!
  return text
}

/** Has the text the form of a ULID? */
export function isUlid(text: string): boolean {
  return shape.test(text)
}
