/** Prometheus' text exposition and OpenMetrics, pushed: /api/v1/import/prometheus as VictoriaMetrics has it. */
import { checkElements } from '#core/body-limits.ts'
import type { Clock } from '#core/clock.ts'
import { endOfEmptyLines, endOfLines } from '#core/line-cursor.ts'
import { BadDataError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { decodeUtf8Marking } from '#core/text.ts'
import { refuse } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { yieldEvery } from '#core/yield.ts'
import { endsWithEof, ExpositionReader, type TextSample } from '#wire/prometheus-text/parse.ts'
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
      const tail = Buffer.from(body.subarray(-64)).toString('latin1')
      const reader = new ExpositionReader(isOpenMetrics || endsWithEof(tail))
      const nowMs = timeMs ?? clock.nowMs()
      const total = emptyOutcome()
      const problems = emptyOutcome()
      const builder = new BatchBuilder()
      const { batch } = builder
      const pause = yieldEvery(clock)
      for (let from = 0; from < body.length;) {
        const lines = endOfEmptyLines(body, from)
        reader.skipLines(lines - from)
        const to = endOfLines(body, lines)
        reader.read(decodeUtf8Marking(body, lines, to))
        from = to
        for (const sample of reader.samples) {
          addSample(sample, extra, nowMs, builder)
          if (batch.sampleCount < batchSamples) continue
          batch.isPart = true
          addOutcome(total, await intake.append(batch))
          builder.clear()
        }
        for (const problem of reader.problems) refuse(problems, problem)
        reader.samples.length = reader.problems.length = 0
        checkElements('parts', reader.metadata.size, body.length)
        if (from < body.length) await pause()
      }
      addAll(batch.metadata, reader.metadata.values())
      addOutcome(total, await intake.append(batch))
      total.refused += problems.refused
      addAll(total.problems, problems.problems)
      return total
    },
    reply: outcome => samplesReply(outcome),
  }
}

function addSample(sample: TextSample, extra: readonly [string, string][], nowMs: number, builder: BatchBuilder): void {
  const { batch } = builder
  const series = builder.addSeries(Labels.from([...sample.labels, ...extra]))
  batch.addSample(series, sample.timeMs ?? nowMs, sample.value)
  if (sample.exemplar === undefined) return
  const { labels, value, timeMs } = sample.exemplar
  batch.exemplars.push({ series, labels, value, timeMs: timeMs ?? sample.timeMs ?? nowMs })
}

/** Throws BadDataError. */
function timeParam(text: string | null): number | undefined {
  if (text === null || text === '') return undefined
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  throw new BadDataError(`timestamp ${JSON.stringify(text)} is not a whole number of milliseconds`)
}
