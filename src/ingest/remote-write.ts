/** Remote write 1.0 and 2.0. Source: the public remote-write specifications. */
import { BadDataError } from '#core/errors.ts'
import type { MetricsAppendOutcome } from '#metrics/append.ts'
import { KeyWriter, WriteBatch } from '#model/write-batch.ts'
import type { HttpRequest } from '#net/route-table.ts'
import type { BodyDecoder, BodyKind } from '#wire/decode-body.ts'
import { decodeWriteBody, decodeWriteRequest } from '#wire/remote-write/v1.ts'
import { decodeWriteRequestV2 } from '#wire/remote-write/v2.ts'
import { decodeLargeSamples, decoderFor } from './large-bodies.ts'
import { samplesReply, serveMetrics, type MetricsProtocol, type MetricsPush } from './metrics-push.ts'
import type { Intake, ServedProtocol } from './protocol.ts'
import { UnsupportedTypeError } from './reply.ts'

const v1Message = 'prometheus.WriteRequest'
const v2Message = 'io.prometheus.write.v2.Request'

interface Format {
  readonly version: 1 | 2
  readonly isZstd: boolean
}

export function remoteWrite(push: MetricsPush): ServedProtocol {
  return serveMetrics(push, protocolOf(push), {
    methods: ['POST'],
    paths: ['/api/v1/write', '/api/v1/push', '/prometheus/api/v1/write', '/prometheus/api/v1/push'],
  })
}

function protocolOf(push: MetricsPush): MetricsProtocol<Format> {
  const { kernel, limits } = push
  const { decodedBytesMax } = limits
  const batch = new WriteBatch()
  const keys = new KeyWriter()
  // Its columns are the kernel's memory: bodies follow one another through it, and the append keeps nothing of a batch.
  const kernelBatch = new WriteBatch()
  const decode = (body: Uint8Array, { version, isZstd }: Format): WriteBatch => {
    if (version === 1 && !isZstd) return decodeWriteBody(body, decodedBytesMax, kernel, kernelBatch)
    const bytes = isZstd ? body : kernel.unpack(body, decodedBytesMax)
    if (version === 1) decodeWriteRequest(bytes, batch)
    else decodeWriteRequestV2(bytes, batch, keys)
    return batch
  }
  return {
    formatOf,
    read: (request, { isZstd }) => (isZstd ? request.body() : request.rawBody()),
    store(body, format, intake) {
      if (body.length === 0) throw new BadDataError('the body is empty; a compressed protobuf message was expected')
      const kind = kindOf(format)
      const decoder = decoderFor(push, kind, body)
      return decoder === undefined ? intake.append(decode(body, format)) : storeLarge(decoder, kind, body, intake)
    },
    reply: (outcome, { version }) =>
      samplesReply(
        outcome,
        version === 2 ? writtenHeaders(outcome.stored - outcome.histograms, outcome.histograms, outcome.exemplars) : {},
      ),
    failed: (reply, { version }) =>
      version === 2 ? { ...reply, headers: { ...reply.headers, ...writtenHeaders(0, 0, 0) } } : reply,
  }
}

async function storeLarge(
  decoder: BodyDecoder,
  kind: BodyKind,
  body: Uint8Array,
  intake: Intake<WriteBatch, MetricsAppendOutcome>,
): Promise<MetricsAppendOutcome> {
  const { batch } = await decodeLargeSamples(decoder, kind, body)
  return intake.append(batch)
}

function kindOf({ version, isZstd }: Format): BodyKind {
  if (version === 1) return isZstd ? 'remote-write-1' : 'remote-write-1-snappy'
  return isZstd ? 'remote-write-2' : 'remote-write-2-snappy'
}

function writtenHeaders(samples: number, histograms: number, exemplars: number): Record<string, string> {
  return {
    'x-prometheus-remote-write-samples-written': String(samples),
    'x-prometheus-remote-write-histograms-written': String(histograms),
    'x-prometheus-remote-write-exemplars-written': String(exemplars),
  }
}

function formatOf(request: HttpRequest): Format {
  const type = request.header('content-type')
  const version = versionOf(type)
  if (version === undefined)
    throw new UnsupportedTypeError(
      `content type ${JSON.stringify(type ?? '')} is not known; ` +
        `application/x-protobuf with proto=${v1Message} or proto=${v2Message} is`,
    )
  const encoding = (request.header('content-encoding') ?? '').toLowerCase()
  if (encoding !== '' && encoding !== 'snappy' && encoding !== 'zstd')
    throw new UnsupportedTypeError(`content encoding ${JSON.stringify(encoding)} is not known; snappy and zstd are`)
  return { version, isZstd: encoding === 'zstd' }
}

/** The version of the message that a content type announces; no `proto` means 1.0. */
function versionOf(contentType: string | undefined): 1 | 2 | undefined {
  if (contentType === undefined || contentType === '') return 1
  const [type, ...parameters] = contentType.split(';').map(part => part.trim())
  if (type !== 'application/x-protobuf') return undefined
  const proto = parameters.find(p => p.startsWith('proto='))?.slice(6)
  if (proto === undefined || proto === v1Message) return 1
  return proto === v2Message ? 2 : undefined
}
