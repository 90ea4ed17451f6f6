/** VictoriaMetrics' JSON lines, one series a line: /api/v1/import. */
import { messageOf } from '#core/errors.ts'
import { decodeUtf8Marking } from '#core/text.ts'
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
  return serveMetrics(push, protocol, { methods: ['POST', 'PUT'], paths: ['/api/v1/import'] })
}

/** Its format: the labels that every series gets. */
const protocol: MetricsProtocol<readonly [string, string][]> = {
  formatOf: extraLabels,
  async store(body, extra, intake) {
    const total = emptyOutcome()
    const builder = new BatchBuilder()
    let number = 0
    for (const line of decodeUtf8Marking(body, 0, body.length).split('\n')) {
      number++
      if (line.trim() === '') continue
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

function addLine(line: string, extra: readonly [string, string][], builder: BatchBuilder): void {
  const { labels, timesMs, values } = parseJsonLine(line)
  const series = builder.addSeries(Labels.from([...Object.entries(labels), ...extra]))
  // NaN is a gap, as in VictoriaMetrics.
  for (let i = 0; i < timesMs.length; i++)
    if (!Number.isNaN(values[i])) builder.batch.addSample(series, timesMs[i]!, values[i]!)
}
