/**
 * Filters of trace ids, and footers, of many blocks in one object: a trace is looked for in all of them by one request
 * in place of one a block. It says nothing that the blocks do not say: where it is missing, damaged or older than they
 * are, their own filters and footers are read. Form: docs/formats/joined-filters.md.
 *
 *   head    "TCJF" · u8 version 1 · u8 hashes · u16 reserved · u32 bytes of the head · u32 blocks · u32 bytes of each
 *           of the 256 parts · blocks × (16 bytes id · f64 size of data.parquet · u32 bytes of the footer
 *           · u32 CRC-32 of the footer) · u32 CRC-32 of the head before it
 *   parts   of the ids whose hash begins with the part's number: blocks × u32 words of 32 bits · the words · u32 CRC-32
 *   footers one after another, in the order of the blocks
 *
 * All numbers are big endian.
 */
import { crc32 } from 'node:zlib'
import { CorruptDataError } from '#core/errors.ts'
import { ownFormats } from '#core/own-formats.ts'

/** An id is in the part that its hash says. */
export const filterParts = 256
const magic = 0x54434a46
const version = ownFormats['joined-filters'].written
const fixedBytes = 16
const blockBytes = 32
const partsAt = fixedBytes
const blocksAt = partsAt + filterParts * 4
const checksumBytes = 4
/** One false positive in a thousand. */
const bitsOfId = 14
const hashes = 10
const wordBits = 32
const wordBytes = 4
/** More than any object has. */
const blocksMax = 1_000_000

/** What the object has of a block. */
export interface JoinedBlock {
  blockId: string
  /** Bytes of data.parquet: a block that has others is another one. */
  size: number
  /** Of data.parquet, without the last eight bytes; empty where it is not known. */
  footer: Uint8Array
  /** By part: words of a Bloom filter. */
  parts: readonly Uint8Array[]
}

/** Bytes [at, at + bytes) of the object. */
export interface JoinedRange {
  at: number
  bytes: number
}

/** Where a joined object has what a query wants of a block. Can be cloned. */
export interface JoinedPlace {
  key: string
  /** The block's number in the object, and how many it has. */
  block: number
  blocks: number
  /** The filters of one id. */
  filter: JoinedRange | undefined
  /** The block's own footer, and all footers. */
  footer: JoinedRange & { checksum: number }
  footers: JoinedRange
}

/** A block of an object whose head was read. */
interface HeadBlock {
  blockId: string
  size: number
  footer: JoinedRange
  footerChecksum: number
}

/** The head of an object. */
export interface JoinedHead {
  blocks: readonly HeadBlock[]
  parts: readonly JoinedRange[]
  /** All footers. */
  footers: JoinedRange
  bytes: number
}

/** Murmur3 of 16 bytes, 32 bits. */
function hashOf(id: Uint8Array, seed: number): number {
  let h = seed
  for (let at = 0; at < 16; at += 4) {
    let k = (id[at]! << 24) | (id[at + 1]! << 16) | (id[at + 2]! << 8) | id[at + 3]!
    k = Math.imul(k, 0xcc9e2d51)
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
    h ^= k
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
  }
  h = Math.imul(h ^ (h >>> 16) ^ 16, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

const seeds = [0x2545f491, 0x9e3779b9] as const

/** The part that an id of 16 bytes is in. */
export function partOf(id: Uint8Array): number {
  return hashOf(id, seeds[0]) >>> 24
}

/** The i-th bit of an id among so many. */
function bitOf(first: number, step: number, i: number, bits: number): number {
  return (first + i * ((step | 1) >>> 0)) % bits
}

/** The filters of a block with these ids, by part. */
export class PartsBuilder {
  readonly #ids: number[][] = Array.from({ length: filterParts }, () => [])

  /** `id` has 16 bytes. */
  add(id: Uint8Array): void {
    const first = hashOf(id, seeds[0])
    this.#ids[first >>> 24]!.push(first, hashOf(id, seeds[1]))
  }

  finish(): Uint8Array[] {
    return this.#ids.map(pairs => {
      const words = Math.ceil(((pairs.length / 2) * bitsOfId) / wordBits)
      const bytes = new Uint8Array(words * wordBytes)
      for (let i = 0; i < pairs.length; i += 2)
        for (let k = 0; k < hashes; k++) {
          const bit = bitOf(pairs[i]!, pairs[i + 1]!, k, words * wordBits)
          bytes[bit >>> 3]! |= 1 << (bit & 7)
        }
      return bytes
    })
  }
}

/** The object of these blocks. */
export function encodeJoined(blocks: readonly JoinedBlock[]): Uint8Array {
  const headBytes = blocksAt + blocks.length * blockBytes + checksumBytes
  const partBytes = Array.from({ length: filterParts }, (_, part) =>
    blocks.reduce((sum, { parts }) => sum + wordBytes + parts[part]!.length, checksumBytes),
  )
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
  const out = new Uint8Array(headBytes + sum(partBytes) + sum(blocks.map(({ footer }) => footer.length)))
  const view = new DataView(out.buffer)
  view.setUint32(0, magic)
  out[4] = version
  out[5] = hashes
  view.setUint32(8, headBytes)
  view.setUint32(12, blocks.length)
  for (const [part, bytes] of partBytes.entries()) view.setUint32(partsAt + part * 4, bytes)
  for (const [i, { blockId, size, footer }] of blocks.entries()) {
    const at = blocksAt + i * blockBytes
    out.set(Buffer.from(blockId.replaceAll('-', ''), 'hex'), at)
    view.setFloat64(at + 16, size)
    view.setUint32(at + 24, footer.length)
    view.setUint32(at + 28, crc32(footer))
  }
  view.setUint32(headBytes - checksumBytes, crc32(out.subarray(0, headBytes - checksumBytes)))
  let at = headBytes
  for (let part = 0; part < filterParts; part++) {
    writePart(
      out.subarray(at, at + partBytes[part]!),
      blocks.map(({ parts }) => parts[part]!),
    )
    at += partBytes[part]!
  }
  for (const { footer } of blocks) {
    out.set(footer, at)
    at += footer.length
  }
  return out
}

