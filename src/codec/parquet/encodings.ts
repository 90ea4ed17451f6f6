/**
 * Parquet's value encodings: RLE / bit-packed hybrid, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY.
 * Source: the public format description (parquet-format, Encodings.md). Decoding checks every count and length.
 */
import { CorruptDataError } from '#core/errors.ts'
import { ByteReader } from '../byte-reader.ts'
import type { ByteWriter } from '../byte-writer.ts'

/** Bits that the number needs. */
export function bitWidthOf(max: number): number {
  return 32 - Math.clz32(max)
}

// --- RLE / bit-packed hybrid ---

/** `count` values of `width` bits (at most 32) from bytes[from, to) into `into`. Returns where reading ended. */
export function decodeHybrid(
  bytes: Uint8Array,
  from: number,
  to: number,
  width: number,
  count: number,
  into: Uint8Array | Int32Array,
  intoAt = 0,
): number {
  if (width > 32) throw new CorruptDataError(`parquet: a width of ${width} bits`)
  if (width === 0) {
    into.fill(0, intoAt, intoAt + count)
    return from
  }
  const input = new ByteReader(bytes, from, to)
  const valueBytes = (width + 7) >>> 3
  let at = intoAt
  const end = intoAt + count
  while (at < end) {
    const head = input.readUvarint()
    if (head % 2 === 0) {
      const run = Math.min(head / 2, end - at)
      let value = 0
      for (let i = 0; i < valueBytes; i++) value |= input.readU8() << (i * 8)
      into.fill(value, at, at + run)
      at += run
      if (run === 0 && head === 0) throw new CorruptDataError('parquet: an empty run')
      continue
    }
    const groups = (head - 1) / 2
    const packed = Math.min(groups * width, input.end - input.at)
    const run = Math.min(groups * 8, end - at)
    if (packed * 8 < run * width) throw new CorruptDataError('parquet: a bit-packed run is cut off')
    unpack(bytes, input.at, width, run, into, at)
    at += run
    input.at += packed
  }
  return input.at
}

/** `count` values of `width` bits (1 to 32) from bytes[from...) into `into[at...]`. */
function unpack(
  bytes: Uint8Array,
  from: number,
  width: number,
  count: number,
  into: Uint8Array | Int32Array,
  at: number,
): void {
  if (width > 4) unpackWords(bytes, from * 8, width, width, count, into, at)
  else
    for (let i = unpackGroups(bytes, from, width, count, into, at); i < count; i++)
      into[at + i] = readBits(bytes, from, i * width, width)
}

/** Groups of eight values of at most four bits, a word each. Returns how many values those are. */
function unpackGroups(
  bytes: Uint8Array,
  from: number,
  width: number,
  count: number,
  into: Uint8Array | Int32Array,
  at: number,
): number {
  const whole = count & ~7
  const mask = (1 << width) - 1
  for (const end = at + whole; at < end; at += 8, from += width) {
    let word = bytes[from]!
    if (width > 1) word |= bytes[from + 1]! << 8
    if (width > 2) word |= bytes[from + 2]! << 16
    if (width > 3) word |= bytes[from + 3]! << 24
    into[at] = word & mask
    into[at + 1] = (word >>> width) & mask
    into[at + 2] = (word >>> (2 * width)) & mask
    into[at + 3] = (word >>> (3 * width)) & mask
    into[at + 4] = (word >>> (4 * width)) & mask
    into[at + 5] = (word >>> (5 * width)) & mask
    into[at + 6] = (word >>> (6 * width)) & mask
    into[at + 7] = (word >>> (7 * width)) & mask
  }
  return whole
}

/** `count` values of `width` bits (1 to 32), of which one begins each `stride` bits, the first at `bit`. */
function unpackWords(
  bytes: Uint8Array,
  bit: number,
  stride: number,
  width: number,
  count: number,
  into: Uint8Array | Int32Array,
  at: number,
): void {
  const mask = width === 32 ? -1 : (1 << width) - 1
  // Those that have five bytes from their first on; the others are read with less haste.
  const ahead = Math.max(0, Math.min(count, Math.floor(((bytes.length - 4) * 8 - bit - 1) / stride)))
  for (const end = at + ahead; at < end; at++, bit += stride) {
    const first = (bit / 8) | 0
    const shift = bit & 7
    const word = bytes[first]! | (bytes[first + 1]! << 8) | (bytes[first + 2]! << 16) | (bytes[first + 3]! << 24)
    // A shift by 32 would be one by 0.
    into[at] = ((word >>> shift) | ((bytes[first + 4]! << 1) << (31 - shift))) & mask
  }
  for (let i = ahead; i < count; i++, bit += stride) into[at++] = readBits(bytes, 0, bit, width)
}

