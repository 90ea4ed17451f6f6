/** POST /loki/api/v1/push and its like: Loki's protobuf and JSON, over HTTP and gRPC. */
import { inflateRaw } from 'node:zlib'
import { promisify } from 'node:util'
import { BadDataError, LimitError, messageOf } from '#core/errors.ts'
import type { LogsAppendOutcome, LogsAppender } from '#logs/append.ts'
import { LogBatch } from '#model/log-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { decodePushRequest, parseLegacyPushJson, parsePushJson } from '#wire/loki-push/push.ts'
import { ingestError } from './reply.ts'

const inflate = promisify(inflateRaw)
const text = { 'content-type': 'text/plain; charset=utf-8' } as const

export class LokiPushHandler {
  readonly #appender: LogsAppender
  readonly #unpack: (body: Uint8Array, bytesMax: number) => Uint8Array
  readonly #decodedBytesMax: number
  readonly #tenantOf: (request: HttpRequest) => string
  /** Filled and read without a pause between, so one serves all requests. */
  readonly #batch = new LogBatch()

  /** `unpack`: snappy's block form. */
  constructor(
    appender: LogsAppender,
    unpack: (body: Uint8Array, bytesMax: number) => Uint8Array,
    decodedBytesMax: number,
    tenantOf: (request: HttpRequest) => string,
  ) {
    this.#appender = appender
    this.#unpack = unpack
    this.#decodedBytesMax = decodedBytesMax
    this.#tenantOf = tenantOf
  }

  readonly handle = (request: HttpRequest): Promise<HttpReply> => this.#handle(request, parsePushJson)
  readonly handleLegacy = (request: HttpRequest): Promise<HttpReply> => this.#handle(request, parseLegacyPushJson)

  async #handle(request: HttpRequest, parseJson: typeof parsePushJson): Promise<HttpReply> {
    try {
      const type = (request.header('content-type') ?? '').split(';')[0]!.trim().toLowerCase()
      if (type === '') throw new BadDataError('mime: no media type')
      const batch = this.#batch
      let problems: string[]
      if (type === 'application/json')
        problems = parseJson(Buffer.from(await this.#jsonBody(request)).toString('utf8'), batch)
      else {
        const body = await request.rawBody()
        if (body.length === 0) throw new BadDataError('EOF')
        problems = decodePushRequest(this.#snappy(body), batch)
      }
      return await this.#store(batch, problems, this.#tenantOf(request))
    } catch (error) {
      return ingestError(error)
    }
  }

  #snappy(body: Uint8Array): Uint8Array {
    try {
      return this.#unpack(body, this.#decodedBytesMax)
    } catch (error) {
      if (error instanceof LimitError) throw error
      throw new BadDataError(`snappy: corrupt input: ${messageOf(error)}`, { cause: error })
    }
  }

  async #jsonBody(request: HttpRequest): Promise<Uint8Array> {
    const encoding = request.header('content-encoding') ?? ''
    if (encoding !== '' && encoding !== 'gzip' && encoding !== 'deflate')
      throw new BadDataError(`Content-Encoding ${JSON.stringify(encoding)} not supported`)
    let body = encoding === 'deflate' ? await request.rawBody() : await request.body()
    if (encoding === 'deflate') {
      try {
        body = await inflate(body, { maxOutputLength: this.#decodedBytesMax })
      } catch (error) {
        if (error instanceof RangeError)
          throw new LimitError(
            `the body has more than ${this.#decodedBytesMax} bytes when decoded, which is the limit`,
            413,
          )
        throw new BadDataError(`the deflate body can't be decoded: ${messageOf(error)}`, { cause: error })
      }
    }
    if (body.length === 0) throw new BadDataError('EOF')
    return body
  }

  async #store(batch: LogBatch, problems: readonly string[], tenant: string): Promise<HttpReply> {
    if (batch.streams.length === 0 && problems.length === 0)
      return { status: 422, headers: text, body: 'error at least one valid stream is required for ingestion\n' }
    return logReply(await this.#appender.append(tenant, batch), problems)
  }

  /** Loki's gRPC Pusher: the message in, an empty answer out. */
  readonly handleGrpc = async (message: Uint8Array, tenant: string): Promise<Uint8Array> => {
    const batch = this.#batch
    const problems = decodePushRequest(message, batch)
    const reply = logReply(await this.#appender.append(tenant, batch), problems)
    if (reply.status === 429) throw new LimitError(String(reply.body), 429)
    if (reply.status >= 400) throw new BadDataError(String(reply.body))
    return new Uint8Array(0)
  }
}

/** All stored: 204. Some refused: the reasons, and that the rest is kept goes without saying. */
export function logReply(result: LogsAppendOutcome, problems: readonly string[]): HttpReply {
  if (result.problems.length === 0 && problems.length === 0) return { status: 204 }
  const all = [...problems.map(message => ({ message, count: 1 })), ...result.problems]
  const body =
    all.length === 1 && all[0]!.count === 1
      ? all[0]!.message
      : all.map(({ message, count }) => `${count} errors like: ${message}`).join('; ')
  return { status: result.status, headers: text, body: `${body}\n` }
}
