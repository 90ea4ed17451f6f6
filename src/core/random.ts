/** Randomness, handed in from the composition root. */
import { randomBytes } from 'node:crypto'

export interface Random {
  /** A whole number in [0, 2^32). */
  u32(): number
  /** `count` fresh bytes. */
  bytes(count: number): Uint8Array
}

export const systemRandom: Random = {
  u32: () => randomBytes(4).readUInt32LE(0),
  bytes: count => new Uint8Array(randomBytes(count)),
}

/** The same numbers for the same seed (xorshift128, seeded by splitmix32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const split = (): number => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  let a = split(),
    b = split(),
    c = split(),
    d = split()
  const u32 = (): number => {
    const t = a ^ (a << 11)
    a = b
    b = c
    c = d
    d = d ^ (d >>> 19) ^ t ^ (t >>> 8)
    return d >>> 0
  }
  return { u32, bytes: count => Uint8Array.from({ length: count }, () => u32() & 255) }
}

/** A whole number in [0, limit). */
export function below(random: Random, limit: number): number {
  return Math.floor((random.u32() / 4294967296) * limit)
}
