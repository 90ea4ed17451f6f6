/**
 * The bytes of a WAL segment: a header, then frames. What is inside a frame is the signal's business. All numbers are
 * big endian.
 *
 *   header  "TCWL" · u8 version 3 · u8 reserved · u16 losses · f64 generation · f64 number of the first record
 *           · 26 bytes writer (ASCII, a ULID) · u32 CRC-32 over the fifty bytes before it; all of it twice
 *   frame   u32 payload length · u32 CRC-32 over the payload · u8 kind · u32 low half of the record's number
 *           · u32 CRC-32 over the thirteen bytes before it · payload
 *           (zlib's polynomial: Node computes it natively)
 *
 * A damaged payload costs its own record, because the head still says where the next one begins; behind a damaged
 * head the next whole head is looked for; a damaged header has its copy. `losses` counts how often the writer has given
 * up records that were in line: the numbers of those records are given out again, so a segment with more losses voids
 * earlier records from its first number on. Version 2 had no writer, no losses, and one checksum a frame. Every later
 * version keeps magic, version and checksum where they are, twice: so a program that is older than a segment knows that
 * it is newer, and not damaged.
 *
 * A shipped segment may be compressed as a whole (zstd). Shipped segments of one generation may be joined to one
 * object: their packed forms one after another, each behind its length (u32).
 */
import { constants, crc32, zstdCompress, zstdDecompress } from 'node:zlib'
import { promisify } from 'node:util'
import { CorruptDataError } from '#core/errors.ts'
import { ownFormats, refuseNewer } from '#core/own-formats.ts'

export const headerBytes = 108
const headerCopyBytes = headerBytes / 2
const headerCheckAt = headerCopyBytes - 4
export const frameBytes = 17
const headCheckAt = 13
const magic = 0x5443574c
const version = ownFormats['log-segment'].written
const writerBytes = 26
const oldHeaderBytes = 24
const oldFrameBytes = 9
const joinedMagic = 0x5443574a

export interface SegmentHeader {
  /** Who wrote it; empty where the segment does not say. */
  writer: string
  losses: number
  generation: number
  firstRecord: number
}

export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(headerBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic)
  view.setUint8(4, version)
  view.setUint16(6, header.losses)
  view.setFloat64(8, header.generation)
  view.setFloat64(16, header.firstRecord)
  for (let i = 0; i < writerBytes; i++) bytes[oldHeaderBytes + i] = header.writer.charCodeAt(i)
  view.setUint32(headerCheckAt, crc32(bytes.subarray(0, headerCheckAt)))
  bytes.copyWithin(headerCopyBytes, 0, headerCopyBytes)
  return bytes
}

/** Throws CorruptDataError; NewerFormatError for a whole header of a newer version. `place` is for the message. */
export function decodeHeader(bytes: Uint8Array, place = 'WAL segment'): SegmentHeader {
  const copy = wholeHeader(bytes)
  if (copy !== undefined) {
    const writer = Buffer.from(copy.subarray(oldHeaderBytes, headerCheckAt)).toString('latin1')
    return { writer, losses: viewOf(copy).getUint16(6), ...numbersOf(copy) }
  }
  if (bytes.length >= oldHeaderBytes && viewOf(bytes).getUint32(0) === magic && bytes[4] === 2)
    return { writer: '', losses: 0, ...numbersOf(bytes) }
  refuseNewer('log-segment', newerVersionOf(bytes), place)
  if (bytes.length < headerBytes)
    throw new CorruptDataError(`WAL segment: ${bytes.length} bytes, the header alone has ${headerBytes}`)
  throw new CorruptDataError(`WAL segment: the header is damaged, or not of version 2 or ${version}`)
}

/** The copy of a header of this version that is not damaged. */
function wholeHeader(bytes: Uint8Array): Uint8Array | undefined {
  return wholeCopies(bytes).find(copy => copy[4] === version)
}

/** The newest version that a whole copy of the header says; 0 where none is whole. */
function newerVersionOf(bytes: Uint8Array): number {
  return wholeCopies(bytes).reduce((newest, copy) => Math.max(newest, copy[4]!), 0)
}

