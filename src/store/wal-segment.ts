/**
 * The bytes of a WAL segment: a header, then frames. What is inside a frame is the signal's business.
 *
 *   header  "TCWL" · u8 version 2 · 3 zero bytes · f64 generation · f64 number of the first record
 *           (24 bytes, big endian)
 *   frame   u32 payload length · u32 CRC-32 over kind and payload · u8 kind · payload
 *           (zlib's polynomial: Node computes it natively)
 *
 * A shipped segment may be compressed as a whole (zstd).
 */
import { constants, crc32, zstdCompress, zstdDecompressSync } from 'node:zlib'
import { promisify } from 'node:util'
import { CorruptDataError } from '#core/errors.ts'

export const headerBytes = 24
export const frameBytes = 9
const magic = 0x5443574c
const version = 2

export interface SegmentHeader {
  generation: number
  firstRecord: number
}

export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(headerBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic)
  view.setUint8(4, version)
  view.setFloat64(8, header.generation)
  view.setFloat64(16, header.firstRecord)
  return bytes
}

export function decodeHeader(bytes: Uint8Array): SegmentHeader {
  if (bytes.length < headerBytes)
    throw new CorruptDataError(`WAL segment: ${bytes.length} bytes, the header alone has ${headerBytes}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  if (view.getUint32(0) !== magic || view.getUint8(4) !== version)
    throw new CorruptDataError(`WAL segment: not a segment of version ${version}`)
  return { generation: view.getFloat64(8), firstRecord: view.getFloat64(16) }
}

/** Writes a frame's head in front of a payload that follows it. */
export function writeFrameHead(target: Uint8Array, at: number, kind: number, payload: Uint8Array): void {
  const view = new DataView(target.buffer, target.byteOffset)
  view.setUint32(at, payload.length)
  target[at + 8] = kind
  view.setUint32(at + 4, crc32(payload, crc32(target.subarray(at + 8, at + 9))))
}

export interface ScanResult {
  records: number
  /** Bytes up to the end of the last whole frame. */ goodBytes: number
  /** Why the scan ended early. */ problem: string | undefined
}

/** Visits every whole frame in order; stops at the first that is cut off or damaged. */
export function scanFrames(bytes: Uint8Array, visit: (kind: number, payload: Uint8Array) => void): ScanResult {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let at = headerBytes
  let records = 0
  while (at < bytes.length) {
    if (at + frameBytes > bytes.length) return { records, goodBytes: at, problem: `a frame head is cut off at ${at}` }
    const length = view.getUint32(at)
    if (length > bytes.length - at - frameBytes)
      return { records, goodBytes: at, problem: `a frame of ${length} bytes is cut off at ${at}` }
    const payload = bytes.subarray(at + frameBytes, at + frameBytes + length)
    if (crc32(bytes.subarray(at + 8, at + frameBytes + length)) !== view.getUint32(at + 4))
      return { records, goodBytes: at, problem: `a frame at ${at} has a wrong checksum` }
    visit(bytes[at + 8]!, payload)
    records++
    at += frameBytes + length
  }
  return { records, goodBytes: at, problem: undefined }
}

const compress = promisify(zstdCompress)

/** As it is shipped to the bucket. A segment lives for minutes: little work for it pays more than few bytes. */
export async function packSegment(bytes: Uint8Array): Promise<Uint8Array> {
  return compress(bytes, { params: { [constants.ZSTD_c_compressionLevel]: -5 } })
}

/** A segment as it was written, from what lies in the bucket. */
export function unpackSegment(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const isZstd = bytes.length >= 4 && bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd
  if (!isZstd) return bytes
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: bytesMax })
  } catch (error) {
    throw new CorruptDataError('WAL segment: the compressed form is damaged', { cause: error })
  }
}
