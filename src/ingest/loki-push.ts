/** Loki's push: protobuf and JSON over HTTP, protobuf over gRPC. */
import { promisify } from 'node:util'
import { inflateRaw } from 'node:zlib'
import { BadDataError, LimitError, messageOf } from '#core/errors.ts'
import { readJsonBody } from '#core/json-body.ts'
import { yieldEvery } from '#core/yield.ts'
import type { LogsAppendOutcome } from '#logs/append.ts'
import { refuse, type AppendOutcome } from '#model/append-outcome.ts'
import { LogBatch } from '#model/log-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import type { BodyKind } from '#wire/decode-body.ts'
import { decodePushRequest, readLegacyPushJson, readPushJson, unpackPushBody } from '#wire/loki-push/push.ts'
import { decodeLargeLogs, decoderFor } from './large-bodies.ts'
import { noStreamReply, serveLogs, type LogProtocol, type LogsPush } from './logs-push.ts'
import { mediaTypeOf, type ServedProtocol } from './protocol.ts'
import { plainText, retryLater } from './reply.ts'

const inflate = promisify(inflateRaw)

/** `protobuf`: a message as gRPC carries it. */
type Format = 'snappy' | 'json' | 'protobuf'

interface Stored {
  readonly outcome: LogsAppendOutcome
  /** Entries that could not be read. */
  readonly problems: readonly string[]
}

export function lokiPush(push: LogsPush): ServedProtocol {
  return serveLogs(push, protocolOf(push, readPushJson, 'loki-push-json'), {
    methods: ['POST'],
    paths: ['/loki/api/v1/push', '/insert/loki/api/v1/push'],
    grpc: { service: 'logproto.Pusher', method: 'Push', format: 'protobuf', answer },
  })
}

/** The path of Loki's first versions. */
export function legacyLokiPush(push: LogsPush): ServedProtocol {
  return serveLogs(push, protocolOf(push, readLegacyPushJson, 'loki-push-json-of-old'), {
    methods: ['POST'],
    paths: ['/api/prom/push'],
  })
}

/** What it stored is undefined where the message holds no stream. */
function protocolOf(
  push: LogsPush,
  readJsonPush: typeof readPushJson,
  jsonKind: BodyKind,
): LogProtocol<Format, Stored | undefined> {
  const { kernel, limits, clock } = push
  const kinds = { snappy: 'loki-push-snappy', protobuf: 'loki-push', json: jsonKind } as const
  const { decodedBytesMax } = limits
  // Filled and appended without a wait between, so one serves all requests; so does the kernel's memory.
  const shared = new LogBatch()
  const unpack = (body: Uint8Array): Uint8Array => kernel.unpack(body, decodedBytesMax)
  return {
    formatOf,
    read: (request, format) => (format === 'json' ? readJson(request, decodedBytesMax) : request.rawBody()),
    async store(body, format, intake) {
      const decoder = decoderFor(push, kinds[format], body)
      const large = decoder && (await decodeLargeLogs(decoder, kinds[format], body, clock))
      const json = format === 'json' && !large ? await readJsonBody(body, yieldEvery(clock)) : undefined
      const batch = large?.batch ?? shared
      const problems =
        large?.problems ??
        (format === 'json'
          ? readJsonPush(json, body.length, batch)
          : decodePushRequest(format === 'snappy' ? unpackPushBody(body, unpack) : body, batch))
      if (batch.streams.length > 0 || problems.length > 0) return { outcome: await intake.append(batch), problems }
      intake.tenant()
      return undefined
    },
    reply: stored => (stored === undefined ? noStreamReply : linesReply(stored)),
  }
}

function formatOf(request: HttpRequest): Format {
  const type = mediaTypeOf(request, '').toLowerCase()
  if (type === '') throw new BadDataError('mime: no media type')
  if (/;\s*;/.test(request.header('content-type') ?? '')) throw new BadDataError('mime: invalid media parameter')
  return type === 'application/json' ? 'json' : 'snappy'
}

async function readJson(request: HttpRequest, decodedBytesMax: number): Promise<Uint8Array> {
  const encoding = (request.header('content-encoding') ?? '').toLowerCase()
  if (encoding !== '' && encoding !== 'gzip' && encoding !== 'deflate')
    throw new BadDataError(`Content-Encoding ${JSON.stringify(encoding)} not supported`)
  const body =
    encoding === 'deflate' ? await inflateBody(await request.rawBody(), decodedBytesMax) : await request.body()
  if (body.length === 0) throw new BadDataError('EOF')
  return body
}

/** Loki's deflate has no zlib header. */
async function inflateBody(body: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  try {
    return await inflate(body, { maxOutputLength: bytesMax })
  } catch (error) {
    if (error instanceof RangeError)
      throw new LimitError(`the body has more than ${bytesMax} bytes when decoded, which is the limit`, 413)
    throw new BadDataError(`the deflate body can't be decoded: ${messageOf(error)}`, { cause: error })
  }
}

/** All stored: 204. Some refused: the reasons; the lines beside them are kept. */
function linesReply({ outcome, problems }: Stored): HttpReply {
  const unread: AppendOutcome = { stored: 0, refused: 0, problems: [] }
  for (const problem of problems) refuse(unread, problem)
  const all = [...unread.problems, ...outcome.problems]
  const [first, ...more] = all
  if (first === undefined) return { status: 204 }
  const body =
    more.length === 0 && first.count === 1
      ? first.message
      : all.map(({ message, count }) => `${count} errors like: ${message}`).join('; ')
  const headers = outcome.status === 429 ? { ...plainText, ...retryLater } : plainText
  return { status: outcome.status, headers, body: `${body}\n` }
}

/** The empty response message. Throws where the reply over HTTP would be an error. */
function answer(stored: Stored | undefined): Uint8Array {
  const { status, body } = stored === undefined ? { status: 204, body: '' } : linesReply(stored)
  if (status === 429) throw new LimitError(String(body), 429)
  if (status >= 400) throw new BadDataError(String(body))
  return new Uint8Array(0)
}
