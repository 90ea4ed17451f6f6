/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/write-request.wasm: snappy, the walk over a
 * remote-write 1.0 body and the hashes of its series keys, in one memory. The host (src/codec/write-request.ts) lays
 * out the memory, passes places, and checks capacities; every length is checked here before it is used.
 */

import { hashKey } from './hash-key'

export { setSeed } from './hash-key'

/** Results below zero. */
const corrupt: i32 = -1
const full: i32 = -2
/** Labels behind samples, or other shapes that the host reads itself. */
const unusual: i32 = -3

/**
 * Unfolds a snappy block body (behind its header) into `dst`; `dst` and `src` have 16 bytes of slack behind them.
 * Returns the size or `corrupt`.
 */
export function unfold(src: usize, srcEnd: usize, dst: usize, size: usize): i32 {
  let at = src
  let out = dst
  const end = dst + size
  while (at < srcEnd) {
    const tag = <u32>load<u8>(at++)
    const kind = tag & 3
    let length: usize
    if (kind == 0) {
      length = (tag >>> 2) + 1
      if (length > 60) {
        const extra = length - 60
        if (at + extra > srcEnd) return corrupt
        length = 1
        for (let i: usize = 0; i < extra; i++) length += (<usize>load<u8>(at + i)) << (8 * i)
        at += extra
      }
      if (length > srcEnd - at || length > end - out) return corrupt
      if (length <= 16) {
        store<u64>(out, load<u64>(at))
        store<u64>(out + 8, load<u64>(at + 8))
      } else memory.copy(out, at, length)
      at += length
      out += length
      continue
    }
    let offset: usize
    if (kind == 1) {
      if (at >= srcEnd) return corrupt
      length = ((tag >>> 2) & 7) + 4
      offset = ((tag >>> 5) << 8) | <u32>load<u8>(at++)
    } else if (kind == 2) {
      if (at + 2 > srcEnd) return corrupt
      length = (tag >>> 2) + 1
      offset = load<u16>(at)
      at += 2
    } else {
      if (at + 4 > srcEnd) return corrupt
      length = (tag >>> 2) + 1
      offset = load<u32>(at)
      at += 4
    }
    if (offset == 0 || offset > out - dst || length > end - out) return corrupt
    let from = out - offset
    const until = out + length
    if (offset >= 8) {
      // Eight at a time; what is written too far is overwritten or lies in the slack.
      while (out < until) {
        store<u64>(out, load<u64>(from))
        out += 8
        from += 8
      }
      out = until
    } else while (out < until) store<u8>(out++, load<u8>(from++))
  }
  return out == end ? <i32>size : corrupt
}

// Where the columns lie; set by the host.
let keyFrom: usize = 0
let keyTo: usize = 0
let hashes: usize = 0
let seriesMax: u32 = 0
let sampleSeries: usize = 0
let times: usize = 0
let values: usize = 0
let samplesMax: u32 = 0
let rare: usize = 0
let rareMax: u32 = 0

export let seriesCount: u32 = 0
export let sampleCount: u32 = 0
export let rareCount: u32 = 0

export function setColumns(
  seriesCapacity: u32,
  keyFromAt: usize,
  keyToAt: usize,
  hashesAt: usize,
  sampleCapacity: u32,
  sampleSeriesAt: usize,
  timesAt: usize,
  valuesAt: usize,
  rareCapacity: u32,
  rareAt: usize,
): void {
  seriesMax = seriesCapacity
  keyFrom = keyFromAt
  keyTo = keyToAt
  hashes = hashesAt
  samplesMax = sampleCapacity
  sampleSeries = sampleSeriesAt
  times = timesAt
  values = valuesAt
  rareMax = rareCapacity
  rare = rareAt
}

/** Where the cursor of readVarint stands. */
let cursor: usize = 0

