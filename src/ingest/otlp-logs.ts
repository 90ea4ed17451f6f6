/** OTLP logs over HTTP (protobuf, JSON) and gRPC. */
import type { Clock } from '#core/clock.ts'
import { LimitError } from '#core/errors.ts'
import type { LogsAppendOutcome, LogsAppender } from '#logs/append.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { addOtlpLogs, decodeOtlpLogs, parseOtlpLogsJson, type OtlpLogResource } from '#wire/otlp/logs.ts'
import { encodeOtlpMetricsResponse } from '#wire/otlp/metrics.ts'
import { ingestError } from './reply.ts'

const text = { 'content-type': 'text/plain; charset=utf-8' } as const

/** `service.name` as a label. */
function labelOf(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, '_')
}

export class OtlpLogsHandler {
  readonly #appender: LogsAppender
  readonly #tenantOf: (request: HttpRequest) => string
  readonly #clock: Clock

  constructor(appender: LogsAppender, tenantOf: (request: HttpRequest) => string, clock: Clock) {
    this.#appender = appender
    this.#tenantOf = tenantOf
    this.#clock = clock
  }

  /** At the OpenTelemetry receiver's address: 200 with a response message. */
  readonly handle = (request: HttpRequest): Promise<HttpReply> => this.#handle(request, false)
  /** At Loki's address: 204. */
  readonly handleLoki = (request: HttpRequest): Promise<HttpReply> => this.#handle(request, true)

  async #handle(request: HttpRequest, isLoki: boolean): Promise<HttpReply> {
    const type = (request.header('content-type') ?? 'application/x-protobuf').split(';')[0]!.trim()
    const isJson = type === 'application/json'
    if (!isJson && type !== 'application/x-protobuf')
      return {
        status: 415,
        headers: text,
        body: `content type ${JSON.stringify(type)} is not known; application/x-protobuf and application/json are\n`,
      }
    try {
      const body = await request.body()
      const { count, result } = await this.#store(
        isJson ? parseOtlpLogsJson(Buffer.from(body).toString('utf8')) : decodeOtlpLogs(body),
        this.#tenantOf(request),
      )
      if (isLoki && count === 0)
        return { status: 422, headers: text, body: 'error at least one valid stream is required for ingestion\n' }
      const reason = result.problems[0]?.message ?? ''
      if (result.status === 429 && result.refused > 0) throw new LimitError(reason, 429)
      if (isLoki)
        return result.refused === 0
          ? { status: 204 }
          : { status: 400, headers: text, body: `${result.problems.map(p => p.message).join('; ')}\n` }
      if (isJson)
        return {
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(
            result.refused === 0
              ? {}
              : { partialSuccess: { rejectedLogRecords: String(result.refused), errorMessage: reason } },
          ),
        }
      return {
        status: 200,
        headers: { 'content-type': 'application/x-protobuf' },
        body: encodeOtlpMetricsResponse(result.refused, reason),
      }
    } catch (error) {
      return ingestError(error)
    }
  }

  /** For gRPC: the message in, the response message out. */
  readonly handleGrpc = async (message: Uint8Array, tenant: string): Promise<Uint8Array> => {
    const { result } = await this.#store(decodeOtlpLogs(message), tenant)
    const reason = result.problems[0]?.message ?? ''
    if (result.status === 429 && result.refused > 0) throw new LimitError(reason, 429)
    return encodeOtlpMetricsResponse(result.refused, reason)
  }

  async #store(
    resources: readonly OtlpLogResource[],
    tenant: string,
  ): Promise<{ count: number; result: LogsAppendOutcome }> {
    const builder = new LogBatchBuilder()
    const count = addOtlpLogs(resources, builder, this.#clock.nowMs(), labelOf)
    const result: LogsAppendOutcome =
      count === 0
        ? { stored: 0, refused: 0, problems: [], status: 400 }
        : await this.#appender.append(tenant, builder.build())
    return { count, result }
  }
}
