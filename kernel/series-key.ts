/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/series-key.wasm: takes one series key apart into its
 * labels and hashes each. Its host is src/codec/series-key.ts.
 */
import { hashKey } from './hash-key'

export { setSeed } from './hash-key'

/** Not spelled as storage spells it (or not a key at all): the host takes it apart itself. */
const unusual: i32 = -1

export function hash(from: usize, to: usize, target: usize): void {
  hashKey(from, to, target)
}

/** Bytes of 128 and more were seen by the last `split`: the host checks that they are UTF-8. */
export let hasHighBytes: bool = false

function anyHigh(from: usize, to: usize): bool {
  let at = from
  while (at + 8 <= to) {
    if ((load<u64>(at) & 0x8080808080808080) != 0) return true
    at += 8
  }
  while (at < to) if (load<u8>(at++) >= 128) return true
  return false
}

/** Is text a below text b, byte by byte? */
function isBelow(aFrom: usize, aTo: usize, bFrom: usize, bTo: usize): bool {
  let a = aFrom
  let b = bFrom
  while (a < aTo && b < bTo) {
    const left = load<u8>(a++)
    const right = load<u8>(b++)
    if (left != right) return left < right
  }
  return a == aTo && b < bTo
}

/**
 * Takes the key at [from, to) apart when it is canonical (names ascending, no value empty, texts below 128 bytes of
 * length, lengths spelled in one byte) and has at most `labelsMax` labels. For each label it writes four words (where
 * its name and value begin and end, relative to `from`) to `places` and its hash to `hashes`. Returns the number of
 * labels, or `unusual`.
 */
export function split(from: usize, to: usize, labelsMax: i32, places: usize, hashes: usize): i32 {
  hasHighBytes = false
  let at = from
  let count = 0
  let lastFrom: usize = 0
  let lastTo: usize = 0
  while (at < to) {
    if (count >= labelsMax || at + 2 > to || load<u8>(at) != 0x0a) return unusual
    let inner = <usize>load<u8>(at + 1)
    at += 2
    if (inner >= 128) {
      if (at >= to) return unusual
      const more = <usize>load<u8>(at++)
      if (more >= 128 || more == 0) return unusual
      inner = (inner & 127) | (more << 7)
    }
    const end = at + inner
    if (end > to || inner < 4 || load<u8>(at) != 0x0a) return unusual
    const nameLength = <usize>load<u8>(at + 1)
    const nameFrom = at + 2
    const nameTo = nameFrom + nameLength
    if (nameLength == 0 || nameLength >= 128 || nameTo + 2 > end || load<u8>(nameTo) != 0x12) return unusual
    let valueLength = <usize>load<u8>(nameTo + 1)
    let valueFrom = nameTo + 2
    if (valueLength >= 128) {
      if (valueFrom >= end) return unusual
      const more = <usize>load<u8>(valueFrom++)
      if (more >= 128 || more == 0) return unusual
      valueLength = (valueLength & 127) | (more << 7)
    }
    if (valueLength == 0 || valueFrom + valueLength != end) return unusual
    if (count > 0 && !isBelow(lastFrom, lastTo, nameFrom, nameTo)) return unusual
    const place = places + <usize>count * 16
    store<u32>(place, <u32>(nameFrom - from))
    store<u32>(place + 4, <u32>(nameTo - from))
    store<u32>(place + 8, <u32>(valueFrom - from))
    store<u32>(place + 12, <u32>(end - from))
    hashKey(at, end, hashes + <usize>count * 16)
    if (anyHigh(nameFrom, nameTo) || anyHigh(valueFrom, end)) hasHighBytes = true
    lastFrom = nameFrom
    lastTo = nameTo
    count++
    at = end
  }
  return count
}
