/** OTLP traces over HTTP (protobuf, JSON) and gRPC; spans of other protocols come the same way. */
import { BadDataError } from '#core/errors.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Trace } from '#model/trace.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import type { TracesAppender } from '#traces/append.ts'
import { encodeOtlpMetricsResponse } from '#wire/otlp/metrics.ts'
import { decodeOtlpTraces, encodeOtlpTraces, parseOtlpTracesJson } from '#wire/otlp/traces.ts'
import { decodePostSpansRequest } from '#wire/jaeger/proto.ts'
import { decodeJaegerThrift } from '#wire/jaeger/thrift.ts'
import { parseZipkinJson } from '#wire/zipkin/spans.ts'
import { ingestError } from './reply.ts'

const text = { 'content-type': 'text/plain; charset=utf-8' } as const

export class TracesHandler {
  readonly #appender: TracesAppender
  readonly #tenantOf: (request: HttpRequest) => string
  /** Sees spans that were stored. */
  readonly #onStored: (tenant: string, trace: Trace, message: Uint8Array) => void

  constructor(
    appender: TracesAppender,
    tenantOf: (request: HttpRequest) => string,
    onStored: (tenant: string, trace: Trace, message: Uint8Array) => void,
  ) {
    this.#appender = appender
    this.#tenantOf = tenantOf
    this.#onStored = onStored
  }

  readonly handle = async (request: HttpRequest): Promise<HttpReply> => {
    const type = (request.header('content-type') ?? 'application/x-protobuf').split(';')[0]!.trim().toLowerCase()
    const isJson = type === 'application/json'
    if (!isJson && type !== 'application/x-protobuf')
      return {
        status: 415,
        headers: text,
        body: `content type ${JSON.stringify(type)} is not known; application/x-protobuf and application/json are\n`,
      }
    try {
      const body = await request.body()
      const trace = isJson ? parseOtlpTracesJson(Buffer.from(body).toString('utf8')) : decodeOtlpTraces(body, true)
      const result = await this.#store(this.#tenantOf(request), trace, isJson ? encodeOtlpTraces(trace) : body)
      const reason = reasonOf(result)
      if (isJson)
        return {
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(
            result.refused === 0
              ? {}
              : { partialSuccess: { rejectedSpans: String(result.refused), errorMessage: reason } },
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

  readonly handleGrpc = async (message: Uint8Array, tenant: string): Promise<Uint8Array> => {
    const result = await this.#store(tenant, decodeOtlpTraces(message, true), message)
    return encodeOtlpMetricsResponse(result.refused, reasonOf(result))
  }

  /** Zipkin's JSON, version 2. 202 as Zipkin answers it. */
  readonly handleZipkin = async (request: HttpRequest): Promise<HttpReply> => {
    try {
      const type = (request.header('content-type') ?? 'application/json').split(';')[0]!.trim().toLowerCase()
      if (type !== 'application/json')
        throw new BadDataError(`content type ${JSON.stringify(type)} is not known; application/json is`)
      return this.#accepted(
        await this.#storeTree(
          this.#tenantOf(request),
          parseZipkinJson(Buffer.from(await request.body()).toString('utf8')),
        ),
      )
    } catch (error) {
      return ingestError(error)
    }
  }

  /** Jaeger's Batch in Thrift, as its clients post it to a collector. 202 as the collector answers it. */
  readonly handleJaeger = async (request: HttpRequest): Promise<HttpReply> => {
    try {
      const type = (request.header('content-type') ?? '').split(';')[0]!.trim().toLowerCase()
      if (type !== 'application/x-thrift' && type !== 'application/vnd.apache.thrift.binary')
        throw new BadDataError(
          `content type ${JSON.stringify(type)} is not known; application/x-thrift and application/vnd.apache.thrift.binary are`,
        )
      return this.#accepted(await this.#storeTree(this.#tenantOf(request), decodeJaegerThrift(await request.body())))
    } catch (error) {
      return ingestError(error)
    }
  }

  /** Jaeger's CollectorService: PostSpans. The answer is empty. */
  readonly handleJaegerGrpc = async (message: Uint8Array, tenant: string): Promise<Uint8Array> => {
    const result = await this.#storeTree(tenant, decodePostSpansRequest(message))
    if (result.stored === 0 && result.refused > 0) throw new BadDataError(reasonOf(result))
    return new Uint8Array(0)
  }

  #accepted(result: AppendOutcome): HttpReply {
    return result.refused === 0
      ? { status: 202 }
      : {
          status: 400,
          headers: text,
          body: `${result.refused} of ${result.refused + result.stored} spans were refused: ${reasonOf(result)}\n`,
        }
  }

  #storeTree(tenant: string, trace: Trace): Promise<AppendOutcome> {
    return this.#store(tenant, trace, encodeOtlpTraces(trace))
  }

  async #store(tenant: string, trace: Trace, message: Uint8Array): Promise<AppendOutcome> {
    const result = await this.#appender.append(tenant, trace, message)
    if (result.stored > 0) this.#onStored(tenant, trace, message)
    return result
  }
}

function reasonOf(result: AppendOutcome): string {
  return result.problems.map(p => (p.count === 1 ? p.message : `${p.count} times: ${p.message}`)).join('; ')
}
