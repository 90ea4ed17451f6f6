/** POST /api/v1/import (VictoriaMetrics' JSON lines) and /api/v1/import/prometheus (text exposition, OpenMetrics). */
import type { Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { MetricsAppendOutcome, MetricsAppender } from '#metrics/append.ts'
import { refuse } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { parseExposition } from '#wire/prometheus-text/parse.ts'
import { parseJsonLine } from '#wire/json-lines/parse.ts'
import { ingestError, ingestReply } from './reply.ts'

const batchSamples = 10_000

/** Adds one result to another. */
export function addResult(total: MetricsAppendOutcome, part: MetricsAppendOutcome): void {
  total.stored += part.stored
  total.histograms += part.histograms
  total.exemplars += part.exemplars
  total.refused += part.refused
  if (total.problems.length === 0) total.problems.push(...part.problems)
}

export function emptyResult(): MetricsAppendOutcome {
  return { stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] }
}

/** Labels that `?extra_label=name=value` adds to everything. */
export function extraLabels(request: HttpRequest): [string, string][] {
  return request.query.getAll('extra_label').map(text => {
    const at = text.indexOf('=')
    return [text.slice(0, at), text.slice(at + 1)]
  })
}

export class ImportHandlers {
  readonly #appender: MetricsAppender
  readonly #tenantOf: (request: HttpRequest) => string
  readonly #clock: Clock

  constructor(appender: MetricsAppender, tenantOf: (request: HttpRequest) => string, clock: Clock) {
    this.#appender = appender
    this.#tenantOf = tenantOf
    this.#clock = clock
  }

  readonly exposition = async (request: HttpRequest): Promise<HttpReply> => {
    try {
      const text = Buffer.from(await request.body()).toString('utf8')
      const isOpenMetrics = /openmetrics/.test(request.header('content-type') ?? '')
      const { samples, metadata, problems } = parseExposition(text, isOpenMetrics || undefined)
      const extra = extraLabels(request)
      const nowMs = Number(request.query.get('timestamp') ?? this.#clock.nowMs())
      const total = emptyResult()
      const builder = new BatchBuilder()
      builder.batch.metadata.push(...metadata)
      const tenant = this.#tenantOf(request)
      for (const sample of samples) {
        const series = builder.addSeries(Labels.from([...sample.labels, ...extra]))
        builder.batch.addSample(series, sample.timeMs ?? nowMs, sample.value)
        if (sample.exemplar !== undefined)
          builder.batch.exemplars.push({
            series,
            labels: sample.exemplar.labels,
            value: sample.exemplar.value,
            timeMs: sample.exemplar.timeMs ?? sample.timeMs ?? nowMs,
          })
        if (builder.batch.sampleCount < batchSamples) continue
        addResult(total, await this.#appender.append(tenant, builder.batch))
        builder.clear()
      }
      addResult(total, await this.#appender.append(tenant, builder.batch))
      for (const problem of problems) refuse(total, problem)
      return ingestReply(total)
    } catch (error) {
      return ingestError(error)
    }
  }

  readonly jsonLines = async (request: HttpRequest): Promise<HttpReply> => {
    try {
      const text = Buffer.from(await request.body()).toString('utf8')
      const extra = extraLabels(request)
      const total = emptyResult()
      const builder = new BatchBuilder()
      const tenant = this.#tenantOf(request)
      let number = 0
      for (const line of text.split('\n')) {
        number++
        if (line.trim() === '') continue
        try {
          const { labels, timesMs, values } = parseJsonLine(line)
          const series = builder.addSeries(Labels.from([...Object.entries(labels), ...extra]))
          for (let i = 0; i < timesMs.length; i++) builder.batch.addSample(series, timesMs[i]!, values[i]!)
        } catch (error) {
          refuse(total, `line ${number}: ${messageOf(error)}`)
        }
        if (builder.batch.sampleCount < batchSamples) continue
        addResult(total, await this.#appender.append(tenant, builder.batch))
        builder.clear()
      }
      addResult(total, await this.#appender.append(tenant, builder.batch))
      return ingestReply(total)
    } catch (error) {
      return ingestError(error)
    }
  }
}
