/** Reads a request body into one buffer, bounded before and after decompression. */
import type { IncomingMessage } from 'node:http'
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib'
import { promisify } from 'node:util'
import { decodeSnappy } from '#codec/snappy.ts'
import { BadDataError, CanceledError, CorruptDataError, LimitError, messageOf } from '#core/errors.ts'

const decoders = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  zstd: promisify(zstdDecompress),
  br: promisify(brotliDecompress),
} as const

export async function readBody(
  message: IncomingMessage,
  bytesMax: number,
  decodedBytesMax: number,
  encoding: string | undefined,
): Promise<Uint8Array> {
  const raw = await collect(message, bytesMax)
  // Names of codings have no case (RFC 9110, 8.4.1).
  const coding = encoding?.trim().toLowerCase()
  switch (coding) {
    case undefined:
    case '':
    case 'identity':
      return raw
    case 'snappy':
      return decodeSnappy(raw, decodedBytesMax)
    case 'gzip':
    case 'x-gzip':
    case 'deflate':
    case 'zstd':
    case 'br':
      return unpack(raw, coding === 'x-gzip' ? 'gzip' : coding, decodedBytesMax)
    default:
      throw new BadDataError(
        `content encoding ${JSON.stringify(encoding)} is not known; identity, gzip, deflate, zstd, br and snappy are`,
      )
  }
}

async function unpack(raw: Uint8Array, encoding: keyof typeof decoders, bytesMax: number): Promise<Uint8Array> {
  try {
    return await decoders[encoding](raw, { maxOutputLength: bytesMax })
  } catch (error) {
    if (
      error instanceof RangeError ||
      (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
    )
      throw new LimitError(`the ${encoding} body has more than ${bytesMax} bytes when decoded, which is the limit`, 413)
    throw new CorruptDataError(`the ${encoding} body can't be decoded: ${messageOf(error)}`, { cause: error })
  }
}

function collect(message: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const declared = Number(message.headers['content-length'] ?? 0)
  if (declared > bytesMax)
    return Promise.reject(new LimitError(`the body has ${declared} bytes, the limit is ${bytesMax}`, 413))
  return new Promise((resolve, reject) => {
    // One buffer of the declared size; chunked bodies grow.
    let buffer = Buffer.allocUnsafe(declared > 0 ? declared : 16384)
    let filled = 0
    message.on('data', (chunk: Buffer) => {
      if (filled + chunk.length > bytesMax) {
        message.removeAllListeners('data')
        message.resume()
        reject(new LimitError(`the body has more than ${bytesMax} bytes, which is the limit`, 413))
        return
      }
      if (filled + chunk.length > buffer.length) {
        const grown = Buffer.allocUnsafe(Math.max(filled + chunk.length, buffer.length * 2))
        buffer.copy(grown, 0, 0, filled)
        buffer = grown
      }
      chunk.copy(buffer, filled)
      filled += chunk.length
    })
    message.on('end', () => {
      resolve(new Uint8Array(buffer.buffer, buffer.byteOffset, filled))
    })
    message.on('error', error => {
      reject(error)
    })
    message.on('aborted', () => {
      reject(new CanceledError('the client went away'))
    })
  })
}