/** At most 32 bits from a bit offset, least significant first. */
function readBits(bytes: Uint8Array, from: number, bitAt: number, width: number): number {
  let value = 0
  let have = 0
  let at = from + Math.floor(bitAt / 8)
  let shift = bitAt % 8
  while (have < width) {
    const part = bytes[at++]! >>> shift
    const take = Math.min(8 - shift, width - have)
    value += (part & ((1 << take) - 1)) * 2 ** have
    have += take
    shift = 0
  }
  return value | 0
}

/** Runs where a value repeats eight times or more, groups of eight packed otherwise. */
export function encodeHybrid(
  out: ByteWriter,
  values: Uint8Array | Int32Array,
  from: number,
  to: number,
  width: number,
): void {
  if (width === 0) return
  const valueBytes = (width + 7) >>> 3
  let at = from
  while (at < to) {
    let run = at + 1
    const value = values[at]!
    while (run < to && values[run] === value) run++
    if (run - at >= 8 || run === to) {
      out.writeUvarint((run - at) * 2)
      for (let i = 0; i < valueBytes; i++) out.writeU8((value >>> (i * 8)) & 255)
      at = run
      continue
    }
    // Groups of eight until a long run begins.
    let groups = 0
    let next = at
    while (next < to) {
      let same = 1
      while (same < 16 && next + same < to && values[next + same] === values[next]) same++
      if (same >= 16) break
      next += 8
      groups++
    }
    out.writeUvarint(groups * 2 + 1)
    packGroups(out, values, at, to, groups, width)
    at = Math.min(to, at + groups * 8)
  }
}

function packGroups(
  out: ByteWriter,
  values: Uint8Array | Int32Array,
  from: number,
  to: number,
  groups: number,
  width: number,
): void {
  const bytes = groups * width
  out.reserve(bytes + 8)
  const { buffer } = out
  let target = out.at
  const end = target + bytes
  const whole = Math.min(groups, (to - from) >>> 3)
  let at = from
  if (width <= 4) {
    // A group fits in 32 bits.
    for (let group = 0; group < whole; group++, at += 8) {
      let held = 0
      for (let i = 0, shift = 0; i < 8; i++, shift += width) held |= values[at + i]! << shift
      for (let i = 0; i < width; i++, held >>>= 8) buffer[target++] = held & 255
    }
  }
  // As many bits as fit are collected at a time: 24 and 7 waiting ones stay below 32.
  let held = 0
  let bits = 0
  for (let left = groups * 8 - (at - from); left > 0; left--, at++) {
    let value = at < to ? values[at]! >>> 0 : 0
    if (width <= 24) {
      held |= value << bits
      bits += width
      while (bits >= 8) {
        buffer[target++] = held & 255
        held >>>= 8
        bits -= 8
      }
      continue
    }
    held |= (value & 0xffffff) << bits
    bits += 24
    while (bits >= 8) {
      buffer[target++] = held & 255
      held >>>= 8
      bits -= 8
    }
    value >>>= 24
    held |= value << bits
    bits += width - 24
    while (bits >= 8) {
      buffer[target++] = held & 255
      held >>>= 8
      bits -= 8
    }
  }
  if (bits > 0) buffer[target++] = held & 255
  while (target < end) buffer[target++] = 0
  out.at = end
}

// --- DELTA_BINARY_PACKED ---

const deltaBlock = 128
const miniBlocks = 4
const miniValues = deltaBlock / miniBlocks

function readUvarint64(input: ByteReader): bigint {
  let value = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = input.readU8()
    value |= BigInt(byte & 127) << shift
    if (byte < 128) return BigInt.asUintN(64, value)
  }
  throw new CorruptDataError('parquet: a varint longer than 10 bytes')
}
function readVarint64(input: ByteReader): bigint {
  const raw = readUvarint64(input)
  return BigInt.asIntN(64, (raw >> 1n) ^ -(raw & 1n))
}

