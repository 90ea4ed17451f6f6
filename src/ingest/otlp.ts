/** OTLP metrics over HTTP (protobuf, JSON) and gRPC. */
import type { Clock } from '#core/clock.ts'
import type { MetricsAppendOutcome, MetricsAppender } from '#metrics/append.ts'
import { refuse } from '#model/append-outcome.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import {
  decodeOtlpMetrics,
  encodeOtlpMetricsResponse,
  parseOtlpMetricsJson,
  type OtlpResource,
} from '#wire/otlp/metrics.ts'
import { translateOtlp } from '#wire/otlp/to-prometheus.ts'
import { ingestError } from './reply.ts'

export class OtlpMetricsHandler {
  readonly #appender: MetricsAppender
  readonly #tenantOf: (request: HttpRequest) => string
  readonly #clock: Clock

  constructor(appender: MetricsAppender, tenantOf: (request: HttpRequest) => string, clock: Clock) {
    this.#appender = appender
    this.#tenantOf = tenantOf
    this.#clock = clock
  }

  readonly handle = async (request: HttpRequest): Promise<HttpReply> => {
    const type = (request.header('content-type') ?? 'application/x-protobuf').split(';')[0]!.trim()
    const isJson = type === 'application/json'
    if (!isJson && type !== 'application/x-protobuf')
      return {
        status: 415,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: `content type ${JSON.stringify(type)} is not known; application/x-protobuf and application/json are\n`,
      }
    try {
      const body = await request.body()
      const result = await this.#store(
        isJson ? parseOtlpMetricsJson(Buffer.from(body).toString('utf8')) : decodeOtlpMetrics(body),
        this.#tenantOf(request),
      )
      if (isJson)
        return {
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(
            result.refused === 0
              ? {}
              : {
                  partialSuccess: {
                    rejectedDataPoints: String(result.refused),
                    errorMessage: result.problems[0]?.message,
                  },
                },
          ),
        }
      return {
        status: 200,
        headers: { 'content-type': 'application/x-protobuf' },
        body: encodeOtlpMetricsResponse(result.refused, result.problems[0]?.message ?? ''),
      }
    } catch (error) {
      return ingestError(error)
    }
  }

  /** For gRPC: the message in, the response message out. */
  readonly handleGrpc = async (message: Uint8Array, tenant: string): Promise<Uint8Array> => {
    const result = await this.#store(decodeOtlpMetrics(message), tenant)
    return encodeOtlpMetricsResponse(result.refused, result.problems[0]?.message ?? '')
  }

  async #store(resources: readonly OtlpResource[], tenant: string): Promise<MetricsAppendOutcome> {
    const builder = new BatchBuilder()
    const problems = translateOtlp(resources, builder, this.#clock.nowMs())
    const result = await this.#appender.append(tenant, builder.batch)
    for (const problem of problems) refuse(result, problem)
    return result
  }
}
