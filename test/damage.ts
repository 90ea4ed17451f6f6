/**
 * Damaged messages for decoders: whatever is cut off or mutated, a decoder answers with a value or with one of the
 * errors that it documents, and soon. A failure prints the seed of its mutation, which `mutate` repeats.
 */
import assert from 'node:assert/strict'
import { below, seededRandom } from '#core/random.ts'

export type ErrorClass = abstract new (...parameters: never[]) => Error

export interface DamageOptions {
  /** The errors that the decoder documents. */
  errors: readonly ErrorClass[]
  /**
   * Lengths at which a cut-off message must be refused: all ('always'), those within a field of a protobuf message
   * ('protobuf'), or none ('never', for texts, of which a part is a text too). Default 'never'.
   */
  refusesCuts?: 'always' | 'protobuf' | 'never'
  mutations?: number
  seed?: number
}

/** Longer than any decoder needs for the small messages here, also on a busy machine. */
const decodeMsMax = 3000

/** Cuts `message` at every length, then mutates it `mutations` times (2,000 unless said otherwise). */
export function checkDamage(
  message: Uint8Array,
  decode: (damaged: Uint8Array) => unknown,
  { errors, refusesCuts = 'never', mutations = 2000, seed = 1 }: DamageOptions,
): void {
  const isRefused = (damaged: Uint8Array, what: string): boolean => {
    const startedMs = performance.now()
    let refused = false
    try {
      decode(damaged)
    } catch (error) {
      if (!errors.some(known => error instanceof known))
        throw new Error(`${what}: ${String(error)} (${Buffer.from(damaged).toString('base64')})`, { cause: error })
      refused = true
    }
    const tookMs = performance.now() - startedMs
    assert.ok(tookMs < decodeMsMax, `${what}: took ${tookMs.toFixed()} ms`)
    return refused
  }
  assert.ok(!isRefused(message.slice(), 'the message itself'), 'the message itself is refused')
  const ends = refusesCuts === 'protobuf' ? fieldEnds(message) : new Set<number>([0])
  for (let length = 0; length < message.length; length++) {
    const refused = isRefused(message.slice(0, length), `cut off at ${length}`)
    if (refusesCuts !== 'never' && !ends.has(length)) assert.ok(refused, `cut off at ${length}: not refused`)
  }
  for (let i = 0; i < mutations; i++) isRefused(mutate(message, seed + i), `mutated with the seed ${seed + i}`)
}

/** The message with one to four changes, the same for the same seed. */
export function mutate(message: Uint8Array, seed: number): Uint8Array {
  const random = seededRandom(seed)
  let bytes = [...message]
  for (let change = below(random, 4); change >= 0; change--) {
    const at = below(random, bytes.length + 1)
    const length = 1 + below(random, 8)
    switch (below(random, 7)) {
      case 0:
        if (at < bytes.length) bytes[at] = bytes[at]! ^ (1 << below(random, 8))
        break
      case 1:
        if (at < bytes.length) bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(random, 5)]!
        break
      case 2:
        bytes.splice(at, length)
        break
      case 3:
        bytes.splice(at, 0, ...random.bytes(length))
        break
      case 4:
        bytes.splice(at, 0, ...bytes.slice(at, at + length))
        break
      case 5:
        // The longest varints, and lengths beyond everything.
        bytes.splice(at, below(random, 2) * length, ...new Uint8Array(length).fill(0xff), below(random, 128))
        break
      default:
        bytes = bytes.slice(0, at)
    }
  }
  return Uint8Array.from(bytes)
}

/** Where the fields of a protobuf message end: a message that is cut off there is a message. */
function fieldEnds(message: Uint8Array): Set<number> {
  const ends = new Set([0])
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const type = varint() & 7
    if (type === 0) varint()
    else {
      const length = type === 1 ? 8 : type === 5 ? 4 : varint()
      at += length
    }
    ends.add(at)
  }
  return ends
}