/** A varint before `end`; sets `cursor` behind it, or to 0 when it is malformed. */
function readVarint(at: usize, end: usize): u64 {
  let value: u64 = 0
  let shift: u64 = 0
  while (at < end && shift < 70) {
    const byte = <u64>load<u8>(at++)
    value |= (byte & 127) << shift
    if (byte < 128) {
      cursor = at
      return value
    }
    shift += 7
  }
  cursor = 0
  return 0
}

/** Skips the value of a field; 0 when it is malformed. */
function skip(tag: u64, at: usize, end: usize): usize {
  const kind = <u32>tag & 7
  if (kind == 0) {
    readVarint(at, end)
    return cursor
  }
  if (kind == 1) return at + 8 <= end ? at + 8 : 0
  if (kind == 5) return at + 4 <= end ? at + 4 : 0
  if (kind != 2) return 0
  const length = readVarint(at, end)
  return cursor == 0 || length > <u64>(end - cursor) ? 0 : cursor + <usize>length
}

function addRare(series: u32, from: usize, to: usize, base: usize): bool {
  if (rareCount >= rareMax) return false
  const at = rare + <usize>rareCount * 12
  store<u32>(at, series)
  store<u32>(at + 4, <u32>(from - base))
  store<u32>(at + 8, <u32>(to - base))
  rareCount++
  return true
}

const noSeries: u32 = 0xffffffff

/** Walks a WriteRequest. Returns 0, or what is in the way. */
export function walk(base: usize, size: usize): i32 {
  seriesCount = 0
  sampleCount = 0
  rareCount = 0
  const end = base + size
  let at = base
  while (at < end) {
    const tag = readVarint(at, end)
    if (cursor == 0) return corrupt
    const body = cursor
    const next = skip(tag, body, end)
    if (next == 0) return corrupt
    if (tag == 0x0a) {
      readVarint(body, end)
      const result = walkSeries(cursor, next, base)
      if (result != 0) return result
    } else if (tag == 0x1a) {
      readVarint(body, end)
      if (!addRare(noSeries, cursor, next, base)) return full
    }
    at = next
  }
  return 0
}

function walkSeries(from: usize, to: usize, base: usize): i32 {
  if (seriesCount >= seriesMax) return full
  let at = from
  while (at < to && load<u8>(at) == 0x0a) {
    at = skip(0x0a, at + 1, to)
    if (at == 0) return corrupt
  }
  const series = seriesCount++
  store<u32>(keyFrom + <usize>series * 4, <u32>(from - base))
  store<u32>(keyTo + <usize>series * 4, <u32>(at - base))
  hashKey(from, at, hashes + <usize>series * 16)
  let isRare = false
  while (at < to) {
    const tag = readVarint(at, to)
    if (cursor == 0) return corrupt
    const body = cursor
    const next = skip(tag, body, to)
    if (next == 0) return corrupt
    if (tag == 0x12) {
      readVarint(body, to)
      const result = readSample(series, cursor, next)
      if (result != 0) return result
    } else if (tag == 0x0a) return unusual
    else if (tag == 0x1a || tag == 0x22) isRare = true
    at = next
  }
  if (isRare && !addRare(series, from, to, base)) return full
  return 0
}

function readSample(series: u32, from: usize, to: usize): i32 {
  if (sampleCount >= samplesMax) return full
  let value: u64 = 0
  let time: i64 = 0
  let at = from
  while (at < to) {
    const tag = load<u8>(at++)
    if (tag == 0x09) {
      if (at + 8 > to) return corrupt
      value = load<u64>(at)
      at += 8
    } else if (tag == 0x10) {
      time = <i64>readVarint(at, to)
      if (cursor == 0) return corrupt
      at = cursor
    } else {
      at = skip(tag, at, to)
      if (at == 0) return corrupt
    }
  }
  const i = <usize>sampleCount
  sampleCount++
  store<u32>(sampleSeries + i * 4, series)
  store<f64>(times + i * 8, <f64>time)
  store<u64>(values + i * 8, value)
  return 0
}
