/** VictoriaMetrics' JSON lines, one series a line: /api/v1/import. */
import { BadDataError, messageOf, UnavailableError } from '#core/errors.ts'
import { endOfEmptyLines, unitsOfLine } from '#core/line-cursor.ts'
import { Pace } from '#core/pace.ts'
import { refuse } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder, type WriteBatch } from '#model/write-batch.ts'
import { addJsonLine } from '#wire/json-lines/parse.ts'
import { keyPairs } from '#wire/remote-write/encode.ts'
import { decodeLargeSamples, decoderFor } from './large-bodies.ts'
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

type ExtraLabels = readonly [string, string][]

export function jsonLines(push: MetricsPush): ServedProtocol {
  return serveMetrics(push, protocolOf(push), { methods: ['POST', 'PUT'], paths: ['/api/v1/import'] })
}

/** Its format: the labels that every series gets. */
function protocolOf(push: MetricsPush): MetricsProtocol<ExtraLabels> {
  return {
    formatOf: extraLabels,
    async store(body, extra, intake) {
      const total = emptyOutcome()
      const builder = new BatchBuilder()
      const pace = new Pace(push.clock)
      for (let from = 0, number = 1; from < body.length; number++) {
        const start = endOfEmptyLines(body, from)
        number += start - from
        const newline = body.indexOf(10, start)
        const line = body.subarray(start, newline < 0 ? body.length : newline)
        const bytes = start - from + line.length
        from = start + line.length + 1
        let long: WriteBatch | undefined
        try {
          long = await addLine(line, extra, builder, push)
        } catch (error) {
          if (error instanceof UnavailableError) throw error
          refuse(total, `line ${number}: ${messageOf(error)}`)
        }
        if (long !== undefined) {
          long.isPart = true
          addOutcome(total, await intake.append(long))
        }
        if (pace.worked(unitsOfLine(bytes))) await pace.pause()
        if (builder.batch.sampleCount < batchSamples) continue
        builder.batch.isPart = true
        addOutcome(total, await intake.append(builder.batch))
        builder.clear()
      }
      addOutcome(total, await intake.append(builder.batch))
      return total
    },
    reply: outcome => samplesReply(outcome),
  }
}

/** As VictoriaMetrics has it: `-import.maxLineLen`. */
const lineBytesMax = 10 * 1024 * 1024

/** Adds the series of a line; one of a long line is a batch of its own. Throws BadDataError and LimitError. */
async function addLine(
  line: Uint8Array,
  extra: ExtraLabels,
  builder: BatchBuilder,
  push: MetricsPush,
): Promise<WriteBatch | undefined> {
  if (line.length > lineBytesMax)
    throw new BadDataError(`the line is ${line.length} long, the limit is ${lineBytesMax}; send it as several`)
  const decoder = decoderFor(push, 'json-line', line)
  if (decoder === undefined) {
    addJsonLine(line, extra, builder)
    return undefined
  }
  // The body has other lines: the decoder takes over memory of its own.
  const { batch } = await decodeLargeSamples(decoder, 'json-line', new Uint8Array(line))
  return extra.length === 0 || batch.seriesCount === 0 ? batch : withLabels(batch, extra)
}

/** The one series of a batch, with more labels. */
function withLabels(batch: WriteBatch, extra: ExtraLabels): WriteBatch {
  const builder = new BatchBuilder()
  const pairs = keyPairs(batch.bytes, batch.keyFrom[0]!, batch.keyTo[0]!)
  const series = builder.addSeries(Labels.from([...pairs, ...extra]))
  for (let i = 0; i < batch.sampleCount; i++) builder.batch.addSample(series, batch.timesMs[i]!, batch.values[i]!)
  builder.batch.isFrozen = true
  return builder.batch
}
