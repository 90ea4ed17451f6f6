/** Bodies that workers decode: their memory goes there with the question, and comes back as columns. */
import { TimeoutError, UnavailableError, WorkerMemoryError } from '#core/errors.ts'
import type { BodyDecoder, BodyKind, DecodedBody, DecodeOptions } from '#wire/decode-body.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import type { Pool } from './pool.ts'

/** The largest body takes some seconds, and others may wait before it. */
const timeoutMs = 60_000
const retryAfterSeconds = 10

export class WorkerDecoding implements BodyDecoder {
  readonly #pool: Pool<WorkerCalls, MainCalls>
  readonly #options: () => DecodeOptions

  /** `options` are asked for each body. */
  constructor(pool: Pool<WorkerCalls, MainCalls>, options: () => DecodeOptions) {
    this.#pool = pool
    this.#options = options
  }

  async decode(kind: BodyKind, body: Uint8Array): Promise<DecodedBody> {
    const bytes = movable(body)
    const ask = { kind, bytes, options: this.#options() }
    // The memory is gone when the thread is, so nothing can be done again: senders do that.
    const options = { timeoutMs, isRepeatable: () => false }
    try {
      return await this.#pool.run(link => link.call('decode', ask, [bytes.buffer]), options)
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error
      const text = `the body was not decoded within ${timeoutMs / 1000} s, since others wait too; send it again later`
      throw new UnavailableError(text, retryAfterSeconds)
    }
  }
}

/** What the job that used too much memory fails with. */
export const decodingMemoryError = (): Error =>
  new WorkerMemoryError(
    'a worker that decodes bodies used more memory than it may; send smaller requests, or raise memory_limit',
    retryAfterSeconds,
  )

/** Bytes whose memory can go to another thread: a copy where it is shared, as that of small buffers is. */
function movable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = bytes
  const isOwn = buffer instanceof ArrayBuffer && byteLength > Buffer.poolSize && byteLength * 2 > buffer.byteLength
  return isOwn ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(bytes)
}
