/** Prometheus' text exposition and OpenMetrics, pushed: /api/v1/import/prometheus as VictoriaMetrics has it. */
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { decodeUtf8Marking } from '#core/text.ts'
import { refuse } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { parseExposition } from '#wire/prometheus-text/parse.ts'
import {
  addOutcome,
  batchSamples,
  emptyOutcome,
  extraLabels,
  samplesReply,
  serveMetrics,
  type MetricsProtocol,
  type MetricsPush,
} from './metrics-push.ts'
import type { ServedProtocol } from './protocol.ts'

interface Format {
  readonly isOpenMetrics: boolean
  readonly extra: readonly [string, string][]
  /** The time of samples that have none. */
  readonly timeMs: number | undefined
}

export function exposition(push: MetricsPush): ServedProtocol {
  return serveMetrics(push, protocolOf(push.clock), {
    methods: ['POST', 'PUT'],
    paths: ['/api/v1/import/prometheus'],
  })
}

function protocolOf(clock: Clock): MetricsProtocol<Format> {
  return {
    formatOf: request => ({
      isOpenMetrics: /openmetrics/.test(request.header('content-type') ?? ''),
      extra: extraLabels(request),
      timeMs: timeParam(request.query.get('timestamp')),
    }),
    async store(body, { isOpenMetrics, extra, timeMs }, intake) {
      const text = decodeUtf8Marking(body, 0, body.length)
      const { samples, metadata, problems } = parseExposition(text, isOpenMetrics || undefined)
      const nowMs = timeMs ?? clock.nowMs()
      const total = emptyOutcome()
      const builder = new BatchBuilder()
      const { batch } = builder
      addAll(batch.metadata, metadata)
      for (const sample of samples) {
        const series = builder.addSeries(Labels.from([...sample.labels, ...extra]))
        batch.addSample(series, sample.timeMs ?? nowMs, sample.value)
        if (sample.exemplar !== undefined) {
          const { labels, value, timeMs } = sample.exemplar
          batch.exemplars.push({ series, labels, value, timeMs: timeMs ?? sample.timeMs ?? nowMs })
        }
        if (batch.sampleCount < batchSamples) continue
        addOutcome(total, await intake.append(batch))
        builder.clear()
      }
      addOutcome(total, await intake.append(batch))
      for (const problem of problems) refuse(total, problem)
      return total
    },
    reply: outcome => samplesReply(outcome),
  }
}

/** Throws BadDataError. */
function timeParam(text: string | null): number | undefined {
  if (text === null || text === '') return undefined
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  throw new BadDataError(`timestamp ${JSON.stringify(text)} is not a whole number of milliseconds`)
}
