/** XOR2 chunks (encoding 4): read only. Source: docs/formats/prometheus-block.md*/
import { CorruptDataError } from '#core/errors.ts'
import { BitReader } from './bitstream.ts'

const staleHi = 0x7ff00000
const staleLo = 2

/** Visits every sample: time, the value's words, and the start timestamp (0 = none). */
export function decodeXor2(
  bytes: Uint8Array,
  from: number,
  to: number,
  visit: (timeMs: number, hi: number, lo: number, startMs: number) => void,
): void {
  const input = new BitReader(bytes, from, to)
  const count = input.readBits(16)
  const header = input.readBits(8)
  if (count > (to - from) * 8) throw new CorruptDataError(`xor2 chunk: ${to - from} bytes can't hold ${count} samples`)
  const changesAt = header & 127
  const value = new Baseline()
  let timeMs = 0
  let deltaMs = 0
  let startMs = 0
  let startDifference = 0
  for (let i = 0; i < count; i++) {
    const previousMs = timeMs
    if (i === 0) {
      timeMs = input.readVarint()
      value.first(input)
      if ((header & 128) !== 0) startMs = timeMs - input.readVarint()
    } else if (i === 1) {
      deltaMs = input.readUvarint()
      timeMs += deltaMs
      value.wide(input)
      if (changesAt === 1) {
        startDifference = input.readVarbitInt()
        startMs = previousMs - startDifference
      }
    } else {
      deltaMs += control(input, value)
      timeMs += deltaMs
      if (changesAt > 0 && i >= changesAt) {
        const d = input.readVarbitInt()
        startDifference = i === changesAt ? d : startDifference + d
        startMs = previousMs - startDifference
      }
    }
    visit(timeMs, value.stale ? staleHi : value.hi, value.stale ? staleLo : value.lo, startMs)
  }
}

/** Reads the joint control bits of a sample from the third on; returns the delta of deltas. */
function control(input: BitReader, value: Baseline): number {
  value.stale = false
  if (input.readBit() === 0) return 0
  if (input.readBit() === 0) {
    value.narrow(input)
    return 0
  }
  if (input.readBit() === 0) {
    const dod = signed(input.readBits(13), 13)
    value.wide(input)
    return dod
  }
  if (input.readBit() === 0) {
    const dod = signed(input.readBits(20), 20)
    value.wide(input)
    return dod
  }
  if (input.readBit() === 0) {
    const hi = input.readBits(32) | 0
    const dod = hi * 4294967296 + input.readBits(32)
    value.wide(input)
    return dod
  }
  value.stale = true
  return 0
}

function signed(raw: number, width: number): number {
  return raw >= 2 ** (width - 1) ? raw - 2 ** width : raw
}

/** The last value that was not stale, and the window of significant bits. */
class Baseline {
  hi = 0
  lo = 0
  stale = false
  #leading = 0
  #trailing = 0

  first(input: BitReader): void {
    const hi = input.readBits(32)
    const lo = input.readBits(32)
    this.stale = hi === staleHi && lo === staleLo
    if (this.stale) return
    this.hi = hi
    this.lo = lo
  }

  /** `0` same, `10` reuse window, `110` new window, `111` stale. */
  wide(input: BitReader): void {
    this.stale = false
    if (input.readBit() === 0) return
    if (input.readBit() === 0) {
      this.#xor(input)
      return
    }
    if (input.readBit() === 0) {
      this.#window(input)
      this.#xor(input)
      return
    }
    this.stale = true
  }

  /** `0` reuse window, `1` new window. */
  narrow(input: BitReader): void {
    if (input.readBit() === 1) this.#window(input)
    this.#xor(input)
  }

  #window(input: BitReader): void {
    this.#leading = input.readBits(5)
    const significant = input.readBits(6) || 64
    this.#trailing = 64 - this.#leading - significant
    if (this.#trailing < 0) throw new CorruptDataError('xor2 chunk: a value window wider than 64 bits')
  }

  #xor(input: BitReader): void {
    const count = 64 - this.#leading - this.#trailing
    const high = count > 32 ? input.readBits(count - 32) : 0
    const low = input.readBits(Math.min(count, 32))
    const shift = this.#trailing
    this.hi =
      (this.hi ^ (shift === 0 ? high : shift < 32 ? (high << shift) | (low >>> (32 - shift)) : low << (shift - 32))) >>>
      0
    this.lo = (this.lo ^ (shift < 32 ? low << shift : 0)) >>> 0
  }
}
