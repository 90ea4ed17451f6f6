/** VictoriaMetrics' JSON lines, one series a line: /api/v1/import. */
import type { Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import { checkJson } from '#core/json-body.ts'
import { decodeUtf8Marking } from '#core/text.ts'
import { yieldEvery } from '#core/yield.ts'
import { refuse } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { parseJsonLine } from '#wire/json-lines/parse.ts'
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

export function jsonLines(push: MetricsPush): ServedProtocol {
  return serveMetrics(push, protocolOf(push.clock), { methods: ['POST', 'PUT'], paths: ['/api/v1/import'] })
}

/** Its format: the labels that every series gets. */
function protocolOf(clock: Clock): MetricsProtocol<readonly [string, string][]> {
  return {
    formatOf: extraLabels,
    async store(body, extra, intake) {
      const total = emptyOutcome()
      const builder = new BatchBuilder()
      let number = 0
      const pause = yieldEvery(clock)
      for (let from = 0; from < body.length;) {
        let to = body.indexOf(10, from)
        if (to < 0) to = body.length
        const line = body.subarray(from, to)
        from = to + 1
        number++
        if (number % linesBetweenPauses === 0) await pause()
        try {
          addLine(line, extra, builder)
        } catch (error) {
          refuse(total, `line ${number}: ${messageOf(error)}`)
        }
        if (builder.batch.sampleCount < batchSamples) continue
        addOutcome(total, await intake.append(builder.batch))
        builder.clear()
      }
      addOutcome(total, await intake.append(builder.batch))
      return total
    },
    reply: outcome => samplesReply(outcome),
  }
}

/** Some milliseconds of work. */
const linesBetweenPauses = 16
/** Longer lines are counted before they are parsed: shorter ones can't hold more than any body may. */
const lineBytesFree = 64 * 1024

function addLine(bytes: Uint8Array, extra: readonly [string, string][], builder: BatchBuilder): void {
  if (bytes.length > lineBytesFree) checkJson(bytes)
  const line = decodeUtf8Marking(bytes, 0, bytes.length)
  if (line.trim() === '') return
  const { labels, timesMs, values } = parseJsonLine(line)
  const series = builder.addSeries(Labels.from([...Object.entries(labels), ...extra]))
  // NaN is a gap, as in VictoriaMetrics.
  for (let i = 0; i < timesMs.length; i++)
    if (!Number.isNaN(values[i])) builder.batch.addSample(series, timesMs[i]!, values[i]!)
}
