/** OTLP logs over HTTP (protobuf, JSON) and gRPC. */
import { LimitError } from '#core/errors.ts'
import { readJsonBody } from '#core/json-body.ts'
import { yieldEvery } from '#core/yield.ts'
import type { LogsAppendOutcome } from '#logs/append.ts'
import { note, refuse } from '#model/append-outcome.ts'
import { LogBatchBuilder, type LogBatch } from '#model/log-batch.ts'
import type { HttpReply } from '#net/route-table.ts'
import { addOtlpLogs, decodeOtlpLogs, otlpLogsOfJson } from '#wire/otlp/logs.ts'
import { encodeOtlpMetricsResponse } from '#wire/otlp/metrics.ts'
import { decodeLargeLogs, decoderFor } from './large-bodies.ts'
import { noStreamReply, serveLogs, type LogProtocol, type LogsPush } from './logs-push.ts'
import { asOtlp, otlpFormat, otlpMediaType, otlpReply, type OtlpFormat } from './otlp.ts'
import { mediaTypeOf, type ServedProtocol } from './protocol.ts'
import { plainText } from './reply.ts'

/** Undefined where a message holds no record. */
type Stored = LogsAppendOutcome | undefined

/** At the OpenTelemetry receiver's addresses: 200 with a response message. */
export function otlpLogs(push: LogsPush): ServedProtocol {
  return asOtlp(
    serveLogs(push, protocolOf(push, receiverReply), {
      methods: ['POST'],
      paths: ['/v1/logs', '/opentelemetry/v1/logs', '/insert/opentelemetry/v1/logs'],
      grpc: {
        service: 'opentelemetry.proto.collector.logs.v1.LogsService',
        method: 'Export',
        format: 'protobuf',
        answer: stored => encodeOtlpMetricsResponse(stored?.refused ?? 0, reasonOf(stored)),
      },
    }),
  )
}

/** At Loki's address: 204. */
export function otlpLogsOfLoki(push: LogsPush): ServedProtocol {
  return asOtlp(serveLogs(push, protocolOf(push, lokiReply), { methods: ['POST'], paths: ['/otlp/v1/logs'] }))
}

/** `batch` is undefined where no record could be read. */
interface Decoded {
  readonly batch: LogBatch | undefined
  /** Why single records could not be read. */
  readonly problems: readonly string[]
  readonly notes: ReadonlySet<string>
}

async function decode(push: LogsPush, body: Uint8Array, format: OtlpFormat): Promise<Decoded> {
  const { clock } = push
  const kind = format === 'json' ? 'otlp-logs-json' : 'otlp-logs'
  const decoder = decoderFor(push, kind, body)
  if (decoder !== undefined) {
    const { batch, problems, notes } = await decodeLargeLogs(decoder, kind, body, clock)
    return { batch: batch.count === 0 ? undefined : batch, problems, notes }
  }
  const resources =
    format === 'json' ? otlpLogsOfJson(await readJsonBody(body, yieldEvery(clock)), body.length) : decodeOtlpLogs(body)
  const builder = new LogBatchBuilder()
  const { refused, notes } = addOtlpLogs(resources, builder, clock.nowMs(), labelOf)
  return { batch: builder.count === 0 ? undefined : builder.build(), problems: refused, notes }
}

function protocolOf(
  push: LogsPush,
  reply: (stored: Stored, format: OtlpFormat) => HttpReply,
): LogProtocol<OtlpFormat, Stored> {
  return {
    formatOf: request => otlpFormat(mediaTypeOf(request, otlpMediaType)),
    async store(body, format, intake) {
      const { batch, problems, notes } = await decode(push, body, format)
      intake.tenant()
      if (batch === undefined && problems.length === 0) return undefined
      const outcome: LogsAppendOutcome =
        batch === undefined ? { stored: 0, refused: 0, problems: [], status: 400 } : await intake.append(batch)
      for (const problem of problems) refuse(outcome, problem)
      for (const text of notes) note(outcome, text)
      return outcome
    },
    reply,
  }
}

/** `service.name` as a label. */
function labelOf(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, '_')
}

/** The first reason. Throws LimitError where sending later may help. */
function reasonOf(stored: Stored): string {
  const reason = stored?.problems[0]?.message ?? ''
  if (stored !== undefined && stored.status === 429 && stored.refused > 0) throw new LimitError(reason, 429)
  return reason
}

function receiverReply(stored: Stored, format: OtlpFormat): HttpReply {
  return otlpReply(format, 'rejectedLogRecords', stored?.refused ?? 0, reasonOf(stored))
}

function lokiReply(stored: Stored): HttpReply {
  if (stored === undefined) return noStreamReply
  reasonOf(stored)
  if (stored.refused === 0) return { status: 204 }
  return { status: 400, headers: plainText, body: `${stored.problems.map(p => p.message).join('; ')}\n` }
}