/** The copies of a header, of any version, that are not damaged. */
function wholeCopies(bytes: Uint8Array): Uint8Array[] {
  return [0, headerCopyBytes]
    .map(at => bytes.subarray(at, at + headerCopyBytes))
    .filter(
      copy =>
        copy.length === headerCopyBytes &&
        viewOf(copy).getUint32(0) === magic &&
        crc32(copy.subarray(0, headerCheckAt)) === viewOf(copy).getUint32(headerCheckAt),
    )
}

function numbersOf(bytes: Uint8Array): { generation: number; firstRecord: number } {
  const view = viewOf(bytes)
  const numbers = { generation: view.getFloat64(8), firstRecord: view.getFloat64(16) }
  if (Number.isSafeInteger(numbers.generation) && Number.isSafeInteger(numbers.firstRecord)) return numbers
  throw new CorruptDataError('WAL segment: the header has numbers that are not whole')
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Writes a frame's head in front of a payload that follows it. */
export function writeFrameHead(
  target: Uint8Array,
  at: number,
  kind: number,
  number: number,
  payload: Uint8Array,
): void {
  const view = new DataView(target.buffer, target.byteOffset)
  view.setUint32(at, payload.length)
  view.setUint32(at + 4, crc32(payload))
  target[at + 8] = kind
  view.setUint32(at + 9, number % 2 ** 32)
  view.setUint32(at + headCheckAt, crc32(target.subarray(at, at + headCheckAt)))
}

/** A stretch of a segment that could not be read. */
export interface SkippedStretch {
  at: number
  bytes: number
  reason: string
  /** The stretch is the segment's end: a write that a crash cut off looks like this. */
  isTail: boolean
}

export interface FrameVisitor {
  /** A whole record and its number. */
  record(number: number, kind: number, payload: Uint8Array): void
  skipped(stretch: SkippedStretch): void
}

/** Visits every whole record in order, and tells what it passed over. `firstRecord` is the header's. */
export function scanFrames(bytes: Uint8Array, firstRecord: number, visitor: FrameVisitor): void {
  const steps = scanFramesInSteps(bytes, firstRecord, visitor)
  while (steps.next().done !== true);
}

/** The same a frame a step, whose bytes it yields. */
export function* scanFramesInSteps(bytes: Uint8Array, firstRecord: number, visitor: FrameVisitor): Generator<number> {
  if (wholeHeader(bytes) === undefined) {
    yield* scanOldFrames(bytes, firstRecord, visitor)
    return
  }
  const view = viewOf(bytes)
  const { length } = bytes
  let at = headerBytes
  while (at < length) {
    if (!isHeadAt(bytes, view, at)) {
      const next = nextHead(bytes, view, at + 1)
      const isTail = next === length
      const reason = isTail ? 'a record is cut off' : "a record's head is damaged"
      visitor.skipped({ at, bytes: next - at, reason, isTail })
      yield next - at
      at = next
      continue
    }
    const end = at + frameBytes + view.getUint32(at)
    if (end > length) {
      visitor.skipped({ at, bytes: length - at, reason: 'a record is cut off', isTail: true })
      return
    }
    const payload = bytes.subarray(at + frameBytes, end)
    if (crc32(payload) === view.getUint32(at + 4))
      visitor.record(numberAt(view.getUint32(at + 9), firstRecord), bytes[at + 8]!, payload)
    else visitor.skipped({ at, bytes: end - at, reason: 'a record has a wrong checksum', isTail: false })
    yield end - at
    at = end
  }
}

/** The number whose low half is `low`, at or behind the segment's first. */
function numberAt(low: number, firstRecord: number): number {
  return firstRecord + ((low - (firstRecord % 2 ** 32) + 2 ** 32) % 2 ** 32)
}

function isHeadAt(bytes: Uint8Array, view: DataView, at: number): boolean {
  return (
    at + frameBytes <= bytes.length && crc32(bytes.subarray(at, at + headCheckAt)) === view.getUint32(at + headCheckAt)
  )
}

/** Where the next whole head begins, at `from` or behind it; the segment's end where none does. */
function nextHead(bytes: Uint8Array, view: DataView, from: number): number {
  const last = bytes.length - frameBytes
  for (let at = from; at <= last; at++) {
    // What a head says of its length is looked at first: it rules most places out without a checksum.
    if (view.getUint32(at) <= last - at && isHeadAt(bytes, view, at)) return at
  }
  return bytes.length
}

/** Version 2: one checksum over kind and payload, and numbers by counting. */
function* scanOldFrames(bytes: Uint8Array, firstRecord: number, visitor: FrameVisitor): Generator<number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let number = firstRecord
  for (let at = oldHeaderBytes; at < bytes.length; number++) {
    const length = at + oldFrameBytes <= bytes.length ? view.getUint32(at) : Infinity
    const end = at + oldFrameBytes + length
    if (end > bytes.length) {
      visitor.skipped({ at, bytes: bytes.length - at, reason: 'a record is cut off', isTail: true })
      return
    }
    if (crc32(bytes.subarray(at + 8, end)) === view.getUint32(at + 4))
      visitor.record(number, bytes[at + 8]!, bytes.subarray(at + oldFrameBytes, end))
    else visitor.skipped({ at, bytes: end - at, reason: 'a record has a wrong checksum', isTail: false })
    yield end - at
    at = end
  }
}

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/**
 * zstd's for segments. Of lines it leaves 0.24 of the bytes for 1.7 CPU-s a GB, the fastest (-5) 0.37 for 1.1, and 5
 * 0.23 for 6; of samples 0.08 in place of 0.24, of spans 0.04 in place of 0.07.
 */