interface DeltaHead {
  miniCount: number
  perMini: number
  count: number
}

function readDeltaHead(input: ByteReader, countMax: number): DeltaHead {
  const blockSize = input.readUvarint()
  const miniCount = input.readUvarint()
  const count = input.readUvarint()
  if (
    miniCount === 0 ||
    blockSize % 128 !== 0 ||
    blockSize === 0 ||
    blockSize > 65_536 ||
    blockSize % miniCount !== 0 ||
    (blockSize / miniCount) % 32 !== 0 ||
    count > countMax
  )
    throw new CorruptDataError(`parquet: a delta block of ${blockSize} values in ${miniCount} parts, ${count} in all`)
  return { miniCount, perMini: blockSize / miniCount, count }
}

/** 64-bit values. Returns them and where reading ended. */
export function decodeDelta64(
  bytes: Uint8Array,
  from: number,
  to: number,
  countMax: number,
): { values: BigInt64Array; at: number } {
  const input = new ByteReader(bytes, from, to)
  const { miniCount, perMini, count } = readDeltaHead(input, countMax)
  const values = new BigInt64Array(count)
  let last = readVarint64(input)
  if (count === 0) return { values, at: input.at }
  values[0] = last
  const low = new Int32Array(perMini)
  const high = new Int32Array(perMini)
  for (let at = 1; at < count;) {
    const minDelta = readVarint64(input)
    const widths = input.readBytes(miniCount)
    for (let m = 0; m < miniCount && at < count; m++) {
      const width = widths[m]!
      if (width > 64) throw new CorruptDataError(`parquet: a width of ${width} bits`)
      const size = (perMini * width) / 8
      const here = Math.min(perMini, count - at)
      // The last part may be cut off behind its last value.
      if (input.end - input.at < Math.ceil((here * width) / 8))
        throw new CorruptDataError('parquet: a delta part is cut off')
      if (width <= 32) {
        if (width === 0) low.fill(0)
        else unpack(bytes, input.at, width, here, low, 0)
        for (let i = 0; i < here; i++) values[at++] = last = BigInt.asIntN(64, last + minDelta + BigInt(low[i]! >>> 0))
      } else {
        unpackWords(bytes, input.at * 8, width, 32, here, low, 0)
        unpackWords(bytes, input.at * 8 + 32, width, width - 32, here, high, 0)
        for (let i = 0; i < here; i++)
          values[at++] = last = BigInt.asIntN(
            64,
            last + minDelta + (BigInt(high[i]! >>> 0) << 32n) + BigInt(low[i]! >>> 0),
          )
      }
      input.at = Math.min(input.end, input.at + size)
    }
  }
  return { values, at: input.at }
}

/** Values of 32 bits. */
export function decodeDelta32(
  bytes: Uint8Array,
  from: number,
  to: number,
  countMax: number,
): { values: Int32Array; at: number } {
  const input = new ByteReader(bytes, from, to)
  const { miniCount, perMini, count } = readDeltaHead(input, countMax)
  const values = new Int32Array(count)
  let last = input.readVarint() | 0
  if (count === 0) return { values, at: input.at }
  values[0] = last
  const low = new Int32Array(perMini)
  for (let at = 1; at < count;) {
    const minDelta = input.readVarint() | 0
    const widths = input.readBytes(miniCount)
    for (let m = 0; m < miniCount && at < count; m++) {
      const width = widths[m]!
      if (width > 32) throw new CorruptDataError(`parquet: a width of ${width} bits for values of 32`)
      const here = Math.min(perMini, count - at)
      if (input.end - input.at < Math.ceil((here * width) / 8))
        throw new CorruptDataError('parquet: a delta part is cut off')
      if (width === 0) low.fill(0)
      else unpack(bytes, input.at, width, here, low, 0)
      for (let i = 0; i < here; i++) values[at++] = last = (last + minDelta + low[i]!) | 0
      input.at = Math.min(input.end, input.at + (perMini * width) / 8)
    }
  }
  return { values, at: input.at }
}

function writeVarint64(out: ByteWriter, value: bigint): void {
  let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  while (raw >= 128n) {
    out.writeU8(Number(raw & 127n) | 128)
    raw >>= 7n
  }
  out.writeU8(Number(raw))
}

