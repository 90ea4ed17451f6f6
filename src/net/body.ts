/**
 * Reads a request body into one buffer, bounded before and after decompression. What it takes is counted as it comes:
 * a slow sender holds what it has sent, and what unfolds holds what has unfolded so far.
 */
import type { IncomingMessage } from 'node:http'
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
  type BrotliOptions,
  type ZlibOptions,
  type ZstdOptions,
} from 'node:zlib'
import { decodeSnappy, snappyDeclaredSize } from '#codec/snappy.ts'
import { systemClock } from '#core/clock.ts'
import { BadDataError, CanceledError, CorruptDataError, LimitError, messageOf } from '#core/errors.ts'
import type { MemoryHold } from '#core/memory-budget.ts'

const unpackers = {
  gzip: (options: ZlibOptions) => createGunzip(options),
  deflate: (options: ZlibOptions) => createInflate(options),
  zstd: (options: ZstdOptions) => createZstdDecompress(options),
  br: (options: BrotliOptions) => createBrotliDecompress(options),
} as const

/** Bodies that declare no more get a buffer of that size; longer ones begin with it, and grow as they come. */
const firstBufferBytes = 8 * 1024 * 1024

/** Bytes that are copied before others get a turn: fresh memory is slow, some 100 MB a second. */
const joinedAtOnceBytes = 1024 * 1024

/** Bytes that are unpacked at a time. */
const unpackedPieceBytes = { least: 16 * 1024, most: 256 * 1024 }

/**
 * The body, unpacked. Throws LimitError (413) for one that is too long, UnavailableError where `hold` gets no
 * memory for it, BadDataError for an encoding that is not known, CorruptDataError, and CanceledError when the client
 * goes away.
 */
export async function readBody(
  message: IncomingMessage,
  bytesMax: number,
  decodedBytesMax: number,
  encoding: string | undefined,
  hold?: MemoryHold,
): Promise<Uint8Array> {
  const raw = await collect(message, bytesMax, hold)
  // Names of codings have no case (RFC 9110, 8.4.1).
  const coding = encoding?.trim().toLowerCase()
  switch (coding) {
    case undefined:
    case '':
    case 'identity':
      return raw
    case 'snappy':
      hold?.take(Math.min(snappyDeclaredSize(raw).size, decodedBytesMax))
      return decodeSnappy(raw, decodedBytesMax)
    case 'gzip':
    case 'x-gzip':
    case 'deflate':
    case 'zstd':
    case 'br':
      return unpack(raw, coding === 'x-gzip' ? 'gzip' : coding, decodedBytesMax, hold)
    default:
      throw new BadDataError(
        `content encoding ${JSON.stringify(encoding)} is not known; identity, gzip, deflate, zstd, br and snappy are`,
      )
  }
}

function unpack(
  raw: Uint8Array,
  encoding: keyof typeof unpackers,
  bytesMax: number,
  hold: MemoryHold | undefined,
): Promise<Uint8Array> {
  const { least, most } = unpackedPieceBytes
  const chunkSize = Math.min(most, Math.max(least, raw.length * 4))
  return new Promise((resolve, reject) => {
    const unpacker = unpackers[encoding]({ chunkSize })
    const pieces: Buffer[] = []
    let length = 0
    const refuse = (error: unknown): void => {
      unpacker.destroy()
      reject(error)
    }
    unpacker.on('data', (piece: Buffer) => {
      length += piece.length
      if (length > bytesMax) {
        const text = `the ${encoding} body has more than ${bytesMax} bytes when decoded, which is the limit`
        refuse(new LimitError(text, 413))
        return
      }
      try {
        hold?.take(piece.length)
      } catch (error) {
        refuse(error)
        return
      }
      pieces.push(piece)
    })
    unpacker.on('end', () => {
      if (pieces.length === 1) resolve(pieces[0]!)
      else if (length <= joinedAtOnceBytes) resolve(Buffer.concat(pieces, length))
      else joinSlowly(pieces, length).then(resolve, reject)
    })
    unpacker.on('error', error => {
      reject(new CorruptDataError(`the ${encoding} body can't be decoded: ${messageOf(error)}`, { cause: error }))
    })
    unpacker.end(raw)
  })
}

/** The pieces as one; they are let go of as they are copied. Others get turns in between. */
async function joinSlowly(pieces: Buffer[], length: number): Promise<Uint8Array> {
  const joined = Buffer.allocUnsafe(length)
  let at = 0
  let sinceTurn = 0
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!
    piece.copy(joined, at)
    at += piece.length
    sinceTurn += piece.length
    pieces[i] = nothing
    if (sinceTurn < joinedAtOnceBytes) continue
    sinceTurn = 0
    await systemClock.yield()
  }
  return joined
}

const nothing = Buffer.alloc(0)

function collect(message: IncomingMessage, bytesMax: number, hold: MemoryHold | undefined): Promise<Uint8Array> {
  const declared = Number(message.headers['content-length'] ?? 0)
  if (declared > bytesMax)
    return Promise.reject(new LimitError(`the body has ${declared} bytes, the limit is ${bytesMax}`, 413))
  return new Promise((resolve, reject) => {
    hold?.check(declared)
    let buffer = Buffer.allocUnsafe(declared > 0 ? Math.min(declared, firstBufferBytes) : 16384)
    let filled = 0
    const refuse = (error: unknown): void => {
      message.removeAllListeners('data')
      message.resume()
      reject(error)
    }
    message.on('data', (chunk: Buffer) => {
      if (filled + chunk.length > bytesMax) {
        refuse(new LimitError(`the body has more than ${bytesMax} bytes, which is the limit`, 413))
        return
      }
      try {
        hold?.take(chunk.length)
      } catch (error) {
        refuse(error)
        return
      }
      if (filled + chunk.length > buffer.length) {
        const doubled = buffer.length * 2
        const grown = Buffer.allocUnsafe(
          Math.max(filled + chunk.length, declared > 0 ? Math.min(declared, doubled) : doubled),
        )
        buffer.copy(grown, 0, 0, filled)
        buffer = grown
      }
      chunk.copy(buffer, filled)
      filled += chunk.length
    })
    const onGone = (): void => {
      reject(new CanceledError('the client went away'))
    }
    message.on('end', () => {
      const whole = new Uint8Array(buffer.buffer, buffer.byteOffset, filled)
      // A body of HTTP/2 that breaks off ends as a whole one does, and what says so comes behind that.
      if (message.httpVersionMajor >= 2)
        void systemClock.yield().then(() => {
          if (message.aborted || (declared > 0 && filled !== declared)) onGone()
          else resolve(whole)
        })
      else resolve(whole)
    })
    message.on('error', reject)
    message.on('aborted', onGone)
    // Of a connection that is lost before the body is: it may have no other word for that.
    message.on('close', onGone)
  })
}