const level = 1

/** As it is shipped to the bucket, with a checksum over all. */
export async function packSegment(bytes: Uint8Array): Promise<Uint8Array> {
  return compress(bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  })
}

/** Packed segments as one object. */
export function joinSegments(packed: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(4 + packed.reduce((sum, part) => sum + 4 + part.length, 0))
  const view = new DataView(out.buffer)
  view.setUint32(0, joinedMagic)
  let at = 4
  for (const part of packed) {
    view.setUint32(at, part.length)
    out.set(part, at + 4)
    at += 4 + part.length
  }
  return out
}

/** The packed segments of an object: one, or several that were joined. Throws CorruptDataError behind whole ones. */
export function* splitSegments(bytes: Uint8Array): Generator<Uint8Array> {
  const view = viewOf(bytes)
  if (bytes.length < 4 || view.getUint32(0) !== joinedMagic) {
    yield bytes
    return
  }
  for (let at = 4; at < bytes.length;) {
    const end = at + 4 <= bytes.length ? at + 4 + view.getUint32(at) : Infinity
    if (end > bytes.length)
      throw new CorruptDataError(`WAL segments: ${bytes.length - at} bytes behind ${at} are no whole segment`)
    yield bytes.subarray(at + 4, end)
    at = end
  }
}

/**
 * A segment as it was written, from what lies in the bucket. Throws CorruptDataError. `isDamaged`: its checksum is
 * wrong, so that records differ or are missing.
 */
export async function unpackSegment(
  bytes: Uint8Array,
  bytesMax: number,
): Promise<{ bytes: Uint8Array; isDamaged: boolean }> {
  const isZstd = bytes.length >= 4 && bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd
  if (!isZstd) return { bytes, isDamaged: false }
  try {
    return { bytes: await decompress(bytes, { maxOutputLength: bytesMax }), isDamaged: false }
  } catch (error) {
    const unchecked = withoutChecksum(bytes)
    try {
      if (unchecked !== undefined)
        return { bytes: await decompress(unchecked, { maxOutputLength: bytesMax }), isDamaged: true }
    } catch {
      // What is wrong is more than a few records.
    }
    throw new CorruptDataError('WAL segment: the compressed form is damaged', { cause: error })
  }
}

/** The same frame of zstd (RFC 8878) as one that has no checksum; undefined where it has none. */
function withoutChecksum(bytes: Uint8Array): Uint8Array | undefined {
  const descriptorAt = 4
  const checksumFlag = 4
  const descriptor = bytes[descriptorAt] ?? 0
  if ((descriptor & checksumFlag) === 0) return undefined
  const copy = bytes.slice(0, -4)
  copy[descriptorAt] = descriptor & ~checksumFlag
  return copy
}