const deltas64 = new BigInt64Array(deltaBlock)
const words64 = new Uint32Array(deltas64.buffer)

/** Values [from, to), 64 bits each, as DELTA_BINARY_PACKED. */
export function encodeDelta64(out: ByteWriter, values: BigInt64Array, from: number, to: number): void {
  out.writeUvarint(deltaBlock)
  out.writeUvarint(miniBlocks)
  out.writeUvarint(to - from)
  writeVarint64(out, from < to ? values[from]! : 0n)
  for (let at = from + 1; at < to; at += deltaBlock) {
    const count = Math.min(deltaBlock, to - at)
    let least = BigInt.asIntN(64, values[at]! - values[at - 1]!)
    for (let i = 0; i < count; i++) {
      const delta = BigInt.asIntN(64, values[at + i]! - values[at + i - 1]!)
      deltas64[i] = delta
      if (delta < least) least = delta
    }
    for (let i = 0; i < count; i++) deltas64[i] = BigInt.asIntN(64, deltas64[i]! - least)
    for (let i = count; i < deltaBlock; i++) deltas64[i] = 0n
    writeVarint64(out, least)
    const widthsAt = out.at
    for (let m = 0; m < miniBlocks; m++) out.writeU8(0)
    for (let m = 0; m < miniBlocks && m * miniValues < count; m++) {
      let low = 0
      let high = 0
      for (let i = m * miniValues; i < (m + 1) * miniValues; i++) {
        low |= words64[i * 2]!
        high |= words64[i * 2 + 1]!
      }
      const width = high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(low)
      out.buffer[widthsAt + m] = width
      packWords(out, m * miniValues, width)
    }
  }
}

/** 32 of the words of 64 bits, `width` bits of each. */
function packWords(out: ByteWriter, from: number, width: number): void {
  const size = (miniValues * width) / 8
  out.reserve(size + 8)
  const { buffer } = out
  let target = out.at
  let held = 0
  let bits = 0
  const push = (value: number, count: number): void => {
    held |= (count === 32 ? value : value & ((1 << count) - 1)) << bits
    bits += count
    while (bits >= 8) {
      buffer[target++] = held & 255
      held >>>= 8
      bits -= 8
    }
  }
  for (let i = from; i < from + miniValues; i++) {
    let left = width
    for (let word = 0; word < 2 && left > 0; word++) {
      const value = words64[i * 2 + word]!
      const whole = Math.min(32, left)
      push(value & 0xffff, Math.min(16, whole))
      if (whole > 16) push(value >>> 16, whole - 16)
      left -= whole
    }
  }
  if (bits > 0) buffer[target] = held & 255
  out.at += size
}

const deltas32 = new Int32Array(deltaBlock)

/** Values [from, to), 32 bits each, as DELTA_BINARY_PACKED. */
export function encodeDelta32(out: ByteWriter, values: Int32Array, from: number, to: number): void {
  out.writeUvarint(deltaBlock)
  out.writeUvarint(miniBlocks)
  out.writeUvarint(to - from)
  out.writeVarint(from < to ? values[from]! : 0)
  for (let at = from + 1; at < to; at += deltaBlock) {
    const count = Math.min(deltaBlock, to - at)
    let least = 0x7fffffff
    for (let i = 0; i < count; i++) {
      // Differences wrap as 32-bit numbers do.
      const delta = (values[at + i]! - values[at + i - 1]!) | 0
      deltas32[i] = delta
      if (delta < least) least = delta
    }
    for (let i = 0; i < count; i++) deltas32[i] = deltas32[i]! - least
    deltas32.fill(0, count)
    out.writeVarint(least)
    const widthsAt = out.at
    for (let m = 0; m < miniBlocks; m++) out.writeU8(0)
    for (let m = 0; m < miniBlocks && m * miniValues < count; m++) {
      let all = 0
      for (let i = m * miniValues; i < (m + 1) * miniValues; i++) all |= deltas32[i]!
      const width = 32 - Math.clz32(all)
      out.buffer[widthsAt + m] = width
      if (width > 0) packGroups(out, deltas32, m * miniValues, (m + 1) * miniValues, miniValues / 8, width)
    }
  }
}