function writePart(out: Uint8Array, filters: readonly Uint8Array[]): void {
  const view = new DataView(out.buffer, out.byteOffset, out.length)
  for (const [i, filter] of filters.entries()) view.setUint32(i * wordBytes, filter.length / wordBytes)
  let at = filters.length * wordBytes
  for (const filter of filters) {
    out.set(filter, at)
    at += filter.length
  }
  view.setUint32(at, crc32(out.subarray(0, at)))
}

/** Bytes of the head that begins so; at least as many as are asked for are read first. Throws CorruptDataError. */
export function joinedHeadBytes(start: Uint8Array): number {
  const view = new DataView(start.buffer, start.byteOffset, start.length)
  if (start.length < fixedBytes || view.getUint32(0) !== magic) throw new CorruptDataError('joined filters: no head')
  if (start[4] !== version || start[5] !== hashes)
    throw new CorruptDataError(`joined filters: version ${start[4]}, ${version} is read`)
  const blocks = view.getUint32(12)
  const bytes = blocksAt + blocks * blockBytes + checksumBytes
  if (blocks > blocksMax || view.getUint32(8) !== bytes)
    throw new CorruptDataError(`joined filters: a head of ${view.getUint32(8)} bytes for ${blocks} blocks`)
  return bytes
}

/** `head` has as many bytes as `joinedHeadBytes` says. Throws CorruptDataError. */
export function decodeJoinedHead(head: Uint8Array): JoinedHead {
  const bytes = joinedHeadBytes(head)
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  if (head.length < bytes) throw new CorruptDataError('joined filters: the head is cut off')
  if (crc32(head.subarray(0, bytes - checksumBytes)) !== view.getUint32(bytes - checksumBytes))
    throw new CorruptDataError('joined filters: the head has a wrong checksum')
  let at = bytes
  const range = (length: number): JoinedRange => {
    at += length
    return { at: at - length, bytes: length }
  }
  const parts = Array.from({ length: filterParts }, (_, part) => range(view.getUint32(partsAt + part * 4)))
  const footersAt = at
  const blocks = Array.from({ length: view.getUint32(12) }, (_, i): HeadBlock => {
    const place = blocksAt + i * blockBytes
    return {
      blockId: uuidAt(head, place),
      size: view.getFloat64(place + 16),
      footer: range(view.getUint32(place + 24)),
      footerChecksum: view.getUint32(place + 28),
    }
  })
  return { blocks, parts, footers: { at: footersAt, bytes: at - footersAt }, bytes: at }
}

function uuidAt(bytes: Uint8Array, at: number): string {
  const hex = Buffer.from(bytes.subarray(at, at + 16)).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** The filters of one part, of blocks by their numbers in the head. */
export class JoinedPart {
  readonly #bytes: Uint8Array
  readonly #from: readonly number[]

  /** `blocks` as the head has them. Throws CorruptDataError. */
  constructor(bytes: Uint8Array, blocks: number) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const tableBytes = blocks * wordBytes
    const end = bytes.length - checksumBytes
    if (end < tableBytes || crc32(bytes.subarray(0, end)) !== view.getUint32(end))
      throw new CorruptDataError('joined filters: a part has a wrong checksum')
    const from = [tableBytes]
    for (let i = 0; i < blocks; i++) from.push(from[i]! + view.getUint32(i * wordBytes) * wordBytes)
    if (from[blocks] !== end) throw new CorruptDataError('joined filters: a part does not end where its filters do')
    this.#bytes = bytes
    this.#from = from
  }

  get heldBytes(): number {
    return this.#bytes.length + this.#from.length * 8
  }

  /** May the block have the id of 16 bytes, which is in this part? */
  mayHave(block: number, id: Uint8Array): boolean {
    const from = this.#from[block]!
    const bits = (this.#from[block + 1]! - from) * 8
    if (bits === 0) return false
    const [first, step] = [hashOf(id, seeds[0]), hashOf(id, seeds[1])]
    for (let k = 0; k < hashes; k++) {
      const bit = bitOf(first, step, k, bits)
      if ((this.#bytes[from + (bit >>> 3)]! & (1 << (bit & 7))) === 0) return false
    }
    return true
  }

  /** The block's words. */
  filter(block: number): Uint8Array {
    return this.#bytes.subarray(this.#from[block]!, this.#from[block + 1]!)
  }
}

/** What a whole object has of its blocks. Throws CorruptDataError. */
export function decodeJoined(bytes: Uint8Array): JoinedBlock[] {
  const head = decodeJoinedHead(bytes)
  if (head.bytes !== bytes.length)
    throw new CorruptDataError(`joined filters: ${bytes.length} bytes, the head says ${head.bytes}`)
  const slice = ({ at, bytes: length }: JoinedRange): Uint8Array => bytes.subarray(at, at + length)
  const parts = head.parts.map(range => new JoinedPart(slice(range), head.blocks.length))
  return head.blocks.map(({ blockId, size, footer, footerChecksum }, i) => {
    const own = slice(footer)
    if (crc32(own) !== footerChecksum) throw new CorruptDataError('joined filters: a footer has a wrong checksum')
    return { blockId, size, footer: own, parts: parts.map(part => part.filter(i)) }
  })
}
