/** POST /api/v1/write and /api/v1/push: remote write 1.0 and 2.0. */
import { BadDataError } from '#core/errors.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import { KeyWriter, WriteBatch } from '#model/write-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { decodeWriteBody, decodeWriteRequest, type WriteKernel } from '#wire/remote-write/v1.ts'
import { decodeWriteRequestV2 } from '#wire/remote-write/v2.ts'
import { ingestError, ingestReply } from './reply.ts'

const v1Message = 'prometheus.WriteRequest'
const v2Message = 'io.prometheus.write.v2.Request'

export class RemoteWriteHandler {
  readonly #appender: MetricsAppender
  readonly #decodedBytesMax: number
  readonly #tenantOf: (request: HttpRequest) => string
  readonly #batch = new WriteBatch()
  readonly #keys = new KeyWriter()
  /** Its columns are the kernel's memory: bodies follow one another through it, and nothing of a batch is kept after the append. */
  readonly #kernelBatch = new WriteBatch()
  readonly #kernel: WriteKernel

  constructor(
    appender: MetricsAppender,
    kernel: WriteKernel,
    decodedBytesMax: number,
    tenantOf: (request: HttpRequest) => string,
  ) {
    this.#kernel = kernel
    this.#appender = appender
    this.#decodedBytesMax = decodedBytesMax
    this.#tenantOf = tenantOf
  }

  readonly handle = async (request: HttpRequest): Promise<HttpReply> => {
    const message = protobufMessage(request.header('content-type'))
    if (message === undefined)
      return {
        status: 415,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: `content type ${JSON.stringify(request.header('content-type') ?? '')} is not known; application/x-protobuf with proto=${v1Message} or proto=${v2Message} is\n`,
      }
    const encoding = request.header('content-encoding') ?? ''
    try {
      if (encoding !== '' && encoding !== 'snappy' && encoding !== 'zstd')
        return {
          status: 415,
          headers: { 'content-type': 'text/plain; charset=utf-8' },
          body: `content encoding ${JSON.stringify(encoding)} is not known; snappy and zstd are\n`,
        }
      const batch = await this.#decode(request, message, encoding)
      const result = await this.#appender.append(this.#tenantOf(request), batch)
      return ingestReply(
        result,
        message === v2Message
          ? writtenHeaders(result.stored - result.histograms, result.histograms, result.exemplars)
          : {},
      )
    } catch (error) {
      const reply = ingestError(error)
      return message === v2Message ? { ...reply, headers: { ...reply.headers, ...writtenHeaders(0, 0, 0) } } : reply
    }
  }

  async #decode(
    request: HttpRequest,
    message: typeof v1Message | typeof v2Message,
    encoding: string,
  ): Promise<WriteBatch> {
    const body = encoding === 'zstd' ? await request.body() : await request.rawBody()
    if (body.length === 0) throw new BadDataError('the body is empty; a compressed protobuf message was expected')
    if (message === v1Message && encoding !== 'zstd')
      return decodeWriteBody(body, this.#decodedBytesMax, this.#kernel, this.#kernelBatch)
    const bytes = encoding === 'zstd' ? body : this.#kernel.unpack(body, this.#decodedBytesMax)
    if (message === v1Message) decodeWriteRequest(bytes, this.#batch)
    else decodeWriteRequestV2(bytes, this.#batch, this.#keys)
    return this.#batch
  }
}

function writtenHeaders(samples: number, histograms: number, exemplars: number): Record<string, string> {
  return {
    'x-prometheus-remote-write-samples-written': String(samples),
    'x-prometheus-remote-write-histograms-written': String(histograms),
    'x-prometheus-remote-write-exemplars-written': String(exemplars),
  }
}

/** The message that a content type announces; no `proto` means 1.0. */
function protobufMessage(contentType: string | undefined): typeof v1Message | typeof v2Message | undefined {
  if (contentType === undefined || contentType === '') return v1Message
  const [type, ...parameters] = contentType.split(';').map(part => part.trim())
  if (type !== 'application/x-protobuf') return undefined
  const proto = parameters.find(p => p.startsWith('proto='))?.slice(6)
  if (proto === undefined || proto === v1Message) return v1Message
  return proto === v2Message ? v2Message : undefined
}
